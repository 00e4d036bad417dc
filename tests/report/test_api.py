"""`ecsim.plot` and `ecsim.table` in Python."""

import pytest

import ecsim
from ecsim.core.errors import UserError


def test_names_stand_for_results(run):
    out, name = run.path.parent, run.path.name
    assert ecsim.table(name, out=out) == ecsim.table(run)
    drawn = ecsim.plot("energy", name, out=out).frame
    assert drawn.equals(ecsim.plot("energy", run).frame)
    with pytest.raises(UserError, match="no result 'nothing'"):
        ecsim.table("nothing", out=out)


def test_a_width_that_is_none(run):
    with pytest.raises(UserError, match="expected a width, single or double, got 'triple'"):
        ecsim.plot("energy", run, width="triple")

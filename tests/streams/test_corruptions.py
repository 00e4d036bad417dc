"""When which device sees which variant."""

from math import inf

import numpy as np
import pytest

from ecsim.core.errors import UserError
from ecsim.core.variants import KINDS, N_VARIANTS, NAMES, kind_and_severity, name, variant
from ecsim.streams.corruptions import Corruptions, Spell

T_S = np.arange(0, 100, 1.0)


def test_each_kind_and_severity_has_its_number():
    numbers = [variant(kind, severity) for kind in KINDS for severity in range(1, 6)]
    assert sorted(numbers) == list(range(1, N_VARIANTS))
    for number in numbers:
        assert variant(*kind_and_severity(number)) == number
    assert NAMES[variant("occlusion", 4)] == "occlusion 4" and name(0) == ""


def test_a_spell_holds_from_begin_to_end_on_its_devices():
    corruptions = Corruptions(1000)
    corruptions.add(Spell("blur", 3, 20.0, 40.0), ["a"])
    corruptions.add(Spell("noise", 1, 40.0), ["a", "b"])
    ids = corruptions.seen("a", T_S, np.full(100, 7))
    assert (ids % 1000 == 7).all()
    expected = np.where(T_S < 20, 0, np.where(T_S < 40, variant("blur", 3), variant("noise", 1)))
    assert (ids // 1000 == expected).all()
    assert (corruptions.seen("b", T_S, T_S.astype(int)) // 1000 == (T_S >= 40)).all()
    assert (corruptions.seen("c", T_S, T_S.astype(int)) == T_S).all()
    assert corruptions.variants == sorted([variant("blur", 3), variant("noise", 1)])


def test_a_gradual_spell_grows_in_equal_steps():
    spell = Spell("contrast", 4, 20.0, 60.0, is_gradual=True)
    severity = np.where((T_S >= 20) & (T_S < 60), 1 + (T_S - 20) // 10, 0)
    first = variant("contrast", 1)
    assert (spell.variants(T_S) == np.where(severity > 0, first - 1 + severity, 0)).all()
    assert set(spell.variants(T_S)) - {0} == set(spell.seen)


@pytest.mark.parametrize(("begin", "end"), [(0.0, inf), (39.0, 50.0), (0.0, 20.5), (25.0, 30.0)])
def test_one_corruption_at_a_time(begin, end):
    corruptions = Corruptions(10)
    corruptions.add(Spell("blur", 3, 20.0, 40.0), ["a"])
    with pytest.raises(UserError, match="a would have noise and blur at the same time"):
        corruptions.add(Spell("noise", 1, begin, end), ["b", "a"])
    corruptions.add(Spell("noise", 1, 40.0, 60.0), ["a"])
    corruptions.add(Spell("noise", 1, begin, end), ["other"])

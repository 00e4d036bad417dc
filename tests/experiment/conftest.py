"""A strategy that breaks on demand."""

import pytest

FRAGILE = """
import os, signal
from dataclasses import dataclass
from ecsim import register
from ecsim.strategies.edge_only import EdgeOnly

@register("strategy", "fragile")
class Fragile(EdgeOnly):
    @dataclass(frozen=True)
    class Params:
        how: str = "well"
        mark: str = ""

    def serve(self, task, ctx):
        if self.params.how == "raises":
            raise RuntimeError("it broke")
        if self.params.how == "kills" and not os.path.exists(self.params.mark):
            if self.params.mark:
                open(self.params.mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return (yield from EdgeOnly.serve(self, task, ctx))
"""


@pytest.fixture
def fragile_plugin(tmp_path):
    """Give a plugin whose strategy `fragile` raises, or kills its process until a mark is there."""
    plugin = tmp_path / "fragile.py"
    plugin.write_text(FRAGILE)
    return plugin

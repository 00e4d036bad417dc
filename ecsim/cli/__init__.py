"""The command line: options in, calls of the library, text out; no logic of its own.

Start at `main`; `run` and `look` hold the commands, `console` what they print with.
"""

from ecsim.cli.main import main

__all__ = ["main"]

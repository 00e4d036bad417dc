"""``python -m ecsim`` is the command `ecsim`."""

from ecsim.cli.main import main

main()

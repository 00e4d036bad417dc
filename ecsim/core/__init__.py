"""What every other package speaks in: units, named random streams, the registry, errors, types.

Imports nothing of ecsim; numpy is its only third-party import at run time. Start at `types`.
"""

"""Update methods, one file each; found by name in `core.registry`.

Each says what keeps the old knowledge; the rest is `ecsim.learning.update.UpdateMethod`.
Importing one loads no torch. Start with `fine_tune`, which keeps nothing.
"""

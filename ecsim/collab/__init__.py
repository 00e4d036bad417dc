"""Where the two planes meet: what a strategy may do, and the real predictions behind it.

Imported by strategies and runtime. `strategy` is what a strategy is, `context` what it can ask
for, `routines` what several strategies share; `oracle` alone imports torch.
"""

"""Intervals, tests and verdicts on plain arrays of numbers.

Needs numpy and scipy only; may be imported by the packages above `records` and imports `core`.
Start at `interval` (how precise is a mean), then `tests` (is there a difference) and `verdict`
(what a claim's figures allow to say).
"""

"""Work and bytes to seconds and joules, from cards whose every constant has a source.

Pure functions and frozen tables; knows no clock, no queue, no tensor. Start at `cards`, then
`counted` (the default cost model) and `published` (a paper's own table).
"""

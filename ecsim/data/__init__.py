"""Data sets: labelled samples with a fingerprint, decoded once and normalised the same for all.

Imported by `learning` and `runtime`. Start with `dataset` (what a data set is) and `idx` (the
shortest format); `place` finds the files, `decoded` keeps what was decoded in the user's cache.
A data set is registered in `core.registry` under the kind `data`: a class with `Params` and `load`.
"""

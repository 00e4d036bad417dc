"""The sections of a page, one file each; `run`, `replications` and `sweep` put them in order."""

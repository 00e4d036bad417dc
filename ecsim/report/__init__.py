"""Views of finished results: figures, tables, traces and stories. Reads the run store only.

`figures` draws those that every run brings, `plots` those for papers, from runs, replications and
sweeps alike (`material`); `tables` and `terminal` write tables, `story` tells one task's way.
Nothing below `cli` and `api` imports it; matplotlib and rich are imported only where needed.
"""

"""One self-contained HTML file of finished runs, replications and sweeps.

`page` puts `sections` together, these draw with `charts` and `tables`, all of them through
`markup`, which escapes whatever is not markup yet. Reads the store and `statistics` only; nothing
is fetched, no style or script comes from elsewhere. Start at `page`.
"""

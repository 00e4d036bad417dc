"""What a run leaves behind: tidy tables, the recorder that writes them, the store, the metrics.

Columns are declared once in `tables`; metrics are pure functions of the tables. Knows no clock and
no tensor; pandas and pyarrow are imported only by the modules that need them. Start at `tables`,
then `recorder` (writing), `store` (whole runs only) and `metrics` (what the numbers mean).
"""

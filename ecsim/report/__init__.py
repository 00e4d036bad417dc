"""Views of a finished run: figures and terminal tables. Reads summaries of the run store only.

Nothing below `cli` imports it; matplotlib and rich are imported only by the modules that need them.
Start at `figures`.
"""

"""The only place that composes: a scenario becomes a world, runs, and is written to the store.

`system` builds what all strategies share, `arm` simulates one strategy in its own copy of the
world, `run` does the whole and checks the books. May import everything below; see docs/decisions.
"""

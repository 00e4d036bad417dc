"""Layer-level partitioning: which node runs which layers. Pure functions on arrays of costs.

Nothing here knows a model, a device or a clock: costs are seconds or joules, one per layer and one
per tensor, and an algorithm gives the places of the layers. numpy and scipy only; strategies, the
command line and users may import it. Start with `neurosurgeon` (a chain, two places) and `dads`
(any graph); `problem.py` above turns a layer graph, two nodes and a link into the arrays.
"""

"""Cutting real networks: their layer graphs, running the parts, codecs, and where to cut.

`graph`, `cuts` and `problem` are plain data, which strategies may use; `tracing` makes a graph of a
torch module and `execution` runs its parts; `plans` holds the algorithms. `spatial` splits feature
maps by rows and tiles, without torch. Start reading at `graph`.
"""

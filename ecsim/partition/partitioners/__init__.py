"""The algorithms of `plans` under names that scenarios and ``ecsim partition`` may use.

A class here turns a `PartitionProblem` into arrays (`prices`), asks an algorithm, and gives the
`PartitionPlan`. Strategies may import it; nothing here needs torch. Start reading at `prices`; a
partitioner of your own is one class: docs/how-to/partition.md.
"""

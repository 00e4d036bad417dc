"""Algorithms that say where each layer runs: a `PartitionProblem` in, a `PartitionPlan` out."""

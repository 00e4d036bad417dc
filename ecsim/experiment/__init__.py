"""Many runs: replications, comparisons, claims, sweeps and searches.

May be imported by `api` and `cli` only; makes runs through `runtime` and judges them through
`statistics`. Start at `replicate` (one scenario, several seeds), then `compare` and `claims`; for
sweeps at `plan` (which cells there are), then `job` (one of them) and `sweep` (all of them).
"""

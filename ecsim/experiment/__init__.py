"""Many runs: replications, comparisons, claims, sweeps and searches.

May be imported by `api` and `cli` only; makes runs through `runtime` and judges them through
`statistics`. Start at `replicate` (one scenario, several seeds), then `compare` and `claims`.
"""

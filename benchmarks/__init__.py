"""Speed of Keystead beside its peers, measured in one run: `python -m benchmarks --quick`.

Reads top down: `__main__` (options) → `scenarios/` (one file a scenario family) → `servers`, `load`, `prober`,
`embedded` (what is driven) → `figures` (what came out) → `report`, `plot`. Timings are reported, never asserted.
"""

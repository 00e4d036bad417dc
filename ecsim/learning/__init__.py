"""Training: set-up on the cloud, updates on devices, versions, the cache of trained artefacts.

torch and numpy; knows no clock and no simulated time. May be imported by collab and above.
Importing a module named in a scenario loads no torch, its methods do: tables need none.
Start at `recipes` (what a version is and how it comes about), then `update` (ECC-SNN, Eq. 12).
"""

"""Training: set-up on the cloud, updates on devices, versions, the cache of trained artefacts.

torch and numpy; knows no clock and no simulated time. May be imported by collab and above.
Start at `recipes` (what a version is and how it comes about), then `update` (ECC-SNN, Eq. 12).
"""

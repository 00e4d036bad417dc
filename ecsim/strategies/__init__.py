"""Collaboration strategies, one file each, on numpy alone; found by name in `core.registry`.

Start with `ecc_snn`: it reads like Algorithm 1 of its paper.
"""

"""What a network does and how long this host takes for it: profiles and calibrated cards.

Stands beside `learning`; may import models and costs, and is imported by the command line only.
Start at `layers` (work per layer), then `timing` (seconds of each operation inside a running
network), `fit` (the model behind a calibrated card) and `card` (the file that a scenario uses).
"""

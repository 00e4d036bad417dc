"""Neuron-level splits of feature maps: who computes which rows, and what has to be exchanged.

Pure arithmetic without torch, so that strategies may use it; only `execution` runs networks.
Start with `windows` (which rows does an output need), `plans` (a split with its exchanges),
`presets` (MoDNN, DeepThings, AFLKD) and `layouts` (who computes which part).
"""

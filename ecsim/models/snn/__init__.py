"""Spiking networks: surrogate gradients, LIF and EM-PF neurons, the spiking VGG.

Multi-step layout everywhere: time is axis 0, ``(T, N, ...)``. Start reading at `lif`.
"""

"""Cutting real networks: their layer graphs, running the parts, codecs, and where to cut.

`spatial` splits feature maps by rows and tiles, without torch.
"""

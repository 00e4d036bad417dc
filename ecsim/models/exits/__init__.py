"""Multi-exit networks by name: `multi_exit_vgg`, `multi_exit_resnet` and the spiking ones.

Start reading in `ecsim.models.multi_exit`; `branch` makes the small networks beside the trunk.
"""

"""Artificial networks for the cloud: VGG and ResNet. Start reading at `vgg`."""

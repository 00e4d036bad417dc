"""PyTorch models and their counted work; `learning` and packages above it may import this.

`create` makes a net by its name in a scenario, `incremental.IncrementalNet` is what it gives, and
`work.predict` runs it and counts. Spiking neurons are in `snn`, the cloud's networks in `ann`.
Importing this package loads no torch; using it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ecsim.core import registry

if TYPE_CHECKING:
    from torch import nn

    from ecsim.models.incremental import IncrementalNet

__all__ = ["build_from_params", "create", "list_models"]


def list_models(pattern: str = "*") -> list[str]:
    """Give the names of models that match a shell pattern, sorted.

    >>> list_models("re*")
    ['relu_vgg', 'resnet']
    """
    return registry.names("model", pattern)


def build_from_params(name: str, params: Any, in_shape: Sequence[int]) -> nn.Module:
    """Give a backbone by name; its weights come from torch's global random state.

    Parameters
    ----------
    name : a built-in or one that a plugin registered with ``register("model", name)``.
    params : an instance of that class's ``Params``; None for its defaults.
    in_shape : shape of one sample, (C, H, W).
    """
    cls = registry.resolve("model", name)
    if params is None:
        params = cls.Params()
    if not isinstance(params, cls.Params):
        raise TypeError(f"the model {name!r} takes a {cls.__name__}.Params, got {params!r}")
    backbone: nn.Module = cls(params, tuple(in_shape))
    return backbone


def create(
    name: str,
    params: Any,
    in_shape: Sequence[int],
    head_classes: Sequence[Sequence[int]],
    seed: int = 0,
) -> IncrementalNet:
    """Give a freshly initialised net: a backbone by name, and a head per group of classes.

    The weights depend on the arguments alone; torch's global random state is untouched.

    Parameters
    ----------
    name, params, in_shape : see `build_from_params`.
    head_classes : for each head the global class ids of its columns.
    seed : of the initial weights.

    >>> net = create("vgg", None, (1, 8, 8), [[3, 1], [7]])
    >>> net.classes
    (3, 1, 7)
    """
    from ecsim.models.incremental import IncrementalNet
    from ecsim.models.multi_exit import MultiExitNet
    from ecsim.models.seeding import seeded

    with seeded(seed):
        backbone = build_from_params(name, params, in_shape)
        kind = MultiExitNet if hasattr(backbone, "exit_features") else IncrementalNet
        return kind(backbone, head_classes)

"""Names a scenario may use, and where their classes live.

The table is static text, so that listing names imports nothing; a class is imported when it is
first resolved. Every class has a frozen dataclass `Params`: the keys a scenario may give it.
A plugin adds a name with `register`; see docs/how-to/own-strategy.md.
"""

from __future__ import annotations

import fnmatch
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ecsim.core.errors import UserError

T = TypeVar("T")

_INDEX: dict[str, dict[str, str]] = {
    "data": {
        "digits": "ecsim.data.digits:Digits",
        "npz": "ecsim.data.npz:Npz",
        "mnist": "ecsim.data.idx:Mnist",
        "fashion_mnist": "ecsim.data.idx:FashionMnist",
        "cifar10": "ecsim.data.cifar:Cifar10",
        "cifar100": "ecsim.data.cifar:Cifar100",
        "pictures": "ecsim.data.pictures:Pictures",
        "tiny_imagenet": "ecsim.data.pictures:TinyImageNet",
        "caltech101": "ecsim.data.pictures:Caltech101",
        "cifar10_pictures": "ecsim.data.pictures:Cifar10Pictures",
        "nmnist": "ecsim.data.events:NMnist",
    },
    "schedule": {
        "class_incremental": "ecsim.streams.schedule:ClassIncremental",
        "stationary": "ecsim.streams.stationary:Stationary",
        "blurry": "ecsim.streams.mixtures:Blurry",
        "recurring": "ecsim.streams.mixtures:Recurring",
        "gradual": "ecsim.streams.mixtures:Gradual",
    },
    "skew": {
        "classes": "ecsim.streams.skew:Classes",
        "dirichlet": "ecsim.streams.skew:Dirichlet",
        "groups": "ecsim.streams.skew:Groups",
    },
    "arrivals": {
        "periodic": "ecsim.streams.arrivals:Periodic",
        "poisson": "ecsim.streams.arrivals:Poisson",
        "mmpp": "ecsim.streams.modulated:Mmpp",
        "bursts": "ecsim.streams.modulated:Bursts",
        "diurnal": "ecsim.streams.diurnal:Diurnal",
        "trace": "ecsim.streams.arrival_trace:Trace",
    },
    "model": {
        "spiking_vgg": "ecsim.models.snn.vgg:SpikingVGG",
        "relu_vgg": "ecsim.models.ann.twin:ReluVGG",
        "vgg": "ecsim.models.ann.vgg:VGG",
        "resnet": "ecsim.models.ann.resnet:ResNet",
        "aflkd_cnn": "ecsim.models.ann.aflkd:AflkdCNN",
        "mobilenet": "ecsim.models.ann.mobilenet:MobileNet",
        "inception": "ecsim.models.ann.inception:Inception",
        "vit": "ecsim.models.ann.vit:ViT",
        "multi_exit_vgg": "ecsim.models.exits.vgg:MultiExitVGG",
        "multi_exit_resnet": "ecsim.models.exits.resnet:MultiExitResNet",
        "multi_exit_spiking_vgg": "ecsim.models.exits.spiking_vgg:MultiExitSpikingVGG",
        "stepwise_spiking_vgg": "ecsim.models.exits.stepwise:StepwiseSpikingVGG",
    },
    "cloud_training": {
        "supervised": "ecsim.learning.cloud:CloudTraining",
        "joint_exits": "ecsim.learning.exits:JointExits",
    },
    "setup": {
        "joint_distillation": "ecsim.learning.setup:JointDistillation",
        "joint_exits": "ecsim.learning.exits:JointExitsSetup",
    },
    "update": {
        "self_distillation": "ecsim.learning.updates.self_distillation:SelfDistillation",
        "fine_tune": "ecsim.learning.updates.fine_tune:FineTune",
        "frozen_backbone": "ecsim.learning.updates.frozen_backbone:FrozenBackbone",
        "lwf": "ecsim.learning.updates.lwf:LwF",
        "ewc": "ecsim.learning.updates.ewc:EWC",
        "replay": "ecsim.learning.updates.replay:Replay",
        "joint": "ecsim.learning.updates.joint:Joint",
    },
    "costs": {
        "counted": "ecsim.costs.counted:Counted",
        "roofline": "ecsim.costs.counted:Roofline",
        "published": "ecsim.costs.published:Published",
    },
    "strategy": {
        "ecc_snn": "ecsim.strategies.ecc_snn:EccSnn",
        "early_exit": "ecsim.strategies.early_exit:EarlyExit",
        "cascade": "ecsim.strategies.cascade:Cascade",
        "edge_only": "ecsim.strategies.edge_only:EdgeOnly",
        "adaptive_split": "ecsim.strategies.adaptive_split:AdaptiveSplit",
        "auto_split": "ecsim.strategies.auto_split:AutoSplit",
        "edgent": "ecsim.strategies.edgent:Edgent",
        "cloud_only": "ecsim.strategies.cloud_only:CloudOnly",
        "feature_split": "ecsim.strategies.feature_split:FeatureSplit",
        "learned": "ecsim.strategies.learned:Learned",
        "random_offload": "ecsim.strategies.random_offload:RandomOffload",
        "split": "ecsim.strategies.split:Split",
    },
    "partitioner": {
        "neurosurgeon": "ecsim.partition.partitioners.neurosurgeon:Neurosurgeon",
        "dads": "ecsim.partition.partitioners.graphs:Dads",
        "dads_heavy": "ecsim.partition.partitioners.graphs:DadsHeavy",
        "narrow": "ecsim.partition.partitioners.narrow:Narrow",
        "qdmp": "ecsim.partition.partitioners.graphs:Qdmp",
        "two_way": "ecsim.partition.partitioners.graphs:TwoWay",
        "jointdnn": "ecsim.partition.partitioners.jointdnn:JointDnn",
        "tiers": "ecsim.partition.partitioners.rows:Tiers",
        "pipeline": "ecsim.partition.partitioners.rows:Pipeline",
    },
    "codec": {
        "raw": "ecsim.partition.codecs:Raw",
        "float16": "ecsim.partition.codecs:Float16",
        "int8": "ecsim.partition.codecs:Int8",
        "zlib": "ecsim.partition.codecs:Zlib",
    },
}
_PLUGINS: dict[str, dict[str, type[Any]]] = {kind: {} for kind in _INDEX}


def kinds() -> tuple[str, ...]:
    """Give the kinds of things that have names."""
    return tuple(_INDEX)


def names(kind: str, pattern: str = "*") -> list[str]:
    """Give the names of a kind that match a shell pattern, sorted.

    >>> names("model", "re*")
    ['relu_vgg', 'resnet']
    """
    return sorted(fnmatch.filter([*_INDEX[kind], *_PLUGINS[kind]], pattern))


def resolve(kind: str, name: str) -> type[Any]:
    """Import and give the class behind a name; raise `UserError` for an unknown one."""
    if name in _PLUGINS[kind]:
        return _PLUGINS[kind][name]
    if name not in _INDEX[kind]:
        raise UserError(f"unknown {kind} {name!r}; there are: {', '.join(names(kind))}")
    module, _, attribute = _INDEX[kind][name].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def register(kind: str, name: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: let scenarios use the class under this name. For plugins.

    Raises `UserError` when the kind is unknown or the name is taken by a built-in.
    """
    if kind not in _INDEX:
        raise UserError(f"cannot register a {kind!r}; kinds are: {', '.join(kinds())}")
    if name in _INDEX[kind]:
        raise UserError(f"the {kind} {name!r} is built in; give yours another name")

    def decorate(cls: type[T]) -> type[T]:
        _PLUGINS[kind][name] = cls
        return cls

    return decorate


def load_plugins(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Execute Python files that register strategies, models, … of the user's own.

    Raises `UserError` for a file that does not exist or fails.
    """
    for path in map(Path, paths):
        name = f"ecsim_plugin_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise UserError(f"--plugin: expected a Python file, got {str(path)!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise UserError(f"--plugin {path}: {type(error).__name__}: {error}") from error


def plugin_sources(chosen: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give ``kind/name`` -> sha256 of the file that registered it, for those names of plugins.

    A class that no file defines (in a notebook) has an empty digest.
    """
    found = {}
    for kind, name in sorted(set(chosen)):
        if name in _PLUGINS[kind]:
            file = getattr(sys.modules.get(_PLUGINS[kind][name].__module__), "__file__", None)
            content = Path(file).read_bytes() if file else b""
            found[f"{kind}/{name}"] = hashlib.sha256(content).hexdigest() if file else ""
    return found

"""Which calls of a traced pass are layers, what each reads, and where its samples lie.

A layer is a call that computes something. Calls that only arrange what is there anew (a view, a
copy of nothing, a dropout that does nothing) belong to nobody: each part of a cut does for itself
those that it needs, so that what crosses is always the layer's own output, before it was expanded.
A call that takes a piece out of a tensor is a layer of no cost: it makes what crosses smaller.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ecsim.core.errors import UserError
from ecsim.models.work import is_spiking
from ecsim.partition.graph import INPUT
from ecsim.partition.tracing import tensors, trace


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a tensor's samples lie: `n` samples at `axis`, `times` entries each.

    Several entries each stand time first where `is_time_first`, (T N), else (N T). A tensor that
    does not depend on the batch has `axis` -1.
    """

    axis: int
    times: int
    is_time_first: bool

    def split(self, x: Tensor) -> Tensor:
        """Give x (..., N T, ...) as (N, all the rest)."""
        if self.times == 1:
            return x.movedim(self.axis, 0).flatten(1)
        n = x.shape[self.axis] // self.times
        order = (self.times, n) if self.is_time_first else (n, self.times)
        apart = x.reshape(*x.shape[: self.axis], *order, *x.shape[self.axis + 1 :])
        return apart.movedim(self.axis + self.is_time_first, 0).flatten(1)

    def join(self, rows: Tensor, like: Tensor) -> Tensor:
        """Give rows (N, all the rest) in the shape that `split` made them of."""
        if self.times == 1:
            sizes = list(like.shape)
            n = sizes.pop(self.axis)
            return rows.reshape(n, *sizes).movedim(0, self.axis)
        n = like.shape[self.axis] // self.times
        order = (self.times, n) if self.is_time_first else (n, self.times)
        sizes = [*like.shape[: self.axis], *order, *like.shape[self.axis + 1 :]]
        at = self.axis + self.is_time_first
        n = sizes.pop(at)
        return rows.reshape(n, *sizes).movedim(0, at).reshape(like.shape)


@dataclass(frozen=True, eq=False)
class Layout:
    """A traced pass for n samples and its layers.

    Attributes
    ----------
    module : the calls; its graph's nodes have fake values.
    layers : the nodes that are layers, by name, in their order; the first is the input.
    name_of : the reverse.
    sources : of each node, the layers that it depends on through arrangements alone; of a layer,
        itself.
    preds : of each layer the layers that it reads, each once.
    overwrites : layers that overwrite what another layer reads too.
    outputs : the node of each exit.
    axes : of each layer, where the samples lie in each of its tensors.
    is_exported : whether `torch.export` made it: its calls are torch's operators, not modules.
    """

    module: fx.GraphModule
    layers: dict[str, fx.Node]
    name_of: dict[fx.Node, str]
    sources: dict[fx.Node, tuple[str, ...]]
    preds: dict[str, tuple[str, ...]]
    overwrites: frozenset[str]
    outputs: tuple[fx.Node, ...]
    axes: dict[str, tuple[Axis, ...]]
    is_exported: bool = False


def lay_out(net: nn.Module, in_shape: Sequence[int], n: int) -> Layout:
    """Trace a module for n samples and find its layers.

    Raises
    ------
    UserError
        when it cannot be traced, mixes samples, or works in place on what is read again later.
    """
    module = trace(net, in_shape, n)
    other = trace(net, in_shape, n + 1)
    layers: dict[str, fx.Node] = {}
    sources: dict[fx.Node, tuple[str, ...]] = {}
    outputs: tuple[fx.Node, ...] = ()
    axes: dict[str, tuple[Axis, ...]] = {}
    preds: dict[str, tuple[str, ...]] = {}
    time_first = is_spiking(net)
    twins = list(other.graph.nodes)
    nodes = list(module.graph.nodes)
    if [node.op for node in nodes] != [node.op for node in twins]:
        raise UserError("cannot cut a network whose calls depend on the size of the batch")
    for node, twin in zip(nodes, twins, strict=True):
        read = [s for each in node.all_input_nodes for s in sources[each]]
        if node.op == "output":
            answers = node.args[0]
            found = answers if isinstance(answers, tuple | list) else [answers]
            outputs = tuple(cast(fx.Node, each) for each in found)
        elif node.op == "get_attr" or (not read and node.op != "placeholder"):
            sources[node] = ()
        elif node.op == "placeholder" or _computes(module, node):
            name = INPUT if node.op == "placeholder" else _name(node, layers)
            layers[name] = node
            sources[node] = (name,)
            preds[name] = tuple(dict.fromkeys(read))
            axes[name] = tuple(
                _axis(name, a, b, n, time_first)
                for a, b in zip(tensors(_value(node)), tensors(_value(twin)), strict=True)
            )
        else:
            sources[node] = tuple(dict.fromkeys(read))
    return Layout(
        module,
        layers,
        {node: name for name, node in layers.items()},
        sources,
        preds,
        _overwriting(module, layers, preds),
        tuple(_checked_answer(node, sources) for node in outputs),
        axes,
        any(isinstance(node.target, torch._ops.OpOverload) for node in nodes),
    )


def kind_of(module: nn.Module, node: fx.Node) -> str:
    """Say what a call is: the class of its module, or the name of its function, in small letters.

    >>> kind_of(nn.Module(), fx.Graph().placeholder("x"))
    'input'
    """
    if node.op == "placeholder":
        return INPUT
    if node.op == "call_module":
        return type(module.get_submodule(str(node.target))).__name__.strip("_").lower()
    if node.op == "call_method":
        return str(node.target)
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.split("::")[1]
    known = (name for name, value in vars(F).items() if value is target)
    return next(known, getattr(target, "__name__", str(target)))


def works_in_place(module: nn.Module, node: fx.Node) -> bool:
    """Whether a call overwrites its first argument."""
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    if node.kwargs.get("inplace"):
        return True
    target: Any = node.target
    if node.op == "call_method":
        return str(target).endswith("_") and not str(target).endswith("__")
    name = kind_of(module, node)
    return name.endswith("_") or (
        getattr(target, "__module__", "") == "_operator" and name in _IN_PLACE
    )


_IN_PLACE = {name for name in vars(operator) if name.startswith("i") and name[1:] in vars(operator)}


def _value(node: fx.Node) -> Any:
    return node.meta["value"]


def _computes(module: nn.Module, node: fx.Node) -> bool:
    """Whether a call makes values, or fewer of them, rather than arrange those of one tensor."""
    inputs = [t for each in node.all_input_nodes for t in tensors(_value(each))]
    found = list(tensors(_value(node)))
    if node.target is operator.getitem and not isinstance(
        _value(cast(fx.Node, node.args[0])), Tensor
    ):
        return False  # one of several outputs
    if works_in_place(module, node) or len(node.all_input_nodes) != 1 or len(inputs) != 1:
        return True
    is_alias = all(_is_alias(each, inputs[0]) for each in found)
    return not is_alias or sum(t.numel() for t in found) < inputs[0].numel()


def _is_alias(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors look at one storage."""
    return bool(torch._C._is_alias_of(a, b))  # type: ignore[attr-defined]


def _name(node: fx.Node, taken: dict[str, fx.Node]) -> str:
    """Give a layer's name: of its module, or of its function with fx's own number."""
    name = str(node.target) if node.op == "call_module" else node.name
    if name not in taken:
        return name
    number = 2
    while f"{name}@{number}" in taken:
        number += 1
    return f"{name}@{number}"


def _axis(name: str, a: Tensor, b: Tensor, n: int, time_first: bool) -> Axis:
    """Find the axis that grows with the batch."""
    grown = [i for i, (p, q) in enumerate(zip(a.shape, b.shape, strict=True)) if p != q]
    if not grown:
        return Axis(-1, 0, False)
    times = b.shape[grown[0]] - a.shape[grown[0]]
    if len(grown) > 1 or a.shape[grown[0]] != n * times:
        raise UserError(f"cannot cut at {name}: it mixes samples of a batch")
    return Axis(grown[0], times, time_first)


def _checked_answer(node: fx.Node, sources: dict[fx.Node, tuple[str, ...]]) -> fx.Node:
    if not isinstance(node, fx.Node) or len(sources[node]) != 1:
        raise UserError("cannot cut a network whose answer is not a tensor, or one per exit")
    return node


def _overwriting(
    module: nn.Module,
    layers: dict[str, fx.Node],
    preds: dict[str, tuple[str, ...]],
) -> frozenset[str]:
    """Find the layers that overwrite what others read; refuse those whose others come later."""
    order = {name: i for i, name in enumerate(layers)}
    readers: dict[str, list[str]] = {name: [] for name in layers}
    for name, read in preds.items():
        for each in read:
            readers[each].append(name)
    found = set()
    for name, node in layers.items():
        if name == INPUT or not works_in_place(module, node):
            continue
        target = next(tensors(_value(node.all_input_nodes[0])))
        before = list(layers)[: order[name]]
        same = [b for b in before if any(_is_alias(t, target) for t in tensors(_value(layers[b])))]
        others = {reader for each in same for reader in readers[each]} - {name}
        late = sorted(
            (other for other in others if order[other] > order[name]),
            key=lambda other: order[other],
        )
        if late:
            raise UserError(
                f"cannot cut at {name}: it works in place on what {late[0]} reads after it"
            )
        found |= {name} if others else set()
    return frozenset(found)

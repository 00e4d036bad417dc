"""Counted work of a network with exits: the trunk piece by piece, and each exit's branch.

The rules are those of `ecsim.models.work`. Where exits are stages, a layer belongs to the segment
or the branch that it stands in; where they are time-steps, each layer's calls are cut in time, so
that an exit costs the spikes of the steps that were really run. A weight is read once on the way
to an exit: one that serves all time-steps counts in the first piece.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.core.types import ExitPoint, FloatArray, Operations
from ecsim.models.branched import Branched
from ecsim.models.calls import operations_of
from ecsim.models.counted import CountedExits
from ecsim.models.exits.stepwise import StepwiseSpikingVGG
from ecsim.models.multi_exit import ExitBackbone, ExitPart, MultiExitNet
from ecsim.models.work import is_spiking, layer_work, observed, param_bytes, run

_MACS, _SOPS, _UPDATES, _BYTES = range(4)
_TRUNK, _BRANCH = range(2)


def predict_exits(
    net: MultiExitNet, x: Tensor | FloatArray, *, dtype: torch.dtype | None = None
) -> CountedExits:
    """Run a net on samples once and give what each exit answers and costs.

    Parameters
    ----------
    x, dtype : as of `work.predict`.

    Raises
    ------
    UserError
        when a layer holds weights that no rule here counts.
    """
    spiking = is_spiking(net)
    like = next(net.parameters())
    size = like.element_size()
    dtype = dtype or (torch.float64 if spiking else like.dtype)
    x = torch.as_tensor(x).to(like.device, dtype)
    n = x.shape[0]
    counts = np.zeros((2, net.n_exits, 4, n))  # trunk and branch
    readout = {m for k in range(net.n_exits) for m in net.heads_of(k).modules()}
    places = _places(net)
    ends = getattr(net.backbone, "ends", None)
    reads = 0  # calls of the head that all exits share

    def add_layer(place: tuple[int, int], layer: nn.Module, args: Any, output: Any) -> None:
        work = layer_work(layer, args, output, n, not spiking or layer in readout)
        row = counts[place]
        row[_MACS] += work.macs
        row[_SOPS] += work.sops
        row[_BYTES] += work.read * size + work.spikes / 8 + output.numel() / n * size

    def on_layer(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal reads
        if ends is None:
            add_layer(places[layer], layer, args, output)
        elif layer in readout:
            add_layer((_BRANCH, reads // len(net.heads)), layer, args, output)
            reads += 1
        elif len(output) == n:  # a static image's first current: once, for all steps
            add_layer((_TRUNK, 0), layer, args, output)
        else:
            for k, (start, end) in enumerate(_spans(ends)):
                piece = slice(start * n, end * n)
                seen = tuple(arg[piece] for arg in args)
                add_layer((_TRUNK, k), layer, seen, output[piece])

    def on_neurons(neurons: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        each = output[0].numel() / n
        spans = [(0, len(output))] if ends is None else _spans(ends)
        for k, (start, end) in enumerate(spans):
            row = counts[places[neurons] if ends is None else (_TRUNK, k)]
            row[_UPDATES] += each * (end - start)
            row[_BYTES] += each * (end - start) * (2 * size + 1 / 8)

    with observed(net, on_layer, on_neurons):
        logits = cast("list[Tensor]", run(_AllExits(net), x, dtype))
    counts[:, :, _BYTES] += _weights(net).T[:, :, None]
    answers = np.stack([rows.float().numpy(force=True) for rows in logits])
    return CountedExits(answers, counts[_TRUNK], counts[_BRANCH])


def exit_points(net: MultiExitNet) -> tuple[ExitPoint, ...]:
    """Give what a strategy may know of a net's exits."""
    backbone = cast(ExitBackbone, net.backbone)
    rows = zip(backbone.exit_names, backbone.crossing_bytes, _weights(net).tolist(), strict=True)
    return tuple(ExitPoint(name, crossing, *sizes) for name, crossing, sizes in rows)


def operations_of_part(
    net: MultiExitNet, in_shape: tuple[int, ...], exit: int, after: int | None
) -> Operations:
    """Give the operations of one sample's way to an exit, for a calibrated device.

    Steps that come after other steps of the same network count like the first ones.
    """
    backbone = net.backbone
    if isinstance(backbone, Branched):
        if after is None:
            return operations_of(net.part(exit), in_shape)
        like = next(net.parameters())
        with torch.no_grad():
            blank = torch.zeros(1, *in_shape, dtype=like.dtype, device=like.device)
            net.eval()
            seen = backbone.handed_on(blank, after)
        return operations_of(net.part(exit, after), in_shape, seen)
    assert isinstance(backbone, StepwiseSpikingVGG)
    steps = backbone.ends[exit] - (0 if after is None else backbone.ends[after])
    return operations_of(ExitPart(backbone.first(steps), net.heads), in_shape)


class _AllExits(nn.Module):
    """A net that, called, answers at all of its exits."""

    def __init__(self, net: MultiExitNet):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.net.exits(x)


def _spans(ends: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip((0, *ends[:-1]), ends, strict=True))


def _places(net: MultiExitNet) -> dict[nn.Module, tuple[int, int]]:
    """Give the row of the counts that each layer belongs to, where exits are stages."""
    backbone = net.backbone
    if not isinstance(backbone, Branched):
        if not hasattr(backbone, "ends"):
            raise UserError(
                f"cannot count the work of {type(backbone).__name__}: expected a network with "
                "exits to derive from `ecsim.models.branched.Branched`"
            )
        return {}
    found: dict[nn.Module, tuple[int, int]] = {}
    for k in range(net.n_exits):
        found |= dict.fromkeys(backbone.segments[k].modules(), (_TRUNK, k))
        found |= dict.fromkeys(backbone.branches[k].modules(), (_BRANCH, k))
        found |= dict.fromkeys(net.heads_of(k).modules(), (_BRANCH, k))
    return found


def _weights(net: MultiExitNet) -> FloatArray:
    """Give the bytes of the weights of each piece of the trunk and of each branch, (E, 2)."""
    found = np.zeros((net.n_exits, 2))
    backbone = net.backbone
    if not isinstance(backbone, Branched):
        found[0, _TRUNK] = param_bytes(backbone)
        found[:, _BRANCH] = param_bytes(net.heads)
        return found
    for k in range(net.n_exits):
        found[k, _TRUNK] = param_bytes(backbone.segments[k])
        found[k, _BRANCH] = param_bytes(backbone.branches[k]) + param_bytes(net.heads_of(k))
    return found

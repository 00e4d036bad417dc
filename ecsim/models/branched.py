"""A backbone cut at named stages, with a branch at each cut: what multi-exit networks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

Shape = tuple[int, ...]


class Branched(nn.Module):
    """Segments of a trunk, and the branch that each exit's features come from.

    Parameters
    ----------
    stages : the layers by name, in their order; an exit may follow each of them but the last.
    exits : names of the stages that an early exit follows, in their order.
    shapes : of one sample after each stage, as the stages come (of one time-step in a spiking net).
    branch : gives an early exit's branch and its number of features for the shape it follows.
    last : makes features (N, F) of what the last stage gives.
    feature_dim : F.
    value_bytes : size of one value of the trunk's tensors on a link: 4 for floats, 1/8 for spikes.

    Attributes
    ----------
    segments, branches : one per exit.
    """

    shares_head = False

    def __init__(
        self,
        stages: Mapping[str, nn.Module],
        exits: Sequence[str],
        shapes: Sequence[Shape],
        branch: Callable[[Shape], tuple[nn.Module, int]],
        last: nn.Module,
        feature_dim: int,
        value_bytes: float = 4.0,
    ):
        super().__init__()
        names = [*stages]
        ends = [names.index(name) + 1 for name in exits] + [len(names)]
        starts = [0, *ends[:-1]]
        self.segments = nn.ModuleList(
            nn.Sequential(*(stages[name] for name in names[start:end]))
            for start, end in zip(starts, ends, strict=True)
        )
        early = [branch(shapes[end - 1]) for end in ends[:-1]]
        self.branches = nn.ModuleList([*(module for module, _ in early), last])
        self.exit_names = (*exits, names[-1])
        self.exit_dims = (*(dim for _, dim in early), feature_dim)
        self.feature_dim = feature_dim
        sizes = [_size(shapes[end - 1]) * value_bytes for end in ends[:-1]]
        self.crossing_bytes: tuple[float | None, ...] = (*sizes, None)

    def prepare(self, x: Tensor) -> Tensor:
        """Give what the first stage takes of samples; raise `DataError` for another shape."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Give the last exit's features (N, F)."""
        x = self.prepare(x)
        for segment in self.segments:
            x = segment(x)
        features: Tensor = self.branches[-1](x)
        return features

    def exit_features(self, x: Tensor) -> list[Tensor]:
        """Give the features (N, F_k) of each exit, in one pass of the trunk."""
        x = self.prepare(x)
        found = []
        for segment, branch in zip(self.segments, self.branches, strict=True):
            x = segment(x)
            found.append(branch(x))
        return found

    def handed_on(self, x: Tensor, exit: int) -> Tensor:
        """Give the tensor that an exit sees of samples, which the next segment goes on from."""
        x = self.prepare(x)
        for segment in self.segments[: exit + 1]:
            x = segment(x)
        return x

    def part(self, exit: int, after: int | None) -> nn.Module:
        """Give what computes an exit's features, from the sample or from what `after` saw."""
        return _Part(self, exit, after)


class _Part(nn.Module):
    """The layers between two exits and the later one's branch, with the whole's weights."""

    def __init__(self, whole: Branched, exit: int, after: int | None):
        super().__init__()
        self.segments = whole.segments[0 if after is None else after + 1 : exit + 1]
        self.branch = whole.branches[exit]
        self._prepare = whole.prepare if after is None else _as_it_is

    def forward(self, x: Tensor) -> Tensor:
        x = self._prepare(x)
        for segment in self.segments:
            x = segment(x)
        features: Tensor = self.branch(x)
        return features


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def checked_exits(exits: Sequence[str], stages: Sequence[str]) -> None:
    """Raise `ValueError` unless `exits` are some of the stages but the last, in their order."""
    allowed = [*stages][:-1]
    places = [allowed.index(name) if name in allowed else -1 for name in exits]
    if not exits or min(places) < 0 or places != sorted(set(places)):
        raise ValueError(
            f"exits: expected stages in their order, among {', '.join(allowed)}, got {[*exits]}"
        )

"""ECC-SNN: answer at the edge when confident, else ask the cloud and learn from its answer.

Source: Yu et al., "ECC-SNN: Cost-Effective Edge-Cloud Collaboration for Spiking Neural Networks",
IJCAI 2025, Algorithm 1 and section 4.3. Erratum: Eq. 4 uploads for s > delta, Algorithm 1 for
s >= delta; here s > delta. Other filters, the token bucket and the budget are beyond the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from ecsim.collab.context import Context
from ecsim.collab.filters import Filter, Filtered
from ecsim.collab.matching import Matching
from ecsim.collab.pacing import Bucket, Budget, Controller, TokenBucket
from ecsim.collab.routines import Asking
from ecsim.collab.strategy import Serving, Way
from ecsim.collab.validation import Validation
from ecsim.core.types import ModelRef, Prediction, Task
from ecsim.strategies.offloading import Offloading

_STREAM = "ecc_snn_buffer"
_MARKED = 0.01  # a threshold under a budget is marked whenever it has moved so far


@dataclass(frozen=True)
class EccSnnParams(Filtered, Asking):
    """Parameters of ECC-SNN, and how it asks the cloud.

    Attributes
    ----------
    buffer : what devices learn from: what was routed to the cloud, or `match LABEL`, as many
        samples per device and phase as LABEL uploaded, chosen at random.
    bucket : `{rate, burst}` of tokens on the uplink; an upload takes one, and where there is none
        the edge answers.
    budget : `{latency}` or `{energy}`, which a task may take on average, and the `gain` with which
        the threshold follows what tasks really take.
    """

    buffer: str = "routed"
    bucket: Bucket | None = None
    budget: Budget | None = None

    def __post_init__(self) -> None:
        Filtered.__post_init__(self)
        if self.buffer != "routed" and not self.buffer.startswith("match "):
            raise ValueError(f"buffer: expected routed or 'match LABEL', got {self.buffer!r}")
        if self.budget is not None and self.filter in ("energy", "oracle"):
            raise ValueError(
                f"budget: expected a filter whose score lies in [0, 1], got {self.filter}"
            )
        if self.budget is not None and isinstance(self.threshold, dict):
            raise ValueError("threshold: expected a number, from which the budget moves it")


class EccSnn(Offloading[EccSnnParams]):
    """Answer at the edge when confident, else ask the cloud (Algorithm 1)."""

    Params = EccSnnParams

    def __init__(self, params: EccSnnParams):
        super().__init__(params)
        self._filter = Filter(params)
        self._matching = Matching()
        self._buckets: dict[str, TokenBucket] = {}
        self._controllers: dict[str, Controller] = {}
        self._marked: dict[str, float] = {}

    def prepare(self, validation: Validation) -> None:
        """Let the filter look at the validation pool."""
        self._filter.prepare(validation)

    def serve(self, task: Task, ctx: Context) -> Serving:
        """Infer on the device; upload when its score exceeds the threshold."""
        serving = Offloading.serve(self, task, ctx)
        return self._within_budget(serving, task, ctx) if self.params.budget else serving

    def routes(self, task: Task, edge: Prediction, ctx: Context) -> bool:
        """Whether the sample is ambiguous to the device (Eq. 4), and a token left for it."""
        params = self.params
        if params.budget is not None:
            score = self._filter.score(edge, task.sample_id)
            is_ambiguous = score > self._controller(task.device, ctx).threshold
        else:
            is_ambiguous = bool(self.offloads_sample(edge, task.sample_id))
        if params.bucket is None or not is_ambiguous:
            return is_ambiguous
        bucket = self._buckets.get(task.device)
        if bucket is None:
            bucket = self._buckets[task.device] = TokenBucket(params.bucket)
        return bucket.take(ctx.now)

    def keeps(self, task: Task, edge: Prediction, ctx: Context, is_routed: bool) -> bool:
        """Whether the device learns from the sample: where it was routed, or at random."""
        if self.params.buffer == "routed":
            return is_routed
        toss = ctx.random(_STREAM, task.device).random()
        return self._matching.is_chosen(toss, task.device, task.phase, ctx)

    def offloads(self, edge: Prediction) -> bool | None:
        """Whether a prediction is ambiguous; None where more than the prediction decides."""
        params = self.params
        if params.filter == "oracle" or not self._is_by_threshold:
            return None
        return self._filter.score(edge, -1) > self._filter.threshold(edge.model)

    def offloads_sample(self, edge: Prediction, sample_id: int) -> bool | None:
        """Whether a prediction of a sample is ambiguous; None under a budget."""
        if self.params.filter != "oracle":
            return self.offloads(edge)
        return self._filter.score(edge, sample_id) > self._filter.threshold(edge.model)

    def score(self, edge: Prediction, sample_id: int) -> float:
        """Give how unsure the filter finds a prediction."""
        return self._filter.score(edge, sample_id)

    def threshold(self, model: ModelRef) -> float | None:
        """Give the threshold of a version; None under a budget, which has one per device."""
        return self._filter.threshold(model) if self._is_by_threshold else None

    def way(self) -> Way | None:
        """Give Algorithm 1's way; none where time decides too, or a time-out or a retry may."""
        params = self.params
        is_timed = params.bucket is not None or params.budget is not None
        if is_timed or not params.is_plain or type(self).routes is not EccSnn.routes:
            return None
        return Way(True, params.reply)

    @property
    def _is_by_threshold(self) -> bool:
        return self.params.budget is None

    def _within_budget(self, serving: Serving, task: Task, ctx: Context) -> Serving:
        """Let a task be served, then move the device's threshold by what it took."""
        answer = yield from serving
        budget = self.params.budget
        assert budget is not None
        controller = self._controller(task.device, ctx)
        is_timed = budget.latency is not None
        cost = ctx.now - task.t_arrive_s if is_timed else (yield ctx.spent())
        controller.measure(cost)
        if abs(controller.threshold - self._marked[task.device]) >= _MARKED:
            self._mark(task.device, controller.threshold, ctx)
        return answer

    def _controller(self, device: str, ctx: Context) -> Controller:
        found = self._controllers.get(device)
        if found is None:
            budget, first = self.params.budget, self.params.threshold
            assert budget is not None and not isinstance(first, dict)
            found = self._controllers[device] = Controller(budget, first)
            self._mark(device, first, ctx)
        return found

    def _mark(self, device: str, threshold: float, ctx: Context) -> None:
        self._marked[device] = threshold
        ctx.record(f"threshold {device}", threshold)

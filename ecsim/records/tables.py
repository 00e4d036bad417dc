"""The tables of a run, declared once: every column's name, type, unit and meaning.

The recorder, the readers, the file's own metadata and the data dictionary all follow from here.
A value that does not exist (the latency of a task that was never answered) is null in a column
marked nullable, and reads as NaN or NA; a float column that is not nullable always has a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STAGES = ("end", "edge", "cloud", "up", "down")
"""Stages of a task in the ledger's order: computing on three tiers, then the two directions."""

STATUSES = ("answered", "late", "in_flight", "dropped", "died")
"""How a task ended. `late`: arrived within the horizon, answered after it, while tasks drained."""

ANSWERED = ("answered", "late")
"""The statuses of a task that has an answer."""

LABEL_UPLOAD = "label_upload"
"""Name of the marks of uploads for the buffer alone; their value is the bytes sent."""

Dtype = Literal["text", "int32", "int64", "float64", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type, unit (empty: none) and meaning."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a run, stored as ``<name>.parquet``."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        """Give the column called `name`."""
        return self.columns[self.names.index(name)]


def _per_stage(suffix: str, unit: str, computing: str, sending: str) -> tuple[Column, ...]:
    where = {
        "end": f"{computing} end device",
        "edge": f"{computing} edge device",
        "cloud": f"{computing} cloud",
        "up": f"{sending} links towards the cloud or a peer",
        "down": f"{sending} links towards the device",
    }
    return tuple(
        Column(f"{stage}_{suffix}", "float64", unit, where[stage] + ", summed") for stage in STAGES
    )


_STRATEGY = Column("strategy", "text", "", "label of the strategy")
_DEVICE = Column("device", "text", "", "name of the device")
_PHASE = Column("phase", "int32", "", "phase of the schedule, from 0")

TASKS = Table(
    "tasks",
    "One row per task and strategy, also for tasks that were never answered.",
    (
        _STRATEGY,
        Column("task_id", "int64", "", "number of the task, the same under every strategy"),
        Column("device", "text", "", "device at which it arrived"),
        Column("phase", "int32", "", "phase in which it arrived, from 0"),
        Column("visit", "int32", "", "1 when this device sees the sample for the first time"),
        Column("sample_id", "int64", "", "row of the data set"),
        Column("corruption", "text", "", "kind and severity of what was seen; empty: clean"),
        Column("status", "text", "", "one of " + ", ".join(STATUSES)),
        Column("t_arrive_s", "float64", "s", "time of arrival"),
        Column("t_answer_s", "float64", "s", "time of the answer; null without one", nullable=True),
        Column("latency_s", "float64", "s", "t_answer_s - t_arrive_s", nullable=True),
        *_per_stage("wait_s", "s", "waiting for an engine of the", "waiting for the"),
        *_per_stage("service_s", "s", "being served by an engine of the", "serialisation on the"),
        Column("propagation_s", "float64", "s", "propagation on all links, which occupies nothing"),
        Column("route", "text", "", "tier that gave the answer; empty without one"),
        Column("uploaded", "bool", "", "a message of this task was sent to a cloud node"),
        Column("label", "int32", "", "true class, global id"),
        Column("predicted", "int32", "", "answered class, global id; -1 without an answer"),
        Column("correct", "bool", "", "it was answered, and with its true class"),
        Column("seen", "bool", "", "at arrival the device's version had a column for its class"),
        Column("new_in_phase", "bool", "", "its class is new in this phase, by the schedule"),
        Column(
            "normalized_entropy", "float64", "", "of the edge's prediction in [0, 1]", nullable=True
        ),
        Column("model_version", "int32", "", "version of the model that answered; -1 without one"),
        Column("model_key", "text", "", "content hash of the model that answered; may be empty"),
        Column("exit", "int32", "", "its exit that answered, from 0; -1 without an answer"),
        Column("deadline_met", "bool", "", "answered by its deadline; null: had none", True),
        *_per_stage("j", "J", "marginal energy of engines of the", "radio energy on the"),
        Column("wasted_j", "float64", "J", "energy of work that was abandoned, not in the stages"),
        Column("energy_j", "float64", "J", "sum of the stages' energy and wasted_j"),
        Column(
            "up_bytes",
            "float64",
            "B",
            "bytes sent towards the cloud; a message counts once, however many links",
        ),
        Column("down_bytes", "float64", "B", "bytes sent towards the device, counted alike"),
    ),
)

UPDATES = Table(
    "updates",
    "One row per model version that was deployed after the start.",
    (
        _STRATEGY,
        _DEVICE,
        Column("version", "int32", "", "version number, from 1"),
        Column("parent_key", "text", "", "content hash of the version it was trained from"),
        Column("key", "text", "", "content hash of this version"),
        Column("phase", "int32", "", "phase in which its training began: p + 1 after the end of p"),
        Column("n_samples", "int32", "", "samples it was trained on"),
        Column("n_classes", "int32", "", "classes it knows"),
        Column("new_classes", "text", "", "global ids of the classes it added, blank-separated"),
        Column("t_start_s", "float64", "s", "start of the training"),
        Column("t_deploy_s", "float64", "s", "from then on it serves"),
        Column("seconds", "float64", "s", "time on the training engine; null: not its own", True),
        Column("joules", "float64", "J", "energy of the training; null: not its own", True),
        Column("macs", "float64", "MAC", "counted work of the training; null: not its own", True),
        Column("source", "text", "", "own, or the label of the strategy whose version it is"),
        Column("train_loss", "float64", "", "loss at the end of the training", nullable=True),
        Column("trained_at", "text", "", "node that trained it; null: unknown", nullable=True),
        Column(
            "memory_bytes",
            "float64",
            "B",
            "counted memory of the training; null: not its own",
            True,
        ),
        Column(
            "sent_bytes", "float64", "B", "uploaded and sent back for it; null: not its own", True
        ),
    ),
)

ENERGY = Table(
    "energy",
    "Seconds and joules of each component in each state, over [warm-up, horizon].",
    (
        _STRATEGY,
        Column("node", "text", "", "name of the node"),
        Column("tier", "text", "", "end, edge or cloud"),
        Column("component", "text", "", "engine, transmitter, receiver or radio of the node"),
        Column("state", "text", "", "what it does; idle when nothing"),
        Column("seconds", "float64", "s", "time in the state"),
        Column("joules", "float64", "J", "energy in the state, with the component's idle power"),
        Column("marginal_j", "float64", "J", "of it, charged to tasks, trainings or tenants"),
    ),
)

PROBE = Table(
    "probe",
    "Deployed versions on the whole probe pool; takes no simulated time.",
    (
        _STRATEGY,
        _DEVICE,
        Column("version", "int32", "", "version of the edge model, from 0"),
        Column("key", "text", "", "content hash of the version"),
        _PHASE,
        Column("t_s", "float64", "s", "time of the probe"),
        Column("n", "int32", "", "probe samples"),
        Column("accuracy", "float64", "", "of the edge model alone, over all classes"),
        Column(
            "accuracy_known",
            "float64",
            "",
            "of the edge model, over classes it knows",
            nullable=True,
        ),
        Column(
            "system_accuracy",
            "float64",
            "",
            "of edge and cloud by the strategy's rule",
            nullable=True,
        ),
        Column("cur", "float64", "", "share that rule would upload", nullable=True),
        Column("cloud_accuracy", "float64", "", "of the cloud alone; null: not asked", True),
        Column(
            "threshold", "float64", "", "above which a score is uploaded; null: none", nullable=True
        ),
    ),
)

PROBE_CLASSES = Table(
    "probe_classes",
    "The probe of each version, by true class; `key` leads to the rows of `probe`.",
    (
        _STRATEGY,
        Column("key", "text", "", "content hash of the version"),
        Column("label", "int32", "", "true class, global id"),
        Column("known", "bool", "", "the version has a column for the class"),
        Column("n", "int32", "", "probe samples of the class"),
        Column("n_right", "int32", "", "of them, right at the edge alone"),
        Column("n_uploaded", "int32", "", "of them, uploaded by the rule; null: no rule", True),
        Column("n_system_right", "int32", "", "right by that rule; null: no rule", True),
        Column(
            "auroc",
            "float64",
            "",
            "share of pairs with a sample of a known class in which the one of this class scores "
            "higher; null: the class is known, or there is no score",
            True,
        ),
    ),
)

PROBE_BINS = Table(
    "probe_bins",
    "The probe of each version, by how sure it is; `key` leads to the rows of `probe`.",
    (
        _STRATEGY,
        Column("key", "text", "", "content hash of the version"),
        Column(
            "by",
            "text",
            "",
            "confidence: 15 equal bins of the largest probability, from 0; score: 20 bins of "
            "equally many samples by the strategy's score, surest first",
        ),
        Column("bin", "int32", "", "number of the bin, from 0; bins without samples have no row"),
        Column("known", "bool", "", "of samples whose class the version knows, or of the others"),
        Column("n", "int32", "", "probe samples"),
        Column("confidence", "float64", "", "mean of their largest probability"),
        Column("n_right", "int32", "", "of them, right at the edge"),
        Column("n_cloud_right", "int32", "", "right in the cloud; null: it was not asked", True),
    ),
)

QUEUES = Table(
    "queues",
    "One row per engine and link direction, over [warm-up, horizon].",
    (
        _STRATEGY,
        Column("place", "text", "", "name of the node or link"),
        Column("component", "text", "", "engine of the node, or direction of the link"),
        Column("n_servers", "int32", "", "jobs that it serves at once"),
        Column("n_jobs", "int64", "", "jobs that joined, without those of other tenants"),
        Column("offered_load", "float64", "", "work that tasks and tenants brought per capacity"),
        Column("utilisation", "float64", "", "share of its capacity in use, trainings included"),
        Column("mean_wait_s", "float64", "s", "mean wait of these jobs; null: none", nullable=True),
        Column("max_wait_s", "float64", "s", "longest wait of these jobs"),
        Column("mean_waiting", "float64", "", "how many of these jobs waited, mean over time"),
        Column("backlog_s", "float64", "s", "wait of a job that would join at the horizon"),
        Column("unstable_because", "text", "", "why it cannot keep up; empty when it can"),
    ),
)

MARKS = Table(
    "marks",
    "Figures that a strategy kept with `ctx.record`.",
    (
        _STRATEGY,
        Column("t_s", "float64", "s", "time of the record"),
        Column("name", "text", "", "what was recorded"),
        Column("value", "float64", "", "its value, in the strategy's own unit"),
    ),
)

BATTERIES = Table(
    "batteries",
    "One row per battery: what went in and out between the start and the horizon.",
    (
        _STRATEGY,
        Column("node", "text", "", "name of the node"),
        Column("capacity_j", "float64", "J", "charge when full"),
        Column("initial_j", "float64", "J", "charge at the start"),
        Column("final_j", "float64", "J", "charge at the horizon"),
        Column("charged_j", "float64", "J", "energy that it took up"),
        Column("drawn_j", "float64", "J", "energy that the node drew, idle power included"),
        Column("n_depleted", "int32", "", "times that it reached the cut-off"),
        Column("down_s", "float64", "s", "time that the node was out, for whatever reason"),
    ),
)

TABLES = (
    TASKS, UPDATES, ENERGY, PROBE, PROBE_CLASSES, PROBE_BINS, QUEUES, MARKS, BATTERIES,
)  # fmt: skip
"""The tables of every run."""

SERIES = Table(
    "series",
    "Engines, links and radios at equal distances in time; written with `run: {probe: …}`.",
    (
        _STRATEGY,
        Column("t_s", "float64", "s", "time of the reading"),
        Column("place", "text", "", "name of the node or link"),
        Column("component", "text", "", "engine, radio, or direction of the link"),
        Column("n_jobs", "int32", "", "jobs that wait or are served; null: a radio", nullable=True),
        Column("utilisation", "float64", "", "share of its capacity used since the last reading"),
        Column("watts", "float64", "W", "mean power since then; null: a link", nullable=True),
    ),
)

SPANS = Table(
    "spans",
    "What each of the first tasks, and each update, did when; written with `run: {trace: …}`.",
    (
        _STRATEGY,
        Column("task_id", "int64", "", "number of the task; -1: an update or other background"),
        Column("device", "text", "", "device at which the task arrived; empty: unknown"),
        Column("kind", "text", "", "task, wait, service or propagation"),
        Column("what", "text", "", "infer, compute, send or train; of a task its status"),
        Column("place", "text", "", "name of the node or link"),
        Column("component", "text", "", "engine of the node, or direction of the link"),
        Column("t_start_s", "float64", "s", "when it began"),
        Column("t_end_s", "float64", "s", "when it ended; a task without an answer: the run"),
    ),
)

WATCHED = (SERIES, SPANS)
"""The tables of runs that ask for them."""


def dictionary() -> str:
    """Give the data dictionary of all tables as Markdown.

    >>> print(dictionary()[:30].splitlines()[0])
    ## tasks.parquet
    """
    parts = []
    for table in (*TABLES, *WATCHED):
        rows = "\n".join(
            f"| `{c.name}` | {c.dtype}{' or null' if c.nullable else ''} | {c.unit} | {c.meaning} |"
            for c in table.columns
        )
        head = "| column | type | unit | meaning |\n|---|---|---|---|"
        parts.append(f"## {table.name}.parquet\n\n{table.meaning}\n\n{head}\n{rows}\n")
    return "\n".join(parts)

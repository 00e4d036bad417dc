"""Task rows as a test writes them down, one tuple each, handed to a recorder as columns."""

from itertools import groupby
from math import nan
from operator import itemgetter

import numpy as np

from ecsim.records.tables import ANSWERED, STAGES, STATUSES

TEXTS = ("device", "route", "model_key")


def store(recorder, rows):
    """Store rows of (strategy, task, status, t_answer_s, ledger, route, uploaded, label,
    predicted, seen, new_in_phase, normalized_entropy, model_version, model_key), in order.
    """
    for strategy, stretch in groupby(rows, itemgetter(0)):
        columns = as_columns(list(stretch))
        texts = {name: sorted(set(columns[name])) for name in TEXTS}
        for name, known in texts.items():
            columns[name] = np.array([known.index(text) for text in columns[name]])
        recorder.task_block(strategy, columns, texts)


def as_columns(rows):
    """Give the columns of `Recorder.task_block`, those of texts still as texts."""
    (_, tasks, statuses, t_answer_s, ledgers, routes, uploaded, labels, predicted, seen, new,
     entropies, versions, keys) = zip(*rows, strict=True)  # fmt: skip
    columns = {
        "task_id": [task.id for task in tasks],
        "device": [task.device for task in tasks],
        "phase": [task.phase for task in tasks],
        "visit": [task.visit for task in tasks],
        "sample_id": [task.sample_id for task in tasks],
        "t_arrive_s": [task.t_arrive_s for task in tasks],
        "deadline_s": [nan if task.deadline_s is None else task.deadline_s for task in tasks],
        "status": [STATUSES.index(status) for status in statuses],
        "t_answer_s": t_answer_s,
        "route": routes,
        "uploaded": uploaded,
        "label": labels,
        "predicted": predicted,
        "seen": seen,
        "new_in_phase": new,
        "normalized_entropy": entropies,
        "model_version": versions,
        "model_key": keys,
        "exit": [0 if status in ANSWERED else -1 for status in statuses],
        "propagation_s": [ledger.propagation_s for ledger in ledgers],
        "wasted_j": [ledger.wasted_j for ledger in ledgers],
        "up_bytes": [ledger.bytes[STAGES.index("up")] for ledger in ledgers],
        "down_bytes": [ledger.bytes[STAGES.index("down")] for ledger in ledgers],
    }
    for number, stage in enumerate(STAGES):
        columns[f"{stage}_wait_s"] = [ledger.wait_s[number] for ledger in ledgers]
        columns[f"{stage}_service_s"] = [ledger.service_s[number] for ledger in ledgers]
        columns[f"{stage}_j"] = [ledger.joules[number] for ledger in ledgers]
    return {name: values if name in TEXTS else np.array(values) for name, values in columns.items()}

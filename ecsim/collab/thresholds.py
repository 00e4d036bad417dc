"""Thresholds chosen on labelled data: the fewest uploads, or the best use of so many.

A sample is uploaded when its score exceeds the threshold, so that samples of equal score stay
together and not every number of uploads can be had.
"""

from __future__ import annotations

import numpy as np

from ecsim.core.types import BoolArray, FloatArray

_ULPS = 1e-9  # of a sample: shares such as .95 * 40 miss a whole number by a few last bits


def for_cur(scores: FloatArray, cur: float) -> float:
    """Give the threshold that uploads as large a share as possible, `cur` at most.

    Parameters
    ----------
    scores : how unsure the edge is of each sample, shape (N,), N >= 1.

    >>> for_cur(np.array([0.1, 0.9, 0.5, 0.7]), 0.5)
    0.5
    """
    rising = np.sort(scores)
    n = len(rising)
    k = int(np.floor(cur * n + _ULPS))
    return _below(rising) if k >= n else float(rising[n - k - 1])


def for_accuracy(
    scores: FloatArray, edge_right: BoolArray, cloud_right: BoolArray, accuracy: float
) -> float:
    """Give the threshold with the fewest uploads at which edge and cloud reach an accuracy.

    Where none does, that of the highest accuracy; of several equally good ones the one with the
    fewest uploads.

    Parameters
    ----------
    scores, edge_right, cloud_right : per sample, shape (N,), N >= 1.

    >>> for_accuracy(np.array([0.1, 0.9]), np.array([True, False]), np.array([True, True]), 1.0)
    0.1
    """
    falling = np.argsort(-scores, kind="stable")
    ordered = scores[falling]
    gains = np.asarray(cloud_right, int)[falling] - np.asarray(edge_right, int)[falling]
    n_right = int(np.sum(edge_right)) + np.concatenate([[0], np.cumsum(gains)])
    n = len(ordered)
    # k uploads are possible where the next score is smaller
    possible = np.flatnonzero(np.concatenate([[True], ordered[1:] < ordered[:-1], [True]]))
    enough = possible[n_right[possible] >= accuracy * n - _ULPS]
    k = int(enough[0] if len(enough) else possible[np.argmax(n_right[possible])])
    return float(ordered[k]) if k < n else _below(ordered)


def for_error(scores: FloatArray, edge_right: BoolArray, error: float) -> float:
    """Give the threshold with the fewest uploads at which few of the edge's answers are wrong.

    Parameters
    ----------
    scores, edge_right : per sample, shape (N,); of no samples nothing is known, and all of them
        are uploaded, as where no threshold is enough.
    error : the largest share of wrong ones among the answers that the edge gives itself.

    >>> for_error(np.array([0.1, 0.9, 0.5]), np.array([True, False, True]), 0.1)
    0.5
    """
    if not len(scores):
        return float("-inf")
    rising = np.argsort(scores, kind="stable")
    ordered = scores[rising]
    n_wrong = np.cumsum(~np.asarray(edge_right, bool)[rising])
    kept = np.arange(1, len(ordered) + 1)
    is_possible = np.append(ordered[1:] > ordered[:-1], True)
    enough = np.flatnonzero(is_possible & (n_wrong <= error * kept + _ULPS))
    return float(ordered[enough[-1]]) if len(enough) else _below(ordered)


def _below(scores: FloatArray) -> float:
    """Give a threshold that uploads everything."""
    return float(np.nextafter(scores.min(), -np.inf))

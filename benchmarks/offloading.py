"""Whether a small learned policy beats the best fixed threshold in worlds new to both.

Usage: python benchmarks/offloading.py

Three sets of worlds that share no seed: the policy is searched on TRAINING by the cross-entropy
method (Rubinstein and Kroese, 2004), the threshold is chosen on VALIDATION, both are compared on
HELD_OUT, world by world. Writes benchmarks/results/offloading.json; about two CPU-minutes.
"""

import json
import platform
import time
from pathlib import Path

import numpy as np

from ecsim.rl import Worlds
from ecsim.statistics.interval import paired_t

ROOT = Path(__file__).parent
TRAINING, VALIDATION, HELD_OUT = range(3), range(100, 120), range(2000, 2030)
THRESHOLDS = np.round(np.linspace(0.0, 0.5, 26), 3).tolist()
N_ROUNDS, N_CANDIDATES, N_ELITE = 14, 24, 5


def linear(weights):
    """Give the policy that `learned` has with these weights."""
    return lambda features: weights[0] + float(np.dot(weights[1:], features)) > 0.0


def mean_reward(worlds, policy, seeds):
    """Give the mean over worlds of the mean reward per task."""
    return float(np.mean([result.reward for result in worlds.play_all(policy, seeds)]))


def search(worlds, seeds, rng, n_rounds=N_ROUNDS):
    """Give weights found by the cross-entropy method, and the mean reward after each round.

    Features are standardised first, and noise that fades keeps the search from settling early
    (Szita and Lorincz, 2006).
    """
    centre, scale = moments(worlds, seeds)
    n = 1 + len(centre)
    mean, spread = np.zeros(n), np.ones(n)
    history = []
    for i in range(n_rounds):
        tried = mean + spread * rng.normal(size=(N_CANDIDATES, n))
        raw = [unscaled(weights, centre, scale) for weights in tried]
        earned = [mean_reward(worlds, linear(weights), seeds) for weights in raw]
        elite = tried[np.argsort(earned)[-N_ELITE:]]
        noise = max(0.0, 0.5 * (1 - 2 * i / n_rounds))
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + noise
        history.append(mean_reward(worlds, linear(unscaled(mean, centre, scale)), seeds))
    return unscaled(mean, centre, scale), history


def moments(worlds, seeds):
    """Give mean and deviation of the features when every third task is uploaded by lot."""
    seen, rng = [], np.random.default_rng(1)

    def by_lot(features):
        seen.append(features)
        return rng.random() < 1 / 3

    worlds.play_all(by_lot, seeds)
    return np.mean(seen, axis=0), np.std(seen, axis=0)


def unscaled(weights, centre, scale):
    """Give the weights of raw features that equal these of standardised ones."""
    raw = weights[1:] / scale
    return [float(weights[0] - raw @ centre), *raw.tolist()]


def main():
    """Search, choose, compare, and write what came out."""
    started = time.process_time()
    worlds = Worlds(ROOT.parent / "scenarios" / "rl" / "offloading.yaml", "learned")
    weights, history = search(worlds, TRAINING, np.random.default_rng(0))
    by_threshold = {
        threshold: mean_reward(worlds, lambda f, t=threshold: f[0] > t, VALIDATION)
        for threshold in THRESHOLDS
    }
    best = max(by_threshold, key=by_threshold.get)
    learned = worlds.play_all(linear(weights), HELD_OUT)
    fixed = worlds.play_all(lambda f: f[0] > best, HELD_OUT)
    gain = paired_t([r.reward for r in learned], [r.reward for r in fixed])
    found = {
        "weights": weights,
        "training_reward_by_round": history,
        "threshold": best,
        "validation_reward_by_threshold": by_threshold,
        "held_out": {
            name: {
                figure: float(np.mean([getattr(result, figure) for result in results]))
                for figure in ("reward", "accuracy", "offloaded", "latency_s", "energy_j")
            }
            for name, results in (("learned", learned), ("fixed", fixed))
        },
        "gain": {"mean": gain.mean, "low": gain.low, "high": gain.high, "n": gain.n},
        "worlds_where_learned_is_better": int(
            sum(a.reward > b.reward for a, b in zip(learned, fixed, strict=True))
        ),
        "cpu_s": time.process_time() - started,
        "machine": platform.platform(),
    }
    (ROOT / "results" / "offloading.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

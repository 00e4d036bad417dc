"""Axes become settings: counted by hand, and by what each design promises."""

import numpy as np
import pytest

from ecsim.experiment.design import at, n_settings, sample, settings
from ecsim.scenario.section import Context
from ecsim.scenario.sweep import Range, Sweep

CONTEXT = Context(None, None)


def cells(*axes):
    sweep = Sweep.model_validate({"axes": list(axes)}, context=CONTEXT)
    found = [{k: value.plain for k, value in setting.items()} for setting in settings(sweep)]
    assert len(found) == n_settings(sweep)
    return found


def between(**data):
    return Range.model_validate(data, context=CONTEXT)


def test_axes_multiply_and_the_last_varies_fastest():
    found = cells(
        {"keys": {"a": [1, 2], "b": ["x", "y"]}},
        {"kind": "zip", "keys": {"c": [1, 2, 3], "d": {"from": 0.1, "to": 0.5, "n": 3}}},
        {"kind": "list", "cells": [{"e": 1, "f": 2}, {"e": 3, "f": 4}]},
    )
    assert len(found) == 4 * 3 * 2
    assert found[0] == {"a": 1, "b": "x", "c": 1, "d": 0.1, "e": 1, "f": 2}
    assert found[1] == {"a": 1, "b": "x", "c": 1, "d": 0.1, "e": 3, "f": 4}
    assert found[2] == {"a": 1, "b": "x", "c": 2, "d": 0.3, "e": 1, "f": 2}
    assert found[-1] == {"a": 2, "b": "y", "c": 3, "d": 0.5, "e": 3, "f": 4}


@pytest.mark.parametrize(
    ("given", "share", "value"),
    [
        ({"from": "500 kbit/s", "to": "2 Mbit/s", "scale": "log"}, 0.5, "1.0 Mbit/s"),
        ({"from": "1 s", "to": "1 min"}, 1.0, "1.0 min"),
        ({"from": 1, "to": 100, "scale": "log"}, 0.5, 10),
        ({"from": 0, "to": 1}, 0.25, 0.25),
        ({"from": 1, "to": 9, "whole": True}, 0.3, 3),
    ],
)
def test_values_of_a_range_keep_its_unit(given, share, value):
    found = at(between(**given), share)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("n", [5, 8, 12])
def test_a_latin_hypercube_has_each_stratum_once(n):
    points = sample("latin_hypercube", n, 3, np.random.default_rng(1))
    for column in points.T:
        assert sorted(np.floor(column * n)) == list(range(n))


def test_sobol_points_are_balanced_in_every_half_and_quarter():
    points = sample("sobol", 16, 4, np.random.default_rng(1))
    for column in points.T:
        assert list(np.bincount((column * 16).astype(int), minlength=16)) == [1] * 16
    assert sample("sobol", 11, 2, np.random.default_rng(1)).shape == (11, 2)


@pytest.mark.parametrize("kind", ["random", "latin_hypercube", "sobol"])
def test_drawn_axes_depend_on_their_seed_alone(kind):
    axis = {"kind": kind, "n": 7, "keys": {"a": {"from": 1, "to": 2}, "b": ["x", "y", "z"]}}
    one, two = cells({**axis, "seed": 4}), cells({**axis, "seed": 4})
    assert one == two != cells({**axis, "seed": 5})
    assert all(1 <= cell["a"] <= 2 and cell["b"] in "xyz" for cell in one)

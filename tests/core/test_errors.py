"""Errors come whole out of another process."""

import pickle

from ecsim.core.errors import Problem, ScenarioError


def test_problems_survive_a_process_border():
    error = ScenarioError([Problem("expected a, got b", "x.y", "s.yaml", 3, 4), Problem("also")])
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems
    assert str(again) == str(error)

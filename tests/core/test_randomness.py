"""A stream is numpy's own for the words of its seed and name, whatever way they are handed over."""

import hashlib

import numpy as np
import pytest

from ecsim.core.randomness import Streams


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**70])
def test_a_stream_is_that_of_the_plain_list_of_words(seed):
    words = np.frombuffer(hashlib.sha256(b"arrivals/cam[0]").digest(), dtype="<u4").tolist()
    right = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
    found = Streams(seed)("arrivals", "cam[0]")
    assert found.integers(2**62, size=4).tolist() == right.integers(2**62, size=4).tolist()

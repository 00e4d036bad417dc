"""Corrupted variants of images: what each kind does, stronger with severity, always the same."""

import numpy as np
import pytest
from scipy import ndimage

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.variants import KINDS, N_VARIANTS, variant
from ecsim.data.corrupted import PARAMETERS, Corrupted, corrupt
from ecsim.data.dataset import Pixels

RNG = np.random.default_rng(4)
RAW = RNG.integers(0, 256, (12, 3, 20, 16), dtype=np.uint8)
RAW[0] = 128
PIXELS = RAW / 255.0


def of(image, kind, severity, name="a"):
    return corrupt(image, kind, severity, Streams(1)(name))


@pytest.mark.parametrize("kind", KINDS)
def test_stronger_with_severity_within_black_and_white_and_the_same_again(kind):
    distances = []
    for severity in range(1, 6):
        found = of(PIXELS[1], kind, severity)
        assert found.shape == PIXELS[1].shape and found.min() >= 0 and found.max() <= 1
        assert np.array_equal(found, of(PIXELS[1], kind, severity))
        distances.append(np.abs(found - PIXELS[1]).mean())
    assert distances[0] > 0 and (np.diff(distances) > 0).all()


def test_noise_has_its_deviation_and_its_own_stream():
    grey = np.full((3, 64, 64), 0.5)
    for severity, deviation in enumerate(PARAMETERS["noise"][:2], start=1):  # hardly ever clipped
        noise = of(grey, "noise", severity) - grey
        n = noise.size  # 6 standard errors
        assert abs(noise.mean()) < 6 * deviation / np.sqrt(n)
        assert noise.std() == pytest.approx(deviation, rel=6 / np.sqrt(2 * n))
    assert not np.array_equal(of(grey, "noise", 1), of(grey, "noise", 1, "b"))


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_blur_is_that_of_another_implementation(severity):
    sigma = PARAMETERS["blur"][severity - 1]
    radius = int(np.ceil(3 * sigma))
    expected = ndimage.gaussian_filter(
        PIXELS[2], sigma=(0, sigma, sigma), mode="nearest", radius=(0, radius, radius)
    )
    np.testing.assert_allclose(of(PIXELS[2], "blur", severity), expected, atol=1e-12)


def test_brightness_contrast_and_occlusion():
    image = 0.3 + 0.3 * PIXELS[3]
    np.testing.assert_allclose(of(image, "brightness", 2), image + 0.2, atol=1e-12)
    flat = of(image, "contrast", 5)
    np.testing.assert_allclose(flat.mean(axis=(1, 2)), image.mean(axis=(1, 2)), atol=1e-12)
    spread = [values.std(axis=(1, 2)) for values in (flat, image)]
    np.testing.assert_allclose(spread[0], 0.05 * spread[1], rtol=1e-9)
    covered = of(image, "occlusion", 4) != image
    rows, columns = np.flatnonzero(covered[0].any(axis=1)), np.flatnonzero(covered[0].any(axis=0))
    assert covered[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert covered.mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("form", ["bytes", "floats"])
def test_variants_stand_behind_the_clean_samples(form):
    images = Pixels(RAW, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    if form == "floats":
        images = PIXELS.astype(np.float32) * 4 - 1  # some other range
    corrupted, n = Corrupted(images), len(RAW)
    assert corrupted.shape == (n * N_VARIANTS, 3, 20, 16)
    clean = corrupted[np.arange(n)]
    assert clean.dtype == np.float32 and np.array_equal(clean, images[np.arange(n)])
    number = variant("brightness", 3)
    one = corrupted[np.array([number * n + 5, 5])]
    assert np.array_equal(one[1], clean[5])
    expected = (PIXELS[5] + 0.3).clip(0, 1)
    back = one[0] * np.reshape([0.2, 0.25, 0.3], (3, 1, 1)) + np.reshape([0.4, 0.5, 0.6], (3, 1, 1))
    if form == "floats":
        back = (one[0] + 1) / 4
        low, high = PIXELS.min(), PIXELS.max()
        expected = (PIXELS[5] + 0.3 * (high - low)).clip(low, high)
    np.testing.assert_allclose(back, expected, atol=1e-5)


def test_a_variant_does_not_depend_on_what_is_read_with_it():
    corrupted, n = Corrupted(Pixels(RAW)), len(RAW)
    ids = np.array([variant(kind, 2) * n + i for i, kind in enumerate(KINDS)])
    together = corrupted[ids]
    for row, one in enumerate(ids[::-1]):
        assert np.array_equal(corrupted[np.array([one])][0], together[::-1][row])


def test_frames_of_events_are_refused():
    with pytest.raises(UserError, match=r"^corruptions: expected still images"):
        Corrupted(Pixels(np.zeros((2, 4, 2, 8, 8), np.uint8)))

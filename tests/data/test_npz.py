import numpy as np
import pytest

from ecsim.core.errors import DataError
from ecsim.core.registry import names, resolve
from ecsim.data.dataset import Dataset
from ecsim.data.digits import Digits
from ecsim.data.npz import Npz
from ecsim.scenario.files import File


def saved(folder, **arrays):
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return Npz(Npz.Params(path=File(path.name, path)))


def small(n=6):
    return {"x": np.zeros((n, 3, 4, 4), np.uint8), "y": np.arange(n) % 2}


def contract(data: Dataset):
    assert data.images[:2].dtype == np.float32 and data.images.ndim == 4
    assert data.labels.dtype == np.int64 and data.labels.shape == data.images.shape[:1]
    assert sorted(set(data.labels.tolist())) == list(range(data.n_classes))
    assert np.isfinite(data.images[:]).all() and data.sample_bytes > 0
    assert len(data.fingerprint) == 64


def test_digits():
    data = Digits(Digits.Params()).load()
    contract(data)
    assert data.images.shape == (1797, 1, 8, 8) and data.n_classes == 10
    assert data.images.min() == -1 and data.images.max() == 1 and data.sample_bytes == 64
    assert data.fingerprint == Digits(Digits.Params()).load().fingerprint
    assert "digits" in names("data") and resolve("data", "digits") is Digits


def test_digits_are_those_that_scikit_learn_gives():
    from sklearn.datasets import load_digits

    data, right = Digits(Digits.Params()).load(), load_digits()
    assert (data.images[:, 0] * 8 + 8 == right.images).all()
    assert (data.labels == right.target).all()


def test_npz_of_bytes_and_of_floats(tmp_path):
    grey = small() | {"x": np.full((6, 4, 4), 255, np.uint8)}
    data = saved(tmp_path, **grey).load()
    contract(data)
    assert data.images.shape == (6, 1, 4, 4) and (data.images[:] == 1).all()
    assert data.sample_bytes == 16 and data.name == "mine"
    floats = small() | {"x": np.full((6, 3, 4, 4), 0.25)}
    data = saved(tmp_path, **floats).load()
    contract(data)
    assert (data.images[:] == 0.25).all() and data.sample_bytes == 3 * 16 * 8


def test_fingerprint_sees_images_and_labels():
    images, labels = np.zeros((4, 1, 2, 2), np.float32), np.array([0, 1, 0, 1])
    first = Dataset("a", images, labels, 2, 4.0).fingerprint
    assert first == Dataset("b", images.copy(), labels, 2, 9.0).fingerprint
    assert first != Dataset("a", images, labels[::-1], 2, 4.0).fingerprint
    assert first != Dataset("a", images + 1, labels, 2, 4.0).fingerprint
    assert first != Dataset("a", images.reshape(4, 1, 4, 1), labels, 2, 4.0).fingerprint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "'x' and 'y'"),
        (small() | {"x": np.zeros((6, 4))}, "shape"),
        (small() | {"x": np.zeros((6, 3, 4, 4), np.int32)}, "uint8 or float"),
        (small() | {"x": np.full((6, 3, 4, 4), np.nan)}, "not finite"),
        (small() | {"y": np.zeros(5, int)}, "6 integers"),
        (small() | {"y": np.zeros(6)}, "integers"),
        (small() | {"y": np.array([0, 0, 2, 2, 2, 2])}, "absent"),
        (small() | {"y": np.array([-1, 0, 1, 1, 1, 1])}, "labels 0"),
        (small() | {"y": np.zeros(6, int)}, "K >= 2"),
        (small() | {"y": np.array([{}] * 6, object)}, "plain arrays"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        saved(tmp_path, **arrays).load()


def test_files_that_are_none(tmp_path):
    missing = Npz(Npz.Params(path=File("absent.npz", tmp_path / "absent.npz")))
    with pytest.raises(DataError, match=r"absent\.npz"):
        missing.load()
    for content in (b"", b"not a zip", b"PK\x03\x04 truncated"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError, match="not a readable"):
            Npz(Npz.Params(path=File("bad.npz", tmp_path / "bad.npz"))).load()
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(DataError, match="without a name"):
        Npz(Npz.Params(path=File("single.npy", tmp_path / "single.npy"))).load()


def test_names_of_arrays_and_groups(tmp_path):
    named = {"X": small()["x"], "word": small()["y"], "speaker": np.array(list("bbacca"))}
    path = tmp_path / "mine.npz"
    np.savez(path, **named)
    params = Npz.Params(path=File(path.name, path), x="X", y="word", group="speaker")
    data = Npz(params).load()
    contract(data)
    assert data.groups.tolist() == [1, 1, 0, 2, 2, 0] and data.group_names == ("a", "b", "c")
    with pytest.raises(DataError, match="'speakers'"):
        Npz(Npz.Params(path=File(path.name, path), x="X", y="word", group="speakers")).load()
    np.savez(path, **(named | {"speaker": np.zeros(2)}))
    with pytest.raises(DataError, match=r"expected 'speaker' of shape \(6,\)"):
        Npz(params).load()

"""Each format against a small set written here byte by byte, and against damaged files."""

import gzip
import io
import itertools
import pickle
import struct
import tarfile

import numpy as np
import pytest

from ecsim.core.errors import DataError
from ecsim.core.registry import resolve
from ecsim.data.catalogue import add, states
from ecsim.data.cifar import Cifar10, Cifar100, read_batch
from ecsim.data.dataset import Pixels
from ecsim.data.events import frames
from ecsim.data.idx import read_idx
from ecsim.scenario.files import Place

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("ECSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ECSIM_DATA", str(tmp_path / "sets"))


def make(name, place=None, **params):
    cls = resolve("data", name)
    if place is not None:
        params["path"] = Place(str(place), place)
    return cls(cls.Params(**params))


def contract(data):
    n = len(data.labels)
    assert data.images.shape[0] == n and data.images[:3].dtype == np.float32
    assert data.labels.dtype == np.int64 and np.isfinite(data.images[: n // 2]).all()
    assert sorted(set(data.labels.tolist())) == list(range(data.n_classes))
    assert len(set(data.test.tolist())) == len(data.test) and set(data.test) <= set(range(n))
    assert data.sample_bytes > 0 and len(data.fingerprint) == 64
    assert len(data.class_names) in (0, data.n_classes)


def idx(values):
    values = np.asarray(values, np.uint8)
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def write_mnist(folder, compress=True):
    folder.mkdir(parents=True)
    written = {}
    for part, n in (("train", 20), ("t10k", 10)):
        x = RNG.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        written[part] = x
        for kind, values in (("images-idx3", x), ("labels-idx1", np.arange(n) % 10)):
            name, content = f"{part}-{kind}-ubyte", idx(values)
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return written


@pytest.mark.parametrize("compress", [True, False])
def test_idx(tmp_path, compress):
    written = write_mnist(tmp_path / "sets" / "mnist", compress)
    data = make("mnist").load()
    contract(data)
    assert data.images.shape == (30, 1, 28, 28) and data.test.tolist() == list(range(20, 30))
    expected = written["t10k"][2].astype(np.float64) / 127.5 - 1
    assert np.abs(data.images[22][0] - expected).max() < 1e-6
    again = make("mnist").load()  # from the cache
    assert again.fingerprint == data.fingerprint and isinstance(again.images, Pixels)
    assert isinstance(again.images.raw, np.memmap)


def test_a_missing_set_names_files_and_place(tmp_path):
    (tmp_path / "sets" / "fashion_mnist").mkdir(parents=True)
    with pytest.raises(DataError) as error:
        make("fashion_mnist").load()
    for part in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "ECSIM_DATA",
                 str(tmp_path / "sets" / "fashion_mnist")):  # fmt: skip
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "IDX"),
        (idx(np.zeros((2, 3))), "in 3 dimensions"),
        (idx(np.zeros((2, 3, 4)))[:-1], "expected 24 values"),
        (idx(np.zeros((2, 3, 4))) + b"x", "got 25"),
        (b"\x00\x00\x0d\x03" + bytes(12), "IDX"),
    ],
)
def test_damaged_idx(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x", 3)
    (tmp_path / "x.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "x.gz", 3)


def write_cifar(folder, cls, per_batch=20):
    (folder / cls.folder).mkdir(parents=True)
    written = []
    for name in (*cls.train, *cls.tests):
        n = max(per_batch, cls.n_classes)
        x = RNG.integers(0, 256, (n, 3072)).astype(np.uint8)
        written.append(x)
        batch = {b"data": x, cls.label_key: (np.arange(n) % cls.n_classes).tolist()}
        (folder / cls.folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return np.concatenate(written)


@pytest.mark.parametrize("cls", [Cifar10, Cifar100])
def test_cifar(tmp_path, cls):
    written = write_cifar(tmp_path / "here", cls)
    data = make(cls.name, tmp_path / "here").load()
    contract(data)
    assert data.images.shape[1:] == (3, 32, 32) and data.augmentation.flip
    red = written[7, :1024].reshape(32, 32) / 255
    assert np.abs(data.images[7][0] - (red - cls.mean[0]) / cls.deviation[0]).max() < 1e-5
    inside = make(cls.name, tmp_path / "here" / cls.folder).load()
    assert inside.fingerprint == data.fingerprint


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({b"data": Evil()}), "refused: it names"),
        (pickle.dumps({b"data": io.BytesIO(b"")}), "refused: it names"),
        (pickle.dumps([1, 2]), "expected a batch, got list"),
        (b"", "not a readable batch"),
        (pickle.dumps({b"data": 1})[:-3], "not a readable batch"),
    ],
)
def test_a_batch_runs_no_code(tmp_path, capsys, content, message):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_batch(tmp_path / "batch")
    assert not capsys.readouterr().out


def picture(value, size=(6, 6), mode="RGB"):
    from PIL import Image

    file = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write_files(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


PARTS = {
    f"top/{part}/{label}/{k}.png": picture(40 * k + value)
    for part in ("train", "test")
    for value, label in enumerate(("bee", "ant"))
    for k in range(3)
}


def test_pictures_in_folders_and_in_an_archive_are_the_same(tmp_path):
    write_files(tmp_path / "mine", PARTS)
    data = make("pictures", tmp_path / "mine").load()
    contract(data)
    assert data.class_names == ("ant", "bee") and len(data.labels) == 12
    assert data.test.tolist() == list(range(6, 12))
    assert data.images[1][0, 0, 0] == np.float32((41 / 255 - 0.5) / 0.5)  # ant/1.png
    with tarfile.open(tmp_path / "mine.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "mine", arcname=".")
    packed = make("pictures", tmp_path / "mine.tar.xz").load()
    assert packed.fingerprint == data.fingerprint
    assert np.array_equal(packed.labels, data.labels)


def test_tiny_imagenet_layout(tmp_path):
    write_files(
        tmp_path / "sets" / "tiny_imagenet" / "tiny-imagenet-200",
        {f"train/n0{c}/images/n0{c}_{k}.png": picture(c, (64, 64)) for c in (1, 2) for k in (0, 1)}
        | {f"val/images/val_{k}.png": picture(9, (64, 64)) for k in (0, 1)}
        | {"val/val_annotations.txt": b"val_0.png\tn02\t0\t0\nval_1.png\tn01\t0\t0\n"},
    )
    data = make("tiny_imagenet").load()
    contract(data)
    assert data.labels.tolist() == [0, 0, 1, 1, 1, 0] and data.test.tolist() == [4, 5]


def test_caltech_layout_scales_and_leaves_clutter_out(tmp_path):
    names = ("BACKGROUND_Google", "crab", "lotus")
    write_files(
        tmp_path / "sets" / "caltech101" / "101_ObjectCategories",
        {f"{name}/image_{k}.png": picture(7, (300, 200)) for name in names for k in (1, 2)},
    )
    data = make("caltech101").load()
    contract(data)
    assert data.class_names == ("crab", "lotus") and data.images.shape == (4, 3, 64, 64)
    assert len(data.test) == 0


def test_cifar10_as_pictures_from_the_folder_of_data_sets(tmp_path):
    with pytest.raises(DataError, match="expected the folders train and test"):
        make("cifar10_pictures").load()
    parts = {f"{part}/{name}/1.png": picture(3, (32, 32)) for part in ("test", "train")
             for name in ("cat", "dog")}  # fmt: skip
    write_files(tmp_path / "sets" / "cifar10_pictures", parts)
    data = make("cifar10_pictures").load()
    contract(data)
    assert data.class_names == ("cat", "dog") and data.images.shape == (4, 3, 32, 32)
    assert data.test.tolist() == [2, 3]


def test_pictures_that_do_not_fit(tmp_path):
    write_files(tmp_path / "none", {"a.txt": b""})
    with pytest.raises(DataError, match="expected pictures"):
        make("pictures", tmp_path / "none").load()
    write_files(tmp_path / "one", {"a/1.png": picture(1)})
    with pytest.raises(DataError, match="two classes"):
        make("pictures", tmp_path / "one").load()
    write_files(tmp_path / "broken", {"a/1.png": picture(1), "b/1.png": b"no picture"})
    with pytest.raises(DataError, match=r"b/1\.png: not a readable picture"):
        make("pictures", tmp_path / "broken").load()
    write_files(tmp_path / "wide", {"a/1.png": picture(1, (8, 6)), "b/1.png": picture(1)})
    with pytest.raises(DataError, match=r"data\.size, got 8 x 6"):
        make("pictures", tmp_path / "wide").load()
    assert make("pictures", tmp_path / "wide", size=4, grey=True).load().images.shape[1:] == (
        1,
        4,
        4,
    )


def test_events_to_frames_against_a_loop():
    n, steps = 500, 7
    x, y = RNG.integers(0, 34, (2, n))
    p, t = RNG.integers(0, 2, n), np.sort(RNG.integers(0, 3000, n))
    expected = np.zeros((steps, 2, 34, 34), int)
    length = int(t[-1] - t[0])
    for k in range(n):
        step = min((int(t[k]) - int(t[0])) * steps // length, steps - 1)
        expected[step, p[k], y[k], x[k]] += 1
    assert np.array_equal(frames((x, y, p, t), steps, 34), expected)
    assert not frames((x[:0], y[:0], p[:0], t[:0]), steps, 34).any()


def test_nmnist_folders_and_npz_are_the_same(tmp_path):
    arrays, folder = {}, tmp_path / "bin"
    for part, title in (("train", "Train"), ("test", "Test")):
        n_events = RNG.integers(1, 9, 10)
        x, y = RNG.integers(0, 34, (2, n_events.sum()))
        p, t = RNG.integers(0, 2, n_events.sum()), RNG.integers(0, 300_000, n_events.sum())
        offset = np.concatenate([[0], np.cumsum(n_events)])
        fields = {"x": x, "y": y, "p": p, "t": t, "offset": offset, "label": np.arange(10)}
        arrays |= {f"{name}_{part}": values for name, values in fields.items()}
        for k, (a, b) in enumerate(itertools.pairwise(offset)):
            rows = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1)[a:b]
            write_files(folder, {f"{title}/{k}/{k:05}.bin": rows.astype(np.uint8).tobytes()})
    np.savez(tmp_path / "events.npz", **arrays)
    data = make("nmnist", tmp_path / "events.npz", steps=3).load()
    contract(data)
    assert data.images.shape == (20, 3, 2, 34, 34) and set(np.unique(data.images[:])) == {0, 1}
    assert make("nmnist", folder, steps=3).load().fingerprint == data.fingerprint
    counted = make("nmnist", folder, steps=1, values="count").load()
    assert counted.images[:].sum() == len(arrays["x_train"]) + len(arrays["x_test"])
    (folder / "Train" / "0" / "00000.bin").write_bytes(b"1234")
    with pytest.raises(DataError, match="5 bytes"):
        make("nmnist", folder, steps=3).load()


def test_adding_and_listing(tmp_path):
    write_mnist(tmp_path / "download")
    assert {s.name: not s.problem for s in states()}["mnist"] is False
    with pytest.raises(DataError, match="--name"):  # not the published files
        add(tmp_path / "download")
    assert add(tmp_path / "download", "mnist") == ("mnist", tmp_path / "sets" / "mnist")
    assert {s.name: not s.problem for s in states()}["mnist"] is True
    contract(make("mnist").load())
    with pytest.raises(DataError, match="not empty"):
        add(tmp_path / "download", "mnist")
    with pytest.raises(DataError, match="cifar-10-batches-py"):
        add(tmp_path / "download", "cifar10")
    assert not (tmp_path / "sets" / "cifar10").exists()
    with pytest.raises(DataError, match="existing"):
        add(tmp_path / "absent", "mnist")


def test_an_archive_cannot_write_outside(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../outside")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DataError, match="cannot be added"):
        add(tmp_path / "evil.tar", "cifar10")
    assert not (tmp_path / "sets" / "outside").exists() and not (tmp_path / "outside").exists()


def test_a_damaged_cache_is_cleared(tmp_path):
    write_mnist(tmp_path / "sets" / "mnist")
    make("mnist").load()
    entry = next((tmp_path / "cache" / "data").iterdir())
    (entry / "x.npy").write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        make("mnist").load()
    contract(make("mnist").load())

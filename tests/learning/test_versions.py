import threading
from pathlib import Path

import pytest
import torch
from tiny_net import equal, weights_of

from ecsim.core.cache import cache_folder
from ecsim.core.errors import DataError, StoreError
from ecsim.core.types import ModelRef
from ecsim.learning.cache import Artefact, ArtefactCache
from ecsim.learning.keys import Architecture, content_key
from ecsim.learning.versions import Recipe, VersionStore
from ecsim.learning.weights import load_weights

KEY = "ab" * 32


def artefact(tiny, seed=0):
    return Artefact.of(tiny.build([(0, 1)], seed), {"loss": 0.5}, "a test")


def broken():
    raise AssertionError("must not be made")


@pytest.fixture
def cache(tmp_path):
    warnings = []
    cache = ArtefactCache(tmp_path / "cache", warnings.append)
    cache.warnings = warnings
    return cache


def test_made_once_and_read_back(cache, tiny):
    made, was_there = cache.get_or_make(KEY, lambda: artefact(tiny))
    assert not was_there
    read, was_there = ArtefactCache(cache.folder).get_or_make(KEY, broken)
    assert was_there and equal(read.state, made.state)
    assert (read.head_classes, read.metrics, read.what) == (((0, 1),), {"loss": 0.5}, "a test")
    assert [entry.key for entry in cache.entries()] == [KEY]
    assert cache.entries()[0].size_bytes > 0
    assert cache.clear() == 1 and cache.entries() == [] and cache.clear() == 0
    assert cache.warnings == []


def flip_last_weight(path):
    content = bytearray(path.read_bytes())
    stored = torch.load(path, weights_only=True)
    raw = next(iter(stored["state_dict"].values())).numpy().tobytes()
    content[content.find(raw)] ^= 1
    path.write_bytes(bytes(content))


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "garbage": lambda path: path.write_text("not a cache entry"),
    "one bit": flip_last_weight,
    "another key's": lambda path: torch.save(
        torch.load(path, weights_only=True) | {"key": "cd" * 32}, path
    ),
    "other content": lambda path: torch.save({"key": KEY}, path),
    "code in it": lambda path: torch.save(Path, path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_rebuilt_and_said(cache, tiny, damage):
    cache.get_or_make(KEY, lambda: artefact(tiny))
    DAMAGE[damage](cache.folder / f"{KEY}.pt")
    rebuilt, was_there = cache.get_or_make(KEY, lambda: artefact(tiny, seed=1))
    assert not was_there and equal(rebuilt.state, artefact(tiny, seed=1).state)
    assert len(cache.warnings) == 1
    assert KEY in cache.warnings[0] and "was unreadable and is rebuilt" in cache.warnings[0]
    assert cache.get_or_make(KEY, broken)[1]


def test_an_interrupted_making_leaves_nothing(cache, tiny):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get_or_make(KEY, interrupted)
    assert cache.entries() == []
    assert not cache.get_or_make(KEY, lambda: artefact(tiny))[1]
    assert not list(cache.folder.glob("*.part"))


def test_two_at_once_make_one(cache, tiny):
    started, go_on, calls = threading.Event(), threading.Event(), []

    def slow():
        calls.append(1)
        started.set()
        assert go_on.wait(10)
        return artefact(tiny)

    results = []
    ask = [
        threading.Thread(target=lambda: results.append(cache.get_or_make(KEY, slow)))
        for _ in range(2)
    ]
    ask[0].start()
    assert started.wait(10)
    ask[1].start()
    go_on.set()
    for thread in ask:
        thread.join(10)
    assert len(calls) == 1 and sorted(was_there for _, was_there in results) == [False, True]


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ECSIM_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" and ArtefactCache().entries() == []
    monkeypatch.delenv("ECSIM_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "ecsim"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="ECSIM_CACHE"):
        ArtefactCache(tmp_path / "file").get_or_make(KEY, broken)


def ref(key=KEY, classes=(0, 1)):
    return ModelRef("edge", 0, key, classes, 0)


class Kitchen:
    """Recipes that count how often they are used."""

    def __init__(self, tiny):
        self.tiny = tiny
        self.log = []

    def recipe(self, name, seed=0, after=None):
        def train():
            if after is not None:
                after()
            self.log.append(name)
            return self.tiny.build([(0, 1)], seed), {"loss": 1.0}

        return Recipe(name, self.tiny, train)


def test_trained_when_first_read_in_order_of_need(tiny, cache):
    kitchen, said = Kitchen(tiny), []
    store = VersionStore(cache, lambda what, seconds: said.append((what, seconds is None)))
    first, second = ref("1" * 64), ref("2" * 64)
    store.add(second, kitchen.recipe("child", 2, after=lambda: store.net(first)))
    store.add(first, kitchen.recipe("parent", 1))
    assert kitchen.log == [] and first in store and ref("3" * 64) not in store
    net = store.net(second)
    assert kitchen.log == ["parent", "child"] and not net.training
    assert said == [("child", True), ("parent", True), ("parent", False), ("child", False)]
    assert store.net(second) is net and len(kitchen.log) == 2
    assert [made.what for made in store.made] == ["parent", "child"]
    assert not any(made.is_cached for made in store.made)
    with pytest.raises(KeyError):
        store.net(ref("3" * 64))

    later = VersionStore(cache, broken)
    later.add(second, kitchen.recipe("child"))
    assert equal(weights_of(later.net(second)), weights_of(net)) and len(kitchen.log) == 2
    assert later.made[0].is_cached and later.made[0].metrics == {"loss": 1.0}


def test_without_a_cache(tiny):
    kitchen = Kitchen(tiny)
    store = VersionStore()
    store.add(ref(), kitchen.recipe("only"))
    store.add(ref(), kitchen.recipe("too late"))
    assert store.net(ref()) is store.net(ref()) and kitchen.log == ["only"]


def test_an_entry_that_does_not_fit_the_version_is_rebuilt(tiny, cache):
    cache.get_or_make(KEY, lambda: Artefact.of(tiny.build([(0, 3)]), {}, "other classes"))
    kitchen = Kitchen(tiny)
    store = VersionStore(cache)
    store.add(ref(), kitchen.recipe("right"))
    assert store.net(ref()).classes == (0, 1) and len(cache.warnings) == 1


def test_keys(compute, tiny, tmp_path, monkeypatch):
    import importlib

    parts = ["ab", "c"]
    assert content_key(compute, *parts) == content_key(compute, *parts)
    assert content_key(compute, "ab", "c") != content_key(compute, "a", "bc")
    assert content_key(compute, 1) != content_key(compute, 1.0)
    # an edited plugin is another thing, though its name and params are the same
    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for body in ("pass", "x = 1"):
        (tmp_path / "my_plugin_for_keys.py").write_text(f"class Mine:\n    {body}\n")
        keys.add(content_key(compute, importlib.import_module("my_plugin_for_keys").Mine))
    assert len(keys) == 2


def test_users_weights(tiny, tmp_path, cache):
    net = tiny.build([(2, 0)], seed=5)
    path = tmp_path / "mine.pt"
    torch.save(net.state_dict(), path)
    assert equal(weights_of(load_weights(path, tiny, (2, 0))), weights_of(net))
    cache.get_or_make(KEY, lambda: artefact(tiny, seed=6))
    entry = load_weights(cache.folder / f"{KEY}.pt", tiny, (0, 1))
    assert equal(weights_of(entry), artefact(tiny, seed=6).state)
    with pytest.raises(DataError, match="does not fit"):
        load_weights(path, tiny, (2, 0, 1))
    with pytest.raises(DataError, match="does not fit vgg"):
        load_weights(path, Architecture("vgg", None, (1, 2, 2)), (2, 0))
    assert load_weights(cache.folder / f"{KEY}.pt", tiny, (5, 6)).classes == (0, 1)  # it says so
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a file of plain weights"):
        load_weights(path, tiny, (2, 0))
    with pytest.raises(DataError):
        load_weights(tmp_path / "absent.pt", tiny, (2, 0))

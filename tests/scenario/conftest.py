"""A valid scenario to change, and a loader with the fake names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lookup import FakeLookup, Read

from ecsim.scenario import Loaded, load

VALID = """\
name: small
seed: 7
data: {name: digits}
stream:
  schedule: {kind: class_incremental, base_classes: 4, increment: 2}
  phase: 60 s
  arrivals: {kind: poisson, rate: 2 /s}
topology:
  nodes:
    cam: {count: 4, tier: edge, card: darwin3}
    cloud: {tier: cloud, card: rtx3090}
  links:
    - {between: [cam, cloud], card: wifi_2012}
models:
  edge: {name: spiking_vgg, size: small, steps: 4}
  cloud: {name: vgg, size: small}
strategies:
  - {name: ecc_snn, threshold: 0.3}
  - {name: edge_only}
  - {name: random_offload, rate: match ecc_snn}
"""


@pytest.fixture
def valid() -> str:
    return VALID


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Give a function that loads a text, or files of which the first is the scenario."""

    def read(text: str | Mapping[str, str], **overrides: Any) -> Loaded:
        files = {"s.yaml": text} if isinstance(text, str) else text
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
        return load(
            tmp_path / next(iter(files)),
            lookup=FakeLookup(),
            overrides=overrides.get("set", {}),
        )

    return read

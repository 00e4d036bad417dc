"""500 images: trained, updated and simulated in one go (a minute of CPU time at the most)."""

import pytest

import ecsim

SCENARIO = """
version: 1
name: subset
seed: 3
data: {name: digits, samples: 500}
stream:
  schedule: {kind: class_incremental, base_classes: 4, increment: 6}
  phase: 20 s
  arrivals: {kind: poisson, rate: 3 /s}
  payload: 60 kB
topology:
  nodes:
    cam:   {tier: edge, card: EDGE}
    cloud: {tier: cloud, card: rtx3090}
  links:
    - {between: [cam, cloud], card: wifi_2012}
models:
  edge:  MODEL
  cloud: {name: vgg, size: small}
learning:
  cloud: {epochs: 8}
  setup: {name: joint_distillation, epochs: 8}
  update: {name: self_distillation, epochs: 8}
strategies: [{name: ecc_snn}, {name: edge_only}]
"""


@pytest.mark.parametrize(
    ("card", "model"),
    [
        ("darwin3", "{name: spiking_vgg, size: small, steps: 2}"),
        ("raspberry_pi_4b_int8", "{name: relu_vgg, size: small, numbers: int8}"),
    ],
)
def test_500_digits(tmp_path, card, model):
    file = tmp_path / "subset.yaml"
    file.write_text(SCENARIO.replace("EDGE", card).replace("MODEL", model))
    run = ecsim.run(file, out=tmp_path / "runs")
    assert sum(map(len, run.manifest["pools"].values())) <= 500
    what = [training["what"] for training in run.manifest["trainings"]]
    assert {"cloud training", "set-up of the edge", "update 1 of cam"} <= {*what}
    of = {label: run.summary[label] for label in ("ecc_snn", "edge_only")}
    assert of["ecc_snn"]["accuracy"] > of["edge_only"]["accuracy"] > 0.1
    assert of["ecc_snn"]["probe_accuracy"]["last"] > of["ecc_snn"]["probe_accuracy"]["first"]
    assert (run.updates["n_classes"] > 4).any()
    assert run.manifest["cpu_s"] < 60

"""AFLKD's Fig. 10 as shipped: what the page says about it, and the exchange's share by hand."""

from pathlib import Path

import pytest

from ecsim.report.layers import layer_times
from ecsim.runtime.run import run_scenario

SCENARIO = Path(__file__).parents[2] / "scenarios" / "split" / "aflkd_fig10.yaml"
INPUTS = {  # channels and width of what each convolution reads
    1: [(3, 224), (32, 224), (32, 224)],
    2: [(32, 112), (48, 112)],
    3: [(48, 56), *[(80, 56)] * 4],
}


@pytest.mark.slow
def test_splitting_over_two_equal_clusters_takes_between_half_and_all_the_time(tmp_path):
    run = run_scenario(SCENARIO, out=tmp_path)
    ratios = []
    for blocks in (1, 2, 3):
        whole, split = (layer_times(run, f"edge{blocks}_{how}") for how in ("whole", "split"))
        is_conv = (whole["layer_kind"] == "conv").to_numpy()
        others = (split["seconds"] / whole["seconds"])[~is_conv]
        assert others.to_numpy() == pytest.approx(0.5, abs=1e-9)  # activations and poolings
        ratios.append(split["seconds"][is_conv].sum() / whole["seconds"][is_conv].sum())
        read = [each for block in range(1, blocks + 1) for each in INPUTS[block]]
        exchange_s = [8 * 4 * n * width / 940e6 + 0.15e-3 for n, width in read]
        halves_s = split["seconds"][is_conv].to_numpy() - exchange_s
        # half the arithmetic; the first convolution is bound by memory, and its halo is read too
        assert halves_s[1:] == pytest.approx(whole["seconds"][is_conv].to_numpy()[1:] / 2)
        assert halves_s[0] == pytest.approx(whole["seconds"].iloc[0] / 2, rel=1e-2)
    assert ratios == pytest.approx([0.576, 0.586, 0.604], abs=1e-3)  # as the page says

"""Rows, tiles and halos against vectors, brute force over index sets, and properties."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.partition.spatial.overlap import grid_overlap, vertical_overlap
from ecsim.partition.spatial.plans import plan_split
from ecsim.partition.spatial.presets import aflkd_stack
from ecsim.partition.spatial.shares import Split, apportion
from ecsim.partition.spatial.stacks import Stack, conv, pointwise, pool
from ecsim.partition.spatial.windows import Window

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "spatial.json"


def vectors(name):
    if not VECTORS.exists():
        pytest.skip("no shared vectors beside the repository")
    return json.loads(VECTORS.read_text())[name]


def stack_of(case):
    channels, (height, width) = case["channels"], case["input_hw"]
    layers = []
    for i, layer in enumerate(case["layers"]):
        kernel, stride = layer["kernel"], layer["stride"]
        padding, dilation = layer["padding"], layer["dilation"]
        if layer["type"] == "conv":
            made = conv(f"{i}", channels, channels, kernel, stride, padding, dilation)
        else:
            assert dilation == 1
            made = pool(f"{i}", channels, kernel, stride, padding)
        layers.append(made)
    return Stack((channels, height, width), tuple(layers))


def split_of(case):
    weights = case["proportions"] or [1] * case["n"]
    return Split(tuple(weights))


def pair(rows):
    return [rows.start, rows.stop]


def test_survey_formulas_count_what_the_vectors_count():
    for case in vectors("survey_formula"):
        m, f, s, n = (case[key] for key in ("m", "f", "s", "n"))
        for name, formula in (("vertical", vertical_overlap), ("grid", grid_overlap)):
            if f"{name}_counted" in case:
                assert formula(m, f, s, n) == case[f"{name}_counted"]


def test_fused_splits_need_the_rows_of_the_vectors():
    for case in vectors("row_partition"):
        stack = stack_of(case)
        plan = plan_split(stack, split_of(case), "fused", overlapped=True)
        (segment,) = plan.segments
        for part, expected in enumerate(case["fused"]):
            assert pair(segment.outputs[part].rows) == expected["output_rows"]
            rows = [pair(tile.rows) for tile in segment.inputs[part]]
            assert rows == expected["input_rows_per_layer"], case["stack"]
            assert segment.macs[part] == expected["macs"]
        assert stack.macs == case["macs_full"]
        assert plan.macs == case["fused_macs_total"]
        assert plan.redundant_macs == case["fused_redundant_macs"]
        assert [shape.height for shape in stack.shapes] == case["heights"]
        assert [shape.width for shape in stack.shapes] == case["widths"]
        assert plan.halo_elements == 0


def test_layer_wise_splits_fetch_the_halos_of_the_vectors():
    for case in vectors("row_partition"):
        plan = plan_split(stack_of(case), split_of(case), "layers")
        for segment, expected in zip(plan.segments, case["layerwise"], strict=True):
            for part, halo in enumerate(expected["halo"]):
                fetches = [f for f in segment.fetches if f.part == part]
                assert pair(segment.owned[part].rows) == halo["own"]
                assert pair(segment.outputs[part].rows) == halo["out"]
                assert pair(segment.inputs[part][0].rows) == halo["need"]
                assert sorted(f.source for f in fetches) == sorted(halo["from_parts"])
                rows = sum(len(f.tile.rows) for f in fetches)
                assert rows == halo["rows_from_others"], case["stack"]
            elements = sum(f.elements for f in segment.fetches)
            assert elements == expected["halo_elements_total"]
        assert plan.halo_elements == case["layerwise_halo_elements_total"]
        assert plan.redundant_macs == 0


windows = st.builds(
    Window,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)


@given(windows, st.integers(13, 24), st.data())
@settings(max_examples=300, deadline=None)
def test_needed_rows_are_the_hull_of_all_taps(window, size, data):
    height = window.output_size(size)
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    touched = [
        row
        for output in range(start, stop)
        for tap in range(window.kernel)
        if 0 <= (row := output * window.stride - window.padding + tap * window.dilation) < size
    ]
    found = window.needs(range(start, stop), size)
    assert (list(found) == []) if not touched else found == range(min(touched), max(touched) + 1)


@given(st.integers(0, 300), st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_shares_are_within_one_row_of_their_proportion(size, weights):
    if not any(weights):
        with pytest.raises(ValueError, match="not all 0"):
            apportion(size, weights)
        return
    counts = apportion(size, weights)
    assert sum(counts) == size
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count * sum(weights) - size * weight) < sum(weights)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(4, 30), st.integers(4, 30))
def test_tiles_are_disjoint_and_cover_the_map(rows, cols, height, width):
    seen = [
        (r, c)
        for tile in Split.equal(rows, cols).tiles(height, width)
        for r in tile.rows
        for c in tile.cols
    ]
    assert len(seen) == len(set(seen)) == height * width


@given(
    st.lists(windows, min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["layers", "fused"]),
)
@settings(max_examples=150, deadline=None)
def test_every_tile_is_covered_by_what_the_part_owns_and_fetches(found, rows, cols, grouping):
    from dataclasses import replace

    layers = tuple(
        replace(conv(f"{i}", 2, 2, 1), rows=window, cols=window) for i, window in enumerate(found)
    )
    try:
        stack = Stack((2, 40, 31), layers)
    except ValueError:
        return
    plan = plan_split(stack, Split.equal(rows, cols, empty="drop"), grouping)
    for segment in plan.segments:
        channels = stack.shapes[segment.start].channels
        for part, inputs in enumerate(segment.inputs):
            own = (inputs[0] & segment.owned[part]).pixels
            fetched = [f for f in segment.fetches if f.part == part]
            assert all(f.source != part and f.tile.pixels for f in fetched)
            assert sum(f.elements for f in fetched) == channels * (inputs[0].pixels - own)


def test_thin_blocks_fetch_from_two_neighbours_away():
    stack = Stack((1, 6, 4), (conv("c", 1, 1, 5, padding=2),))
    (segment,) = plan_split(stack, Split.equal(6)).segments
    assert [f.source for f in segment.fetches if f.part == 3] == [1, 2, 4, 5]


def test_odd_heights_before_a_pooling_need_an_exchange():
    stack = Stack((1, 15, 4), (pool("p", 1, 2),))
    (segment,) = plan_split(stack, Split.equal(3)).segments
    assert [(f.part, f.source, f.tile.rows) for f in segment.fetches] == [(0, 1, range(5, 6))]


def test_halos_are_exchanged_after_the_activation():
    stack = aflkd_stack(2, (3, 16, 16))
    for grouping in ("layers", "convolutions"):
        plan = plan_split(stack, Split.equal(2), grouping)
        names = [stack.layers[s.start].name for s in plan.segments if s.fetches]
        assert names == ["conv1_1", "conv1_2", "conv1_3", "conv2_1", "conv2_2"]
        # one row each way of 3, 32, 32 channels of 16 columns, and 32, 48 of 8
        assert plan.halo_elements == 2 * (16 * (3 + 32 + 32) + 8 * (32 + 48))


def test_blocks_end_in_poolings():
    plan = plan_split(aflkd_stack(3, (3, 32, 32)), Split.equal(2), "blocks")
    assert [plan.stack.layers[s.stop - 1].name for s in plan.segments] == [
        "pool1",
        "pool2",
        "pool3",
    ]


def test_empty_parts_are_refused_or_dropped():
    stack = Stack((1, 3, 4), (conv("c", 1, 1, 3, padding=1),))
    with pytest.raises(ValueError, match="leave part 3 empty"):
        plan_split(stack, Split.equal(4))
    (segment,) = plan_split(stack, Split.equal(4, empty="drop")).segments
    assert segment.macs == (36, 36, 36, 0)
    assert all(3 not in (f.part, f.source) for f in segment.fetches)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Window(0),
        lambda: Window(3).output_size(2),
        lambda: apportion(4, [1, float("nan")]),
        lambda: apportion(4, [1, -1]),
        lambda: vertical_overlap(8, 1, 2, 2),
        lambda: vertical_overlap(9, 3, 1, 2),
        lambda: grid_overlap(8, 3, 1, 3),
        lambda: aflkd_stack(5, (3, 32, 32)),
        lambda: Stack((1, 2, 2), (conv("c", 1, 1, 5),)),
        lambda: plan_split(aflkd_stack(1, (3, 8, 8)), Split.equal(2), [1]),
        lambda: plan_split(aflkd_stack(1, (3, 8, 8)), Split.equal(2), [0, 4, 4]),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_pointwise_layers_cost_no_macs_and_no_exchange():
    stack = Stack((4, 9, 9), (pointwise("relu", 4),))
    plan = plan_split(stack, Split.equal(2, 2))
    assert plan.macs == plan.halo_elements == 0
    assert plan.gather == (100, 80, 80, 64)

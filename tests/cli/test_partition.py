"""ecsim partition: the table, the picture, and messages for what cannot be."""

import json

import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli

MOBILE = ("mobilenet", "--shape", "3,32,32", "--between", "edge=raspberry_pi_4b,cloud")


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, ["partition", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def plan(*arguments):
    return json.loads(call(*MOBILE, "--json", *arguments))


def test_a_slow_link_keeps_layers_and_a_fast_one_sends_the_sample():
    def nodes(found):
        return {layer["node"] for layer in found["layers"] if layer["kind"] != "input"}

    fast = plan("--bandwidth", "10 Gbit/s", "--latency", "0 ms", "--setting", "objective=latency")
    assert nodes(fast) == {"cloud"}
    assert fast["sent_bytes"] == [3072.0, 100.0]  # a byte per value, and the answer
    slow = plan("--bandwidth", "100 kbit/s")
    assert nodes(slow) == {"edge"}
    assert slow["sent_bytes"] == []
    macs = sum(layer["macs"] for layer in slow["layers"])
    # by the card: 2 ms a call and 8 G multiply-accumulates per second
    assert slow["latency_s"] == pytest.approx(2e-3 + macs / 8e9, rel=1e-12)


def test_table_and_picture(tmp_path):
    picture = tmp_path / "cut.png"
    output = call(*MOBILE, "--bandwidth", "10 Gbit/s", "--latency", "0 ms", "-o", picture)
    assert "3072 crosses" in output
    assert "the plan: " in output
    assert "all at edge: " in output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg", "--between", "edge,clout"), "did you mean 'cloud'"),
        (("vgg", "--between", "edge"), "expected two nodes or more"),
        (("vgg", "--between", "edge,cloud", "--link", "wifi"), "--link: expected a link card"),
        (("vgg", "--between", "edge,cloud", "--codec", "int4"), "unknown codec 'int4'"),
        (("vgg", "--between", "edge,cloud", "--partitioner", "best"), "unknown partitioner"),
        (("vgg", "--between", "edge,cloud", "--setting", "goal=energy"), "goal: unknown key"),
        (("vgg", "--between", "edge,cloud", "--bandwidth", "20"), "--bandwidth: "),
        (("vgg", "--between", "edge,cloud", "--bandwidth", "-8 Mbit/s"), "expected more than 0"),
        (("vgg", "--between", "edge,cloud", "--bandwidth", "0 bit/s"), "expected more than 0"),
        (("vgg", "--between", "edge,cloud", "--reply", "-1 B"), "--reply: expected at least 0"),
        (("vgg", "--between", "edge,cloud", "-o", "cut.gif"), "expected a file of pdf, svg, png"),
    ],
)
def test_mistakes_are_said(arguments, message):
    assert message in call(*arguments, code=2)

"""Quantities: what is read, what is refused, and that writing then reading changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ecsim.core.units import BitPerSecond, Bytes, Seconds, Unit, format_si

SYMBOLS = {
    "time": "s",
    "rate": "/s",
    "bit rate": "bit/s",
    "size": "B",
    "energy": "J",
    "power": "W",
    "throughput": "op/s",
    "energy per bit": "J/bit",
}


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        ("time", "60 s", 60.0),
        ("time", "5ms", 0.005),
        ("time", " 250 us ", 250e-6),
        ("time", "250 µs", 250e-6),
        ("time", "2 min", 120.0),
        ("time", "1.5 h", 5400.0),
        ("time", "1 d", 86400.0),
        ("time", "-1 s", -1.0),
        ("time", ".5 s", 0.5),
        ("time", "1e-3 s", 0.001),
        ("time", "1_000 s", 1000.0),
        ("rate", "2 /s", 2.0),
        ("rate", "120 /min", 2.0),
        ("rate", "3 /ms", 3000.0),
        ("rate", "50 Hz", 50.0),
        ("rate", "1 kHz", 1000.0),
        ("bit rate", "20 Mbit/s", 20e6),
        ("bit rate", "1 Gbps", 1e9),
        ("bit rate", "1 MB/s", 8e6),
        ("bit rate", "1 KiB/s", 8192.0),
        ("size", "60 kB", 60e3),
        ("size", "1 KiB", 1024.0),
        ("size", "1 MiB", 1048576.0),
        ("size", "8 kbit", 1000.0),
        ("energy", "0.9 pJ", 0.9e-12),
        ("energy", "1 Wh", 3600.0),
        ("power", "350 mW", 0.35),
        ("throughput", "34 Gop/s", 34e9),
        ("energy per bit", "76.7 nJ/bit", 76.7e-9),
    ],
)
def test_reads_a_number_with_its_unit(dimension: str, text: str, value: float) -> None:
    assert Unit(dimension).parse(text) == value


@pytest.mark.parametrize(
    ("dimension", "text"),
    [
        ("time", 60),
        ("time", 0.0),
        ("time", True),
        ("time", None),
        ("time", "60"),
        ("time", ""),
        ("time", "s"),
        ("time", "60 kB"),
        ("time", "60 S"),
        ("time", "60 ks"),  # nobody counts kiloseconds
        ("time", "1 s s"),
        ("time", "1,5 s"),
        ("time", "inf s"),
        ("time", "nan s"),
        ("time", "1e999 s"),
        ("time", "1e9999 s"),
        ("time", "0x10 s"),
        ("bit rate", "20 mbit/s"),  # a prefix of one thousandth: surely a slip
        ("bit rate", "20 Mbit"),
        ("size", "60 KB"),  # neither 1000 nor 1024 for sure
        ("energy", "1 W"),
    ],
)
def test_refuses_what_is_no_quantity(dimension: str, text: object) -> None:
    with pytest.raises(ValueError, match=f"expected a {dimension} such as '"):
        Unit(dimension).parse(text)


def test_the_message_names_the_wrong_unit() -> None:
    with pytest.raises(ValueError, match=r"got '60 kB'; 'kB' is not a unit of time"):
        Unit("time").parse("60 kB")


def test_reading_rounds_once() -> None:
    assert Unit("time").parse("0.1 ms") == 0.0001  # 0.1 * 0.001 gives another float
    assert Unit("energy").parse("0.3 pJ") == 0.3e-12


@given(st.sampled_from(sorted(SYMBOLS)), st.floats(allow_nan=False, allow_infinity=False))
def test_writing_and_reading_gives_the_same_float(dimension: str, value: float) -> None:
    unit = Unit(dimension)
    assert unit.symbol == SYMBOLS[dimension]
    assert unit.parse(format_si(value, unit.symbol)) == value


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    try:
        value = Unit("size").parse(text)
    except ValueError:
        return
    assert value - value == 0  # finite


@pytest.mark.parametrize(("kind", "text"), [(Seconds, "5 ms"), (BitPerSecond, "1 Mbit/s")])
def test_pydantic_reads_and_writes_through_the_unit(kind: type[float], text: str) -> None:
    adapter = TypeAdapter(kind)
    value = adapter.validate_python(text)
    assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value


def test_pydantic_refuses_a_bare_number() -> None:
    with pytest.raises(ValidationError, match="without a unit"):
        TypeAdapter(Bytes).validate_python(5.0)


def test_the_json_schema_is_text_with_an_example() -> None:
    schema = TypeAdapter(Seconds).json_schema()
    assert schema == {"type": "string", "description": "a time such as '60 s'"}

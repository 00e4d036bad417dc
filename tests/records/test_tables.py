import pytest

from ecsim.records.tables import ANSWERED, STAGES, STATUSES, TABLES, TASKS, WATCHED, dictionary

ALL = (*TABLES, *WATCHED)


def test_the_dictionary_explains_every_column_of_every_table():
    sections = dictionary().split("## ")[1:]
    assert [section.splitlines()[0] for section in sections] == [f"{t.name}.parquet" for t in ALL]
    for table, section in zip(ALL, sections, strict=True):
        lines = [line for line in section.splitlines() if line.startswith("| `")]
        assert len(lines) == len(table.columns)
        for column, line in zip(table.columns, lines, strict=True):
            _, name, dtype, unit, meaning, _ = (cell.strip() for cell in line.split("|"))
            assert name == f"`{column.name}`"
            assert dtype.split()[0] == column.dtype
            assert ("null" in dtype) == column.nullable
            assert (unit, meaning) == (column.unit, column.meaning)
            assert len(meaning) > 8


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_units_agree_with_the_suffix_of_the_name(table):
    assert len(set(table.names)) == len(table.names)
    units = {"_s": "s", "_j": "J", "_bytes": "B"}
    for column in table.columns:
        for suffix, unit in units.items():
            if column.name.endswith(suffix):
                assert column.unit == unit, column


def test_each_stage_has_its_wait_service_and_energy():
    for stage in STAGES:
        for suffix in ("wait_s", "service_s", "j"):
            assert TASKS[f"{stage}_{suffix}"].dtype == "float64"


def test_the_recorder_may_tell_an_answer_by_the_first_statuses():
    assert STATUSES[: len(ANSWERED)] == ANSWERED

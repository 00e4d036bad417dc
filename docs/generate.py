"""Write the reference pages that follow from declarations: python docs/generate.py."""

from pathlib import Path

from ecsim.records.metrics import MEANINGS
from ecsim.records.tables import dictionary

REFERENCE = Path(__file__).parent / "reference"
TABLES = """# Tables

A run's folder holds these as Parquet; `ecsim.load(run)` gives them as pandas frames. Generated from
their declarations.

"""
METRICS = """# Metrics

What `summary.json`, `ecsim show RUN --json` and `assert:` entries know of each strategy. Generated
from their declarations.

| metric | unit | meaning |
|---|---|---|
"""


def main() -> None:
    """Write both pages."""
    (REFERENCE / "tables.md").write_text(TABLES + dictionary())
    rows = (f"| `{name}` | {unit} | {meaning} |\n" for name, (unit, meaning) in MEANINGS.items())
    (REFERENCE / "metrics.md").write_text(METRICS + "".join(rows))


if __name__ == "__main__":
    main()

"""Write the reference pages that follow from declarations: python docs/generate.py."""

from pathlib import Path

from ecsim.records.metrics import MEANINGS
from ecsim.records.tables import dictionary
from ecsim.scenario.claims import Claim, Other, Suite
from ecsim.scenario.section import Section

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
CLAIMS = """# Claims suites

What a file for `ecsim claims` may say; how to use it is in [how to compare](../how-to/compare.md).
A claim needs `id` and `text`; unless it is `not_testable` or `by_construction` also `metric`,
`arm`, `sei` and one of `against`, `value` and `over`. Generated from the declarations.
"""
_OF_CLAIMS: tuple[tuple[str, type[Section]], ...] = (
    ("The suite", Suite), ("A claim", Claim), ("`against` as a mapping", Other),
)  # fmt: skip


def claims() -> str:
    """Give the page of the keys of a claims suite."""
    page = CLAIMS
    for title, section in _OF_CLAIMS:
        page += f"\n## {title}\n\n| key | default | meaning |\n|---|---|---|\n"
        for key, field in section.fields_by_key().items():
            default = "" if field.is_required() or not field.default else f"`{field.default}`"
            default = "required" if field.is_required() else default
            default = "" if "Undefined" in default else default
            page += f"| `{key}` | {default} | {field.description} |\n"
    return page


def main() -> None:
    """Write the pages."""
    (REFERENCE / "tables.md").write_text(TABLES + dictionary())
    rows = (f"| `{name}` | {unit} | {meaning} |\n" for name, (unit, meaning) in MEANINGS.items())
    (REFERENCE / "metrics.md").write_text(METRICS + "".join(rows))
    (REFERENCE / "claims.md").write_text(claims())


if __name__ == "__main__":
    main()

"""Write the reference pages that follow from declarations: python docs/generate.py."""

import inspect
import json
from pathlib import Path

from ecsim.core.registry import names, resolve
from ecsim.records.metrics import MEANINGS
from ecsim.records.tables import dictionary
from ecsim.scenario.claims import Claim, Elsewhere, Other, Suite, There
from ecsim.scenario.params import params_spec
from ecsim.scenario.section import Section
from ecsim.scenario.stream import Corruption, Local
from ecsim.scenario.sweep import Axis, Range, Search, Sweep, SweepFile

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
    ("`interaction` and `averaged_with`", Elsewhere), ("`against` in these", There),
)  # fmt: skip
SWEEP = """# Sweep files

What `ecsim sweep` and `ecsim search` read: the sections `sweep` and `search`, in a scenario or in a
file of its own. Generated from the declarations; see [how to sweep](../how-to/sweep.md).
"""
STREAMS = """# Streams

What `stream.schedule`, `stream.skew`, `stream.local` and `stream.corruptions` may say; how to
use it is in [how to say what devices see](../how-to/streams.md). Generated from the declarations.
"""
PARTITIONERS = """# Partitioners

Names for `ecsim partition --algorithm` and for strategies that split a network, with the parameters
each takes. Algorithms and their sources: `ecsim.partition.plans`. Of plans that cost the same, the
one that sends fewest bytes wins, then the one with most layers near the device. Generated from the
declarations; see [how to cut a network](../how-to/partition.md).
"""
_OF_SWEEPS: tuple[tuple[str, type[Section]], ...] = (
    ("A file of its own", SweepFile), ("`sweep`", Sweep), ("An entry of `axes`", Axis),
    ("A range, where a list of values may stand too", Range), ("`search`", Search),
)  # fmt: skip


RESULTS = Path(__file__).parent.parent / "results" / "reference"
VERDICTS = """# Verdicts on ECC-SNN's claims

What `ecsim claims` found: effects with their 95 % intervals over replicates, in SI units and shares
of 1 (.01 is a point), beside those of the paper where it has one. The verdicts are from code, by
rules that were fixed before ([how to read them](../how-to/compare.md#claims)); what they mean for
the paper is in [ECC-SNN, claim by claim](../background/ecc-snn.md).
"""
SUITES = {"Digits": "claims", "Fashion-MNIST": "claims-fashion", "CIFAR-10": "claims-cifar"}
SUITE = """
## {title}

`scenarios/ecc_snn/{name}.yaml`: {scale}. {runs} runs, {minutes:.0f} CPU-minutes. From
`results/reference/ecc_snn-{name}/claims.json`, which also names the runs.

| id | claim | source | verdict | effect | paper | n | why |
|---|---|---|---|---|---|---|---|
"""
_HEAD = "| key | default | meaning |\n|---|---|---|\n"


def claims() -> str:
    """Give the page of the keys of a claims suite."""
    return CLAIMS + "".join(_keys(title, section) for title, section in _OF_CLAIMS)


def sweeps() -> str:
    """Give the page of the sections that vary a scenario."""
    return SWEEP + "".join(_keys(title, section) for title, section in _OF_SWEEPS)


def streams() -> str:
    """Give the page of what devices see."""
    page = STREAMS
    for registry_kind in ("schedule", "skew"):
        for name in names(registry_kind):
            page += f"\n## `{registry_kind}: {{kind: {name}}}`\n\n{_HEAD}"
            for key, param in params_spec(resolve(registry_kind, name).Params).items():
                default = "required" if param.is_required else f"`{param.default}`"
                page += f"| `{key}` | {default} | {param.description} |\n"
    page += _keys("`local`", Local)
    return page + _keys("An entry of `corruptions`", Corruption)


def partitioners() -> str:
    """Give the page of the algorithms that cut networks."""
    page = PARTITIONERS
    for name in names("partitioner"):
        cls = resolve("partitioner", name)
        if not cls.__module__.startswith("ecsim."):
            continue  # a plugin's
        page += f"\n## `{name}`\n\n{inspect.cleandoc(cls.__doc__ or '')}\n"
        spec = params_spec(cls.Params)
        page += f"\n{_HEAD}" if spec else ""
        for key, param in spec.items():
            page += f"| `{key}` | `{param.default}` | {param.description} |\n"
    return page


def verdicts() -> str:
    """Give the page of the verdicts on ECC-SNN's claims, from their stored results."""
    return VERDICTS + "".join(_verdicts(title, name) for title, name in SUITES.items())


def _verdicts(title: str, name: str) -> str:
    stored = json.loads((RESULTS / f"ecc_snn-{name}" / "claims.json").read_text())
    scale, minutes = stored["claims"][0]["scale"], stored["cpu_s"] / 60
    page = SUITE.format(
        title=title, name=name, scale=scale, runs=len(stored["runs"]), minutes=minutes
    )
    for row in stored["claims"]:
        effect = ""
        if row["effect"] is not None:
            ends = "" if row["low"] is None else f" [{_short(row['low'])}, {_short(row['high'])}]"
            effect = f"{_short(row['effect'])}{ends}"
        cells = (
            row["id"], row["claim"], row["source"], row["verdict"], effect, _short(row["paper"]),
            str(row["n"] or ""), row["why"],
        )  # fmt: skip
        page += "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"
    return page


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _keys(title: str, section: type[Section]) -> str:
    page = f"\n## {title}\n\n{_HEAD}"
    for key, field in section.fields_by_key().items():
        default = "" if field.is_required() or not field.default else f"`{field.default}`"
        default = "required" if field.is_required() else default
        default = "" if "Undefined" in default else default
        page += f"| `{key}` | {default} | {field.description} |\n"
    return page


def main() -> None:
    """Write the pages."""
    (REFERENCE / "streams.md").write_text(streams())
    (REFERENCE / "partitioners.md").write_text(partitioners())
    (REFERENCE / "sweep.md").write_text(sweeps())
    (REFERENCE / "tables.md").write_text(TABLES + dictionary())
    rows = (f"| `{name}` | {unit} | {meaning} |\n" for name, (unit, meaning) in MEANINGS.items())
    (REFERENCE / "metrics.md").write_text(METRICS + "".join(rows))
    (REFERENCE / "claims.md").write_text(claims())
    (REFERENCE / "ecc-snn-verdicts.md").write_text(verdicts())


if __name__ == "__main__":
    main()

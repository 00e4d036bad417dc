"""The page: verdicts, then each result with its sections, then what everything means.

The file needs nothing else: style and script are inside, and its content security policy allows
these two and nothing besides, so that no name in a scenario can make a browser fetch or execute
anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import ecsim
from ecsim.core.errors import UserError
from ecsim.records.metrics import Summary
from ecsim.records.opening import Result
from ecsim.records.replications import Replications
from ecsim.records.store import Run
from ecsim.records.sweeps import Sweep
from ecsim.report.html.charts import marks
from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.section import Section
from ecsim.report.html.sections.dictionary import dictionary
from ecsim.report.html.sections.replications import mean_summary, of_replications
from ecsim.report.html.sections.run import of_run
from ecsim.report.html.sections.summary import of_results
from ecsim.report.html.sections.sweep import of_sweep
from ecsim.report.html.sections.verdicts import Assertions, verdicts


@dataclass(frozen=True, slots=True)
class _Part:
    """A result on the page: its kind and name, what stands under them, and its sections."""

    kind: str
    name: str
    about: str
    sections: list[Section]
    assertions: list[Assertions]
    summary: Summary | None = None
    boundary: str = ""


def write(results: Sequence[Result], path: str | Path) -> None:
    """Write the page of some results; raise `UserError` when the file cannot be written."""
    text = render(results)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def render(results: Sequence[Result]) -> str:
    """Give the page of some results as HTML."""
    parts = [_part(result) for result in results]
    names = ", ".join(part.name for part in parts)
    title = f"ecsim report: {names}"
    content = [
        _block("verdicts", "Verdicts", verdicts([(part.name, part.assertions) for part in parts])),
        *_beside_each_other(parts),
        *(_result(part, i) for i, part in enumerate(parts)),
        _block("dictionary", "Data dictionary", dictionary()),
    ]
    made = f"Made by ecsim {ecsim.__version__} from the stored results; nothing is rounded there."
    body = [
        tag("a", "Skip to the results", href="#main", class_="skip"),
        marks.patterns(),
        tag("header", tag("h1", title)),
        tag("nav", _contents(parts), aria_label="Contents"),
        tag("main", content, id="main", tabindex=-1),
        tag("footer", tag("p", made)),
    ]
    style, script = _resource("style.css"), _resource("script.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
    policy += "img-src data:; base-uri 'none'; form-action 'none'"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    ]
    end = tag("script", Markup(script))
    page = tag("html", tag("head", head), tag("body", body, end), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _part(result: Result) -> _Part:
    name, manifest = result.path.name, result.manifest
    if isinstance(result, Sweep):
        about = f"{len(result.planned)} planned cells over {', '.join(result.keys)}."
        return _Part("Sweep", name, about, of_sweep(result), _asserted(result.runs.values()))
    if isinstance(result, Replications):
        sections = of_replications(result)
        about = f"{len(result.runs)} replicates, each with its own seeds; "
        about += f"ended: {manifest['stop_reason']}."
        mean = mean_summary([run.summary for run in result.runs])
        return _Part(
            "Replications",
            name,
            about,
            sections,
            _asserted(result.runs),
            mean,
            str(result.runs[0].manifest.get("boundary", "")),
        )
    finished = str(manifest["finished"])[:16].replace("T", " ")
    about = f"Finished {finished} UTC; seed {manifest['scenario']['seed']}; "
    about += f"simulated {manifest['horizon_s']:g} s."
    return _Part(
        "Run",
        name,
        about,
        of_run(result),
        _asserted([result]),
        result.summary,
        str(manifest.get("boundary", "")),
    )


def _asserted(runs: Iterable[Run]) -> list[Assertions]:
    return [run.manifest.get("assertions", []) for run in runs]


def _contents(parts: Sequence[_Part]) -> Markup:
    entries = [_link("verdicts", "Verdicts")]
    for i, part in enumerate(parts):
        inner = [_link(f"r{i}-{section.slug}", section.title) for section in part.sections]
        entries.append(_link(f"r{i}", f"{part.kind} {part.name}", inner))
    if _beside_each_other(parts):
        entries.insert(1, _link("beside", "Comparison"))
    entries.append(_link("dictionary", "Data dictionary"))
    return tag("ul", entries)


def _beside_each_other(parts: Sequence[_Part]) -> list[Markup]:
    several = len({part.boundary for part in parts}) > 1
    known = [
        (f"{part.name} (energy boundary {part.boundary})" if several else part.name, part.summary)
        for part in parts
        if part.summary is not None
    ]
    return [_block("beside", "Comparison", of_results(known))] if len(known) > 1 else []


def _link(slug: str, title: str, inner: Sequence[Markup] = ()) -> Markup:
    return tag("li", tag("a", title, href=f"#{slug}"), tag("ul", inner) if inner else None)


def _result(part: _Part, i: int) -> Markup:
    sections = [
        tag("section", tag("h3", section.title, id=f"r{i}-{section.slug}"), section.body,
            aria_labelledby=f"r{i}-{section.slug}")
        for section in part.sections
    ]  # fmt: skip
    about = tag("p", part.about, class_="note")
    return _block(f"r{i}", f"{part.kind} {part.name}", join([about, *sections]))


def _block(slug: str, title: str, body: Markup) -> Markup:
    return tag("section", tag("h2", title, id=slug), body, aria_labelledby=slug)


def _resource(name: str) -> str:
    return files("ecsim.report.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

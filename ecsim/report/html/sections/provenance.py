"""Where the numbers come from: seeds, versions, machine, constants with sources, files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.section import Section, folded
from ecsim.report.html.tables import Cell, Column, Row, table, text, value

_FOLDERS = re.compile(r"(?<![\w.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[^/\\\s'\"]+[/\\])+")
_ELSEWHERE = ("scenario", "constants", "trainings", "files", "assertions", "warnings", "pools")


SHARED = (
    "boundary",
    "cost_bases",
    "horizon_s",
    "warmup_s",
    "constants",
    "versions",
    "compiled",
    "git",
    "machine",
)
"""What runs of one scenario have in common, in their manifests."""


def of(manifest: Mapping[str, Any]) -> Section:
    """Give everything that a manifest says, the long parts folded up."""
    parts = [facts(manifest)]
    if manifest.get("constants"):
        parts.append(folded("Constants and their sources", _constants(manifest["constants"])))
    if manifest.get("trainings"):
        parts.append(folded("Trainings", _trainings(manifest["trainings"])))
    if manifest.get("files"):
        parts.append(folded("Files of the run", _files(manifest["files"])))
    if isinstance(manifest.get("scenario"), Mapping):
        parts.append(folded("The scenario, resolved", _scenario(manifest["scenario"])))
    return Section("provenance", "Provenance", join(parts))


def without_folders(word: str) -> str:
    """Give a word of a command with its paths reduced to their names; those may be private.

    >>> [without_folders(word) for word in ("/home/me/a.yaml", "runs/b/", "--out=/a/c", "-j")]
    ['a.yaml', 'b', '--out=c', '-j']
    >>> without_folders("stream={file: /home/me/d.csv, rate: 2 /s}")
    'stream={file: d.csv, rate: 2 /s}'
    """
    if "=" in word:  # of --set, whose values may be units: 5 Mbit/s
        return _FOLDERS.sub("", word)
    return re.split(r"[/\\]", word.rstrip("/\\"))[-1]


def facts(manifest: Mapping[str, Any], left_out: Sequence[str] = _ELSEWHERE) -> Markup:
    """Give the short entries of a manifest as terms with their values."""
    terms: list[Markup] = []
    for key, found in manifest.items():
        if key == "command":
            found = [without_folders(word) for word in found]
        is_short = key not in left_out or isinstance(found, str)
        if is_short and found not in (None, {}, [], ""):
            terms += [tag("dt", key.replace("_", " ")), tag("dd", _said(found))]
    pools = manifest.get("pools")
    if pools:
        sizes = ", ".join(f"{name} {len(samples)}" for name, samples in pools.items())
        terms += [tag("dt", "samples in each pool"), tag("dd", sizes)]
    return tag("dl", terms, class_="facts")


def _said(found: Any) -> str:
    if isinstance(found, Mapping):
        return ", ".join(f"{key}: {_said(of)}" for key, of in found.items())
    if isinstance(found, list):
        is_words = all(isinstance(of, str) for of in found)
        return " ".join(found) if is_words else json.dumps(found, ensure_ascii=False)
    return f"{found:.6g}" if isinstance(found, float) else str(found)


def _constants(constants: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows: list[Row] = []
    for name, constant in constants.items():
        card, _, key = name.partition(".")
        state = "assumed" if constant["assumed"] else "sourced"
        rows.append([card, key, str(constant["value"]), state, str(constant["source"])])
    columns = (text("card"), text("constant"), text("value"), text("state"), text("source"))
    return table("Constants of the cards", columns, rows, n_heads=2)


def _trainings(trainings: Sequence[Mapping[str, Any]]) -> Markup:
    rows: list[Row] = []
    for made in trainings:
        state = "from the cache" if made.get("cached") else "trained"
        rows.append([str(made["what"]), state, value(made.get("seconds")), _key(made.get("key"))])
    columns = (text("training"), text("state"), Column("time on this machine", "s"), text("key"))
    return table("Trainings", columns, rows)


def _files(files: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows: list[Row] = [
        [name, value(float(about["bytes"]), 1e-3), _key(about["sha256"])]
        for name, about in files.items()
    ]
    return table("Files", (text("file"), Column("size", "kB"), text("sha256")), rows)


def _key(digest: Any) -> Cell:
    whole = str(digest or "")
    return Cell(tag("code", whole[:16] + ("…" if len(whole) > 16 else "")), whole, whole)


def _scenario(scenario: Mapping[str, Any]) -> Markup:
    import yaml

    written = yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True, width=90)
    pre = tag("pre", tag("code", written))
    return tag("div", pre, class_="scroll", role="group", aria_label="The scenario", tabindex=0)

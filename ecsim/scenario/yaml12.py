"""A strict reader of YAML 1.2: nodes only, nothing is ever constructed from a tag.

PyYAML finds the structure; what a word means is decided in `scalars`. Refused with a position:
duplicate keys, keys that are not text, tags outside the core schema, merge keys, several
documents, alias bombs, an empty file, anything but a mapping at the top.
"""

from __future__ import annotations

from typing import Any, Literal

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from ecsim.core.errors import Problem
from ecsim.scenario.scalars import Scalar, resolve
from ecsim.scenario.tree import Origin, Path, Tree

_MAX_NODES = 100_000
_MAX_DEPTH = 64
_CORE = "tag:yaml.org,2002:"
_PLAIN = "plain"  # stands for a word whose meaning `scalars.resolve` decides
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),),
}  # fmt: skip


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to its nodes, without the meanings of YAML 1.1."""

    def __init__(self, text: str):
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _CORE + "str"
        return _CORE + ("seq" if kind is SequenceNode else "map")


class _Builder:
    """Turns nodes into trees and collects what is wrong with them."""

    def __init__(self, file: str, kind: Literal["file", "include", "--set"]):
        self.file, self.kind = file, kind
        self.problems: list[Problem] = []
        self.n_nodes = 0

    def origin(self, mark: Any) -> Origin:
        if self.kind == "--set":
            return Origin("--set")
        return Origin(self.kind, self.file, mark.line + 1, mark.column + 1)

    def report(self, mark: Any, path: Path, message: str) -> None:
        self.problems.append(self.origin(mark).problem(path, message))

    def build(self, node: Node, path: Path = (), key: Origin | None = None) -> Tree:
        tree = Tree(None, self.origin(node.start_mark), key)
        self.n_nodes += 1
        if self.n_nodes > _MAX_NODES:
            if self.n_nodes == _MAX_NODES + 1:
                self.report(node.start_mark, path, f"expected at most {_MAX_NODES} values, "
                            "got more once the aliases are written out")  # fmt: skip
            return tree
        if len(path) > _MAX_DEPTH:
            self.report(node.start_mark, path[:3], f"expected at most {_MAX_DEPTH} levels")
            self.n_nodes = _MAX_NODES + 2  # an alias inside itself: go no further
            return tree
        try:
            if isinstance(node, ScalarNode):
                tree.value = _scalar(node)
            elif node.tag != _CORE + ("seq" if isinstance(node, SequenceNode) else "map"):
                raise ValueError(_no_tags(node))
            elif isinstance(node, SequenceNode):
                tree.value = [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            else:
                assert isinstance(node, MappingNode)
                tree.value = self.mapping(node, path)
        except ValueError as error:
            self.report(node.start_mark, path, str(error))
        return tree

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Tree]:
        result: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            place = self.origin(key_node.start_mark)
            try:
                key = _key(key_node)
            except ValueError as error:
                self.report(key_node.start_mark, path, str(error))
                continue
            value = self.build(value_node, (*path, key), place)
            if key in result:
                first = result[key].place.line
                message = f"expected each key once, got {key!r} again (first on line {first})"
                self.report(key_node.start_mark, (*path, key), message)
            else:
                result[key] = value
        return result


def _scalar(node: ScalarNode) -> Scalar:
    text: str = node.value
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("expected text of whole characters, got half a surrogate pair")
    if node.tag == _PLAIN:
        return resolve(text)
    wanted = node.tag.removeprefix(_CORE)
    if wanted == node.tag or wanted not in _TYPES:
        raise ValueError(_no_tags(node))
    if wanted == "str":
        return text
    value = resolve(text)
    is_bool_mismatch = isinstance(value, bool) and wanted != "bool"
    if not isinstance(value, _TYPES[wanted]) or is_bool_mismatch:
        raise ValueError(f"expected a value of the tag !!{wanted}, got {text!r}")
    return float(value) if wanted == "float" and isinstance(value, int) else value


def _key(node: Node) -> str:
    if isinstance(node, ScalarNode) and node.tag == _PLAIN and node.value == "<<":
        raise ValueError("expected a key, got the merge key '<<', which YAML 1.2 does not have; "
                         "use include")  # fmt: skip
    value = _scalar(node) if isinstance(node, ScalarNode) else None
    if not isinstance(value, str):
        got = node.value if isinstance(node, ScalarNode) else "a list or mapping"
        raise ValueError(f"expected a key of text, got {got}; a key in quotes is text")
    return value


def _no_tags(node: Node) -> str:
    tag = node.tag.replace(_CORE, "!!")
    return f"expected plain data, got the tag {tag}; a scenario constructs no objects"


def read(
    content: bytes | str, file: str = "", kind: Literal["file", "include", "--set"] = "file"
) -> tuple[Tree | None, list[Problem]]:
    """Read one document of any type; the tree is None when there is no telling its structure.

    Parameters
    ----------
    content : the text, or its bytes in UTF-8.
    file : the name that problems and origins show.
    kind : the kind of origin that the values get.
    """
    builder = _Builder(file, kind)

    def failed(line: int, column: int, message: str) -> tuple[None, list[Problem]]:
        where = Origin(kind) if kind == "--set" else Origin(kind, file, line + 1, column + 1)
        return None, [where.problem((), message)]

    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        column = error.start - (before.rfind(b"\n") + 1)
        return failed(before.count(b"\n"), column, "expected UTF-8 text, got another encoding")
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        if error.context == "expected a single document in the stream":
            return failed(line, column, "expected one document, got another one after '---'")
        problem = "; ".join(part for part in (error.context, error.problem) if part)
        return failed(line, column, f"expected YAML, got something else: {problem}")
    except ReaderError as error:
        before_text = text[: error.position]
        column = error.position - (before_text.rfind("\n") + 1)
        message = f"expected printable text, got the character {error.character!r}"
        return failed(before_text.count("\n"), column, message)
    except RecursionError:
        return failed(0, 0, f"expected at most {_MAX_DEPTH} levels, got far more")
    if node is None:
        return Tree(None, Origin(kind, file, 1, 1)), []
    tree = builder.build(node)
    return tree, builder.problems


def read_mapping(
    content: bytes, file: str, kind: Literal["file", "include"]
) -> tuple[Tree | None, list[Problem]]:
    """Read a file whose one document must be a mapping; None when it is not one."""
    tree, problems = read(content, file, kind)
    if tree is None or isinstance(tree.value, dict):
        return tree, problems
    if not problems:
        got = "a list" if isinstance(tree.value, list) else repr(tree.value)
        got = "an empty file" if tree.value is None else got
        message = f"expected keys such as 'name: …' at the top, got {got}"
        problems = [tree.origin.problem((), message)]
    return None, problems

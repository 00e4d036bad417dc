"""A topology from a graph file: ``topology: {graph: net.graphml}``, GraphML or GML.

Nodes and edges become entries of `nodes:` and `links:`; their attributes are the keys of these
entries, as text with units (``card``, ``tier``, ``uplink: 20 Mbit/s``). What the scenario writes
itself is laid over a node, and added to the links. Attributes that are no key and not nearly one
(coordinates, colours) are passed over.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import Problem, ScenarioError
from ecsim.scenario.messages import nearest, show, unknown_key
from ecsim.scenario.section import Section
from ecsim.scenario.topology import Link, Node
from ecsim.scenario.tree import Origin, Tree, from_plain, merge
from ecsim.scenario.yaml12 import read

if TYPE_CHECKING:
    import networkx as nx

_RANK = {"end": 0, "edge": 1, "cloud": 2}


def lay_graph(tree: Tree, folder: File) -> list[Problem]:
    """Replace the key `graph` of the topology by what it stands for, in place; give problems.

    Raises
    ------
    ScenarioError : when there is no such file, or none that can be read.
    """
    topology = tree.child("topology")
    if topology is None or not isinstance(topology.value, dict) or "graph" not in topology.value:
        return []
    at = topology.value.pop("graph")
    path = ("topology", "graph")
    if not isinstance(at.value, str) or not at.value:
        message = f"expected the path of a GraphML or GML file, got {show(at.plain())}"
        raise ScenarioError([at.origin.problem(path, message)])
    file = folder / at.value
    try:
        graph = _read(file)
    except ValueError as error:
        raise ScenarioError([at.origin.problem(path, str(error))]) from None
    problems: list[Problem] = []
    nodes: dict[str, Tree] = {}
    for name, attributes in graph.nodes(data=True):
        origin = Origin("include", f"{at.value}: node {name}")
        where = f"topology.nodes.{name}"
        nodes[str(name)] = _entry(attributes, Node, origin, where, problems)
    links: list[Tree] = []
    for a, b, attributes in graph.edges(data=True):
        near, far = _ends(graph, str(a), str(b), nodes)
        origin = Origin("include", f"{at.value}: edge {near}-{far}")
        entry = _entry(attributes, Link, origin, f"topology.links[{len(links)}]", problems)
        entry.value["between"] = from_plain([near, far], origin)
        links.append(entry)
    written = topology.value.get("nodes", Tree({}, at.origin))
    topology.value["nodes"] = merge(Tree(nodes, at.origin, at.key), written)
    more = topology.value.get("links", Tree([], at.origin))
    if isinstance(more.value, list):
        topology.value["links"] = Tree([*links, *more.value], at.origin, at.key)
    return problems


def _read(file: File) -> nx.Graph:
    import networkx as nx

    if not file.is_file():
        raise ValueError(f"expected an existing file, got {file.name!r} (there is no {file})")
    try:
        if file.suffix == ".graphml":
            return nx.read_graphml(file)
        if file.suffix == ".gml":
            return nx.read_gml(file)
    except (nx.NetworkXError, ElementTree.ParseError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{file.name} is no readable {file.suffix[1:]} file: {error}") from None
    raise ValueError(f"expected a file that ends in .graphml or .gml, got {file.name!r}")


def _entry(
    attributes: dict[str, Any],
    section: type[Section],
    origin: Origin,
    where: str,
    problems: list[Problem],
) -> Tree:
    """Give the entry of a node or an edge; texts are read as YAML."""
    keys = section.fields_by_key()
    found: dict[str, Tree] = {}
    for key, value in attributes.items():
        if key not in keys:
            if nearest(key, keys):
                message = unknown_key(key, keys)
                problems.append(Problem(message, f"{where}.{key}", origin.file))
            continue
        tree: Tree | None = from_plain(value, origin)
        if isinstance(value, str):
            tree, mistakes = read(value, kind="include")
            problems += [Problem(p.message, f"{where}.{key}", origin.file) for p in mistakes]
        if tree is not None:
            found[key] = from_plain(tree.plain(), origin)
    return Tree(found, origin)


def _ends(graph: nx.Graph, a: str, b: str, nodes: dict[str, Tree]) -> tuple[str, str]:
    """Give the end from which the uplink leads, then the other; by tier in an undirected graph."""

    def rank(name: str) -> int:
        tier = nodes[name].child("tier")
        return _RANK.get(str(tier.value), 0) if tier is not None else 0

    return (b, a) if not graph.is_directed() and rank(b) < rank(a) else (a, b)

"""Random ops under seeds that are alike in a source and in a new model.

An op with the attributes `seed` and `seed2` draws a sequence that they determine alone, and a fresh kernel begins it
anew (core/util/guarded_philox_random.h). So two models whose ops have the same seeds draw the same numbers in the same
calls, and what they answer can be compared by value. The seeds of an op are made of its name in the source; the op of
the new model that stands for it is found by its name, or because it is the only one of its kind.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from migrate.checks.randomness import RANDOM_OPS
from migrate.frozen import frozen
from migrate.graph import contract, op_table
from migrate.graph.nodes import behind, names_called
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.verify.calls import Draw

_TABLE = os.path.join(os.path.dirname(op_table.__file__), "seeded_ops.tsv")
_PARALLEL = "parallel_iterations"
_FRAMES = frozenset({"Enter", "RefEnter", "StatelessWhile", "While"})
"""Ops that say how many iterations of a loop may run at once."""
_LARGEST = 2**31 - 1


@functools.cache
def seeded_ops() -> frozenset[str]:
    """The ops whose sequence their seeds determine alone; tools/make_seeded_ops.py makes the table."""
    with open(_TABLE, encoding="utf-8") as stream:
        return frozenset(stream.read().split()[1:])


@frozen
class Site:
    """A random op that a graph runs.

    Attributes:
      where: the function whose body it is in, or empty.
      node: the node's name in it.
      op: its op.
      path: the node's name after the names of the nodes that call the function.
      is_single: whether one kernel alone runs it: a function that is called from two places may have one or two.
      has_seeds: whether it has seeds already, so that it draws the same in each fresh load.
    """

    where: str
    node: str
    op: str
    path: str
    is_single: bool
    has_seeds: bool

    @property
    def label(self) -> str:
        """What its seeds are made of."""
        return f"{self.where}/{self.node}" if self.where else self.node


class Reach:
    """What tensors of a MetaGraphDef run.

    Args:
      meta_graph: with the graph and its functions.
      fed: names of tensors that a call gives: nothing is run for them.
    """

    def __init__(self, meta_graph: MetaGraphDef, fed: Iterable[str] = ()) -> None:
        given = {name.partition(":")[0] for name in fed}
        self._nodes = {node.name: node for node in meta_graph.graph_def.node if node.name not in given}
        self._bodies = {
            function.signature.name: function.node_def for function in meta_graph.graph_def.library.function
        }

    def sites(self, tensors: Iterable[str]) -> tuple[Site, ...]:
        """The ops that draw, each once.

        Args:
          tensors: names of what is computed.
        """
        names = sorted(behind(self._nodes, tensors))
        calls: dict[str, list[tuple[str, str]]] = {}
        found: list[tuple[str, NodeDef]] = []
        pending = [("", "", self._nodes[name]) for name in names]
        for where, path, node in pending:  # grows while it is read
            if _draws(node.op):
                found.append((where, node))
            for function in names_called(node):
                body = self._bodies.get(function)
                if body is None:
                    continue
                calls.setdefault(function, []).append((where, f"{path}{node.name}/"))
                if len(calls[function]) == 1:
                    pending += [(function, f"{path}{node.name}/", inner) for inner in body]
        return tuple(
            Site(
                where,
                node.name,
                node.op,
                (calls[where][0][1] if where else "") + node.name,
                all(len(calls[function]) == 1 for function in _around(where, calls)),
                has_seeds(node),
            )
            for where, node in found
        )

    def runs_unknown(self, tensors: Iterable[str]) -> bool:
        """Whether an op of which nobody knows what it does is among what tensors run."""
        reached = [self._nodes[name] for name in behind(self._nodes, tensors)]
        pending = list(reached)
        seen: set[str] = set()
        for node in pending:  # grows while it is read
            if node.op not in self._bodies and _is_unknown(node.op):
                return True
            for function in names_called(node):
                if function in self._bodies and function not in seen:
                    seen.add(function)
                    pending += self._bodies[function]
        return False


def _around(where: str, calls: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
    """A function, the one that calls it, and so on to the graph; it ends where one is called from two places."""
    seen: set[str] = set()
    while where and where not in seen:
        yield where
        seen.add(where)
        where = calls[where][0][0] if len(calls[where]) == 1 else ""


def has_seeds(node: NodeDef) -> bool:
    """Whether a node draws numbers that its seeds determine: the same ones in each fresh load."""
    return _draws(node.op) and any(node.attr[key].i for key in ("seed", "seed2") if key in node.attr)


def _draws(op: str) -> bool:
    info = load_op_table().get(op)
    return op in RANDOM_OPS or (info is not None and info.effect == "random")


def _is_unknown(op: str) -> bool:
    info = load_op_table().get(op)
    return info is None or info.effect not in ("pure", "random", "state", "calls", "prints", "reads-files")


def drawn(
    meta_graph: MetaGraphDef, outputs: Mapping[str, str], fed: Iterable[str], varying: Collection[str]
) -> tuple[tuple[Draw, ...], dict[str, tuple[int, ...]]]:
    """The random ops behind a source's outputs.

    Args:
      meta_graph: the source.
      outputs: names of tensors by the names that answers have for them.
      fed: names of the tensors that a call gives.
      varying: the outputs that differ from load to load.

    Returns:
      The ops that can be given seeds; and by output which of them are behind it. An output behind which something else
      draws, or nothing does, is left out; so is one that answers alike in each load, unless an op behind it has seeds,
      which signatures may share; and so are all where loading the model draws.
    """
    reach = Reach(meta_graph, fed)
    if Reach(meta_graph).sites(contract.init_ops(meta_graph)):
        return (), {}
    found: dict[tuple[str, str], Draw] = {}
    by_output: dict[str, tuple[int, ...]] = {}
    shared = {(s.where, s.node) for s in reach.sites(outputs.values()) if not s.is_single}
    for name, tensor in outputs.items():
        sites = reach.sites([tensor])
        if not sites or reach.runs_unknown([tensor]):
            continue
        if name not in varying and not any(site.has_seeds for site in sites):
            continue
        if any(site.op not in seeded_ops() or (site.where, site.node) in shared for site in sites):
            continue
        for site in sites:
            first, second = seeds_of(site.label)
            found.setdefault((site.where, site.node), Draw(site.op, site.node, site.path, first, second))
        order = list(found)
        by_output[name] = tuple(order.index((site.where, site.node)) for site in sites)
    return tuple(found.values()), by_output


def seeds_of(label: str) -> tuple[int, int]:
    """Two numbers, neither of them 0: with two zeros TensorFlow draws the seeds, too."""
    digest = hashlib.blake2b(label.encode(), digest_size=16).digest()
    first, second = (int.from_bytes(part, "little") % _LARGEST + 1 for part in (digest[:8], digest[8:]))
    return first, second


def give_seeds(meta_graph: MetaGraphDef) -> None:
    """Gives each random op of a source the seeds that are made of its name, and lets loops run one step at a time."""
    for where, node in _all_nodes(meta_graph):
        if node.op in seeded_ops():
            node.attr["seed"].i, node.attr["seed2"].i = seeds_of(f"{where}/{node.name}" if where else node.name)
    _one_by_one(meta_graph)


@frozen
class Matched:
    """The random ops of a new model's signature beside those of the source.

    Attributes:
      seeds: by (function, node) of the new model.
      missing: numbers of the source's ops that none stands for.
      extra: names of ops that draw and stand for none.
    """

    seeds: Mapping[tuple[str, str], tuple[int, int]]
    missing: tuple[int, ...]
    extra: tuple[str, ...]


def match(meta_graph: MetaGraphDef, key: str, draws: Sequence[Draw]) -> Matched:
    """Finds the ops of a new model that stand for the source's.

    Args:
      meta_graph: the new model.
      key: the signature's.
      draws: the source's ops.
    """
    tensors = list(_tensors(meta_graph, key))
    sites = Reach(meta_graph).sites(tensors) if tensors else ()
    usable = [site for site in sites if site.op in seeded_ops() and site.is_single]
    found: dict[int, Site] = {}
    for same in (_by_name, _by_path, _by_kind):
        left = {number: draw for number, draw in enumerate(draws) if number not in found}
        free = [site for site in usable if site not in found.values()]
        found |= _pairs(left, free, same)
    taken = list(found.values())
    return Matched(
        {(site.where, site.node): (draws[number].seed, draws[number].seed2) for number, site in found.items()},
        tuple(number for number in range(len(draws)) if number not in found),
        tuple(site.path for site in sites if site not in taken),
    )


def _by_name(item: Draw | Site) -> tuple[str, str]:
    return item.op, item.node


def _by_path(item: Draw | Site) -> tuple[str, str]:
    return item.op, item.path if isinstance(item, Draw) else item.node


def _by_kind(item: Draw | Site) -> tuple[str, str]:
    return item.op, ""


def _pairs(
    draws: Mapping[int, Draw], sites: Collection[Site], name: Callable[[Draw | Site], tuple[str, str]]
) -> dict[int, Site]:
    """Those of one name, where one on each side has it."""
    left: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    right: dict[tuple[str, str], list[Site]] = collections.defaultdict(list)
    for number, draw in draws.items():
        left[name(draw)].append(number)
    for site in sites:
        right[name(site)].append(site)
    return {numbers[0]: right[key][0] for key, numbers in left.items() if len(numbers) == 1 and len(right[key]) == 1}


def give_matched_seeds(meta_graph: MetaGraphDef, matched: Matched) -> None:
    """Gives ops of a new model the seeds of those that they stand for, and lets loops run one step at a time."""
    for where, node in _all_nodes(meta_graph):
        seeds = matched.seeds.get((where, node.name))
        if seeds is not None:
            node.attr["seed"].i, node.attr["seed2"].i = seeds
    _one_by_one(meta_graph)


def _one_by_one(meta_graph: MetaGraphDef) -> None:
    for _, node in _all_nodes(meta_graph):
        if node.op in _FRAMES:
            node.attr[_PARALLEL].i = 1


def _all_nodes(meta_graph: MetaGraphDef) -> Iterator[tuple[str, NodeDef]]:
    for node in meta_graph.graph_def.node:
        yield "", node
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def _tensors(meta_graph: MetaGraphDef, key: str) -> Iterator[str]:
    """Names of the tensors behind a signature's outputs."""
    if key not in meta_graph.signature_def:
        return
    for info in meta_graph.signature_def[key].outputs.values():
        yield from contract.tensor_names(info)

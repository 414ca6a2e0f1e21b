"""A pair of branches of v1 control flow becomes an If.

A Switch sends a tensor into one of two branches, a Merge takes what one of them gives (cond, control_flow_ops.py).
A cond stays as it is where a tensor leaves a branch by other ways than a Merge of both: whether such a tensor is there
is known only while the graph runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from migrate.functional import gradients, handles
from migrate.functional.clusters import Cluster, clusters, hands_on, value_of
from migrate.functional.draft import RESOURCE, Draft, argument, argument_name, to_function
from migrate.functional.kept import Kept
from migrate.functional.paths import Groups, Key
from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import Graph, Wire, as_input, split
from migrate.graph.protos import NodeDef
from migrate.rewrite.new_nodes import constant, new_node

_BOOL, _INT32 = dtype_value("bool"), dtype_value("int32")
_SMALL = 1024
"""Bytes of a constant that is repeated in a branch and not handed in."""


def convert(draft: Draft, results: Iterable[str]) -> list[Kept]:
    """Puts Ifs in the place of Switches and Merges.

    Args:
      draft: a graph without loops, but for such as stay; it is changed.
      results: full names of tensors that it must give; names of nodes, where these only have to run.

    Returns:
      What stays as it is.

    Raises:
      UnknownTensorError: an op is unknown.
    """
    if not any(known.op == "Switch" for known in draft.wires.values()):
        return []
    graph = draft.graph()
    groups = Groups(graph)
    wanted = frozenset(results)
    for end in {split(tensor)[0] for tensor in wanted} & groups.path.keys():
        groups.blame(groups.path[end], 0, "is in a branch and fetched", end)
    found = clusters(graph, groups, draft.library)
    kept = list(groups.wrong.values())
    switches = {name: graph.wires[name] for cluster in found for name in cluster.switches}
    given = {id(cluster.given): cluster.given for cluster in found}  # The levels of one cluster share it.
    wanted |= {f"{merge}:0" for each in given.values() for merge in each.values()}
    made: dict[str, str] = {}
    for cluster in found:
        kept += _Cond(draft, graph, groups, cluster, wanted, switches).convert(made)
    draft.remove({name for cluster in found for name in (*cluster.switches, *cluster.members)})
    _release(draft, switches)
    return kept


def _real_waits(wait: str, switches: Mapping[str, Wire]) -> Iterable[str]:
    """What to wait for in the place of a node: of a Switch that goes, what comes before it."""
    pending = [wait]
    for name in pending:  # grows while it is read
        if name in switches:
            pending += [switches[name].sources[0], *switches[name].controls]
        else:
            yield name


def _release(draft: Draft, switches: Mapping[str, Wire]) -> None:
    """Has what waits for a Switch that is gone wait for what came before it."""
    for name, known in list(draft.wires.items()):
        if known.controls and not switches.keys().isdisjoint(known.controls):
            new = NodeDef.FromString(draft.nodes[name].SerializeToString())
            waits = dict.fromkeys(real for wait in known.controls for real in _real_waits(wait, switches))
            new.input[:] = [*map(as_input, known.data), *(f"^{wait}" for wait in waits)]
            draft.put(new)


class _Cond:
    """Makes an If of one cluster. The cluster's own nodes stay in the draft, but for its Merges."""

    def __init__(
        self,
        draft: Draft,
        graph: Graph,
        groups: Groups,
        cluster: Cluster,
        wanted: Set[str],
        switches: Mapping[str, Wire],
    ) -> None:
        self._draft = draft
        self._graph = graph
        self._groups = groups
        self._key = cluster.key
        self._own = frozenset(cluster.switches)
        self._switches = switches
        self._merges = cluster.merges
        self._after = cluster.after
        self._given_before = cluster.given
        depth = len(cluster.key.path)
        self._branches = [[n for n in cluster.members if groups.path[n][depth][1] == b] for b in (0, 1)]
        self._inside = frozenset(cluster.members)
        self._captured: dict[str, None] = {}
        self._waits: dict[str, None] = {}
        used = ([merge for merge in self._merges if self._is_used(merge, output, wanted)] for output in (0, 1))
        self._read: frozenset[str] = frozenset()
        self._values, self._numbers = ({merge: number for number, merge in enumerate(found)} for found in used)

    def _is_used(self, merge: str, output: int, wanted: Set[str]) -> bool:
        tensor = f"{merge}:{output}"
        return bool(self._graph.consumers.get(tensor)) or tensor in wanted

    def convert(self, names: dict[str, str]) -> list[Kept]:
        """Changes the draft; gives what stays as it is in the branches.

        Args:
          names: of the Ifs that were made, by each of their Merges; it grows.
        """
        draft = self._draft
        at = self._merges[0].rpartition("/")[0]
        name = draft.unique(f"{at}/if" if at else "if")
        names.update(dict.fromkeys(self._merges, name))
        if self._after:
            self._waits[names[self._after]] = None
        for branch in (0, 1):
            self._capture(branch)
        if draft.in_loop and draft.all_set:
            self._read = gradients.read_variables(draft, self._inside)
        dtypes = [draft.dtype(tensor) for tensor in self._captured]
        results = [draft.dtype(f"{merge}:0") for merge in self._values] + [_INT32] * len(self._numbers)
        made, kept = [], []
        for branch, label in enumerate(("else", "then")):
            function, more = self._function(branch, dtypes, f"{name}/{label}")
            made.append(function)
            kept += more
        stateful = any(draft.library.holds_state(function) for function in made)
        new = NodeDef(name=name, op="If" if stateful else "StatelessIf")
        new.input.extend(map(as_input, (self._key.predicate, *self._captured)))
        new.input.extend(f"^{wait}" for wait in self._waits)
        new.attr["Tcond"].type = _BOOL
        for key, types in (("Tin", dtypes), ("Tout", results)):
            new.attr[key].list.SetInParent()
            new.attr[key].list.type.extend(types)
        new.attr["else_branch"].func.name, new.attr["then_branch"].func.name = made
        new.attr["_lower_using_switch_merge"].b = True
        new.attr["output_shapes"].list.SetInParent()
        for dtype in results:
            new.attr["output_shapes"].list.shape.add(unknown_rank=dtype != RESOURCE)
        draft.put(new)
        for merge in self._merges:
            self._replace(merge, name)
        return kept

    def _capture(self, branch: int) -> None:
        """Notes what a branch takes from outside, and what it waits for."""
        wires = self._draft.wires
        names = self._branches[branch]
        inside = set(names)
        taken = [(tensor, source) for name in names for tensor, source in self._data(name)]
        taken += [self._given(merge, branch) for merge in self._values]
        if self._key.path:  # The If runs where its Switches ran.
            taken += [(wires[switch].data[0], wires[switch].sources[0]) for switch in sorted(self._own)]
        constants: list[str] = []
        for tensor, source in taken:
            if source not in inside:
                outer = self._outer(tensor, source)
                if self._repeated(outer, branch) is None:
                    self._captured[outer] = None
                elif outer != self._key.predicate:
                    constants.append(split(outer)[0])
        # A copy of a constant in a branch waits for nothing.
        waiting = [wait for name in constants for wait in wires[name].controls]
        waiting += [w for name in names for w in wires[name].controls if w not in inside and not self._is_earlier(w)]
        waiting += [w for s in sorted(self._own) for w in (*wires[s].controls, *self._groups.waits(s))]
        self._waits.update(dict.fromkeys(real for wait in waiting for real in _real_waits(wait, self._switches)))

    def _is_earlier(self, name: str) -> bool:
        """Whether a node is in a branch of an earlier level of the cluster, for the whole of which this one waits."""
        path = self._groups.path.get(name, ())
        depth = len(self._key.path)
        return bool(self._after) and len(path) > depth and Key(path[:depth], path[depth][0]) == self._key

    def _data(self, name: str) -> Iterable[tuple[str, str]]:
        known = self._draft.wires[name]
        return zip(known.data, known.sources, strict=True)

    def _outer(self, tensor: str, source: str) -> str:
        """The tensor outside whose value one has that a branch takes."""
        while source in self._own:
            tensor, source = self._switches[source].data[0], self._switches[source].sources[0]
        direct = handles.behind_identities(self._draft, tensor)
        if direct is not None:
            # One argument for each handle: a gradient takes two that are one tensor for one (cond_v2.py).
            self._waits[source] = None
            return f"{direct.name}:0"
        if not self._after or source not in self._graph.wires:
            return tensor
        if hands_on(self._graph, source):
            handle = self._draft.handle(tensor)
            return tensor if handle is None else f"{handle.name}:0"
        merge = self._given_before.get(value_of(self._graph, tensor))
        return tensor if merge is None else f"{merge}:0"

    def _repeated(self, tensor: str, branch: int) -> NodeDef | None:
        """What a branch has a copy of: a small constant outside, and what the predicate is in the branch."""
        if self._key.path:
            return None
        if tensor == self._key.predicate:
            return _chosen(branch)
        node = self._draft.nodes[split(tensor)[0]]
        return node if node.op == "Const" and node.ByteSize() <= _SMALL else None

    def _given(self, merge: str, branch: int) -> tuple[str, str]:
        """The tensor that a Merge takes from a branch, and its node."""
        depth = len(self._key.path)
        return next((t, s) for t, s in self._data(merge) if self._groups.after(t, s)[depth][1] == branch)

    def _function(self, branch: int, dtypes: Sequence[int], hint: str) -> tuple[str, list[Kept]]:
        names, outer = self._branches[branch], self._draft
        inside = set(names)
        inner = Draft((), outer.library, set(names))
        inner.in_loop, inner.all_set = outer.in_loop, outer.all_set
        read: list[str] = []
        moved: dict[str, str] = {}
        for tensor, dtype in zip(self._captured, dtypes, strict=True):
            handle = outer.handle(tensor) if dtype == RESOURCE else None
            own = inner.unique(argument_name(split(tensor)[0].rpartition("/")[2]))
            inner.put(argument(own, dtype, handle))
            moved[tensor] = own
            if handle is not None and handle.name in self._read:
                read.append(own)
        arguments = list(inner.nodes)

        def renamed(tensor: str, source: str) -> str:
            if source in inside:
                return tensor
            real = self._outer(tensor, source)
            repeated = self._repeated(real, branch)
            if repeated is not None and real not in moved:
                moved[real] = inner.unique(repeated.name)
                inner.put(NodeDef(name=moved[real], op="Const", attr=repeated.attr))
            return f"{moved[real]}:0"

        for name in names:
            new = NodeDef.FromString(outer.nodes[name].SerializeToString())
            if new.op == "Merge" and len(outer.wires[name].data) == 1:
                new.op = "Identity"
                new.attr.pop("N", None)
            data = [as_input(renamed(tensor, source)) for tensor, source in self._data(name)]
            new.input[:] = [*data, *(f"^{wait}" for wait in outer.wires[name].controls if wait in inside)]
            inner.put(new)
        results = []
        for merge in self._values:
            tensor = renamed(*self._given(merge, branch))
            waits = [f"^{wait}" for wait in outer.wires[merge].controls if wait in inside]
            if waits:
                own = inner.unique(f"{merge}/output")
                inner.put(new_node("Identity", own, [as_input(tensor), *waits], T=inner.dtype(tensor)))
                tensor = f"{own}:0"
            results.append(tensor)
        results = gradients.with_gradients(inner, results, read)
        for merge in self._numbers:
            number = outer.wires[merge].data.index(self._given(merge, branch)[0])
            results.append(inner.put(constant(inner.unique(f"{merge}/value_index"), number, ())).name + ":0")
        kept = convert(inner, results)
        handles.take_directly(inner)
        handles.say_types(inner)
        return inner.library.add(to_function(inner, arguments, results), hint), kept

    def _replace(self, merge: str, name: str) -> None:
        """Puts what gives the outputs of the If in the place of a Merge."""
        outside = [wait for wait in self._draft.wires[merge].controls if wait not in self._inside]
        waits = [f"^{real}" for wait in outside for real in _real_waits(wait, self._switches)]
        dtype = self._graph.nodes[merge].attr["T"].type
        if merge in self._numbers:
            number = as_input(f"{name}:{len(self._values) + self._numbers[merge]}")
            is_value = merge in self._values
            value = as_input(f"{name}:{self._values[merge]}") if is_value else number
            node = NodeDef(name=merge, op="IdentityN", input=[value, number, *waits])
            node.attr["T"].list.type.extend([dtype if is_value else _INT32, _INT32])
        elif merge in self._values:
            node = new_node("Identity", merge, [as_input(f"{name}:{self._values[merge]}"), *waits], T=dtype)
        else:
            node = NodeDef(name=merge, op="NoOp", input=[f"^{name}", *waits])
        self._draft.put(node)


def _chosen(branch: int) -> NodeDef:
    """The predicate's value in a branch."""
    node = NodeDef(name="chosen", op="Const")
    node.attr["dtype"].type = _BOOL
    node.attr["value"].tensor.dtype = _BOOL
    node.attr["value"].tensor.tensor_shape.SetInParent()
    node.attr["value"].tensor.bool_val.append(bool(branch))
    return node

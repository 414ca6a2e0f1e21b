"""What loading a model would run, judged before TensorFlow loads it.

A loader runs the restore op and the init op of a SavedModel, and the functions that make and fill its resources. They
may stay inside the process, and read the checkpoint and the assets of the model; whatever else they do is a reason not
to load it. TensorFlow also runs what it takes for a constant while it imports a graph, so an op that reads files must
not stand where all its inputs are constants. The converter asks the same in code of its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.checks.effects import (
    HARMLESS,
    NAMED_FILES,
    effect_of,
    file_in_attribute,
    is_evaluated_on_import,
    words,
)
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import AttrValue, FunctionDef, MetaGraphDef, NodeDef, SavedModel

_ASSET, _PREFIX, _FED, _CONSTANT = "asset", "prefix", "fed", "constant"
"""What a tensor carries: an asset's path, the checkpoint's prefix, what a caller gives, or a constant."""

_SAME = ("Identity", "PlaceholderWithDefault", "StopGradient")
_SHAPES = ("Rank", "Shape", "ShapeN", "Size")
"""Ops whose value is constant where the shape of what they take is."""
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_RUN_BY_LOADER = frozenset({"_create_resource", "_destroy_resource", "_initialize"})
"""Methods of a loaded object that TensorFlow calls by itself (saved_model/load.py, trackable/resource.py)."""
_MOST_CALLS = 16
"""For how many kinds of arguments a function's body is looked at; after that, for the worst."""
_DT_STRING = dtype_value("string")


class UnsafeError(Exception):
    """Loading the model would do what it must not; the message says what, and where."""


@frozen
class _Part:
    """Nodes that run together: a graph, or the body of a function.

    Attributes:
      where: what comes before a node's name in a message.
      nodes: by name.
      given: what is known of tensors: of a graph by full tensor name, of a function by argument.
      is_body: whether it is a function's.
      held: what variables hold, by the name of the handle's node.
    """

    where: str
    nodes: Mapping[str, NodeDef]
    given: Mapping[str, str]
    is_body: bool = False
    held: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def known(self, tensor: str) -> str | None:
        """What is given in the place of a tensor, or None."""
        if self.is_body:
            return self.given.get(tensor.partition(":")[0])
        return self.given.get(tensor if ":" in tensor else tensor + ":0")

    def node(self, tensor: str) -> NodeDef | None:
        """The node that makes a tensor."""
        return self.nodes.get(tensor.partition(":")[0])


def make_safe(meta_graph: MetaGraphDef, called: MetaGraphDef | None = None) -> None:
    """Makes a MetaGraphDef such that loading it in a v1 Session keeps inside the process and the model's own files.

    Args:
      meta_graph: what is about to be loaded. It is changed: a node that no call and no loader runs loses its constant
        file name, so that TensorFlow does not read the file while it imports the graph.
      called: the MetaGraphDef whose signatures are called, where those are others.

    Raises:
      UnsafeError: it cannot be made so.
    """
    judge = _Judge.of(meta_graph)
    # No loader runs a collection of table initialisers, so what is run is what the caller of this has in it.
    listed = meta_graph if contract.init_key(meta_graph) != contract.TABLES_KEY else called or meta_graph
    needed = judge.check_loading(contract.init_ops(listed))
    suspects = [node for node in meta_graph.graph_def.node if judge.is_suspect(node)]
    if suspects or any(judge.is_suspect(node) for f in judge.functions.values() for node in f.node_def):
        needed |= judge.check_calls(called or meta_graph, True)
        _keep_from_import(meta_graph, judge, suspects, needed)


def check_candidate(saved_model: SavedModel, side_effects: bool) -> None:
    """Checks a TF2 SavedModel before `tf.saved_model.load` and a v1 Session load it and call its signatures.

    Args:
      saved_model: as it is on the disk.
      side_effects: whether its signatures may have effects outside the process.

    Raises:
      UnsafeError: it does more, or reads other files than its own.
    """
    for meta_graph in saved_model.meta_graphs:
        judge = _Judge.of(meta_graph)
        judge.check_loading(contract.init_ops(meta_graph))
        judge.check_calls(meta_graph, side_effects)
        judge.check_import()
        judge.check_objects(side_effects)


@frozen
class _Judge:
    """One MetaGraphDef.

    Attributes:
      meta_graph: the model.
      nodes: of its graph, by name.
      functions: of its library, by name.
    """

    meta_graph: MetaGraphDef
    nodes: Mapping[str, NodeDef]
    functions: Mapping[str, FunctionDef]

    @classmethod
    def of(cls, meta_graph: MetaGraphDef) -> _Judge:
        """Reads a MetaGraphDef."""
        graph_def = meta_graph.graph_def
        functions = {function.signature.name: function for function in graph_def.library.function}
        return cls(meta_graph, {node.name: node for node in graph_def.node}, functions)

    def is_suspect(self, node: NodeDef) -> bool:
        """Whether a node has effects outside the process if TensorFlow takes it for a constant."""
        if node.op in self.functions or not is_evaluated_on_import(node):
            return False
        return effect_of(node) not in HARMLESS or bool(file_in_attribute(node))

    def check_loading(self, init_ops: Sequence[str]) -> set[str]:
        """Checks the restore op and the init ops; gives the names of the nodes that they run."""
        files = contract.assets(self.meta_graph)
        for _, file in files:
            if os.path.isabs(file) or ".." in file.replace("\\", "/").split("/"):
                raise UnsafeError(f"the asset {file!r} is not in the model's assets/ directory")
        saver = self.meta_graph.saver_def
        restore = _Part("the restore op: ", self.nodes, {_full(saver.filename_tensor_name): _PREFIX})
        paths = dict.fromkeys((tensor for tensor, _ in files), _ASSET)
        init = _Part("the init op: ", self.nodes, paths, held=self._hold_assets(paths) if files else {})
        found = set()
        for part, names in ((restore, [saver.restore_op_name]), (init, init_ops)):
            needed = _closure(part, names)
            self._check(part, needed, is_load=True)
            found |= needed
        return found

    def _hold_assets(self, paths: Mapping[str, str]) -> dict[str, str]:
        """The variables into which nothing is ever put but the path of an asset, as TensorFlow 2 exports assets."""
        handles: dict[bytes, list[str]] = {}
        for node in self.nodes.values():
            if node.op == "VarHandleOp":
                handles.setdefault(_shared_name(node), []).append(node.name)
        elsewhere = {
            _shared_name(node) for f in self.functions.values() for node in f.node_def if node.op == "VarHandleOp"
        }
        alone = {names[0] for key, names in handles.items() if len(names) == 1 and key not in elsewhere}
        values: dict[str, list[str]] = {}
        for node in self.nodes.values():
            for position, tensor in enumerate(_data(node)):
                name = tensor.partition(":")[0]
                if name not in alone or node.op in ("ReadVariableOp", "VarIsInitializedOp"):
                    continue
                if node.op == "AssignVariableOp" and position == 0:
                    values.setdefault(name, []).append(_full(node.input[1]))
                else:
                    alone.discard(name)  # It may be written there.
        return {name: _ASSET for name, given in values.items() if name in alone and all(v in paths for v in given)}

    def check_calls(self, called: MetaGraphDef, side_effects: bool) -> set[str]:
        """Checks what the signatures of a MetaGraphDef run in this graph; gives the names of those nodes."""
        found = set()
        for signature in contract.signatures(called):
            fed = {_full(tensor): _FED for spec in signature.inputs.values() for tensor in spec.tensors}
            part = _Part(f"signature {signature.key!r}: ", self.nodes, fed)
            fetched = [tensor for spec in signature.outputs.values() for tensor in spec.tensors]
            needed = _closure(part, fetched)
            self._check(part, needed, is_load=False, side_effects=side_effects)
            found |= needed | {tensor.partition(":")[0] for tensor in fed}
        return found

    def check_import(self) -> None:
        """Checks that TensorFlow runs nothing that reads files while it imports the graph and every function."""
        self._check(_Part("the graph: ", self.nodes, {}), self.nodes, is_load=False, follow=False)
        for function in self.functions.values():
            part = _part(function, (_FED,) * len(function.signature.input_arg))
            self._check(part, part.nodes, is_load=False, follow=False)

    def check_objects(self, side_effects: bool) -> None:
        """Checks the functions that the object graph names: loading calls some, callers of the loaded object others."""
        objects = self.meta_graph.object_graph_def
        loading = {c.node_id for node in objects.nodes for c in node.children if c.local_name in _RUN_BY_LOADER}
        loading.update(s.restore_function for node in objects.nodes for s in node.saveable_objects.values())
        seen: dict[bool, dict[str, set[tuple[str, ...]]]] = {True: {}, False: {}}
        for number, node in enumerate(objects.nodes):
            names = [*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name]
            for name in filter(self.functions.__contains__, names):
                function = self.functions[name]
                count = len(function.signature.input_arg)
                bound = objects.concrete_functions[name].bound_inputs if name in objects.concrete_functions else ()
                # What a function captures comes after its arguments.
                kinds = [_FED] * max(count - len(bound), 0)
                kinds += [_ASSET if objects.nodes[i].HasField("asset") else _FED for i in bound]
                part = _part(function, kinds[:count])
                is_load = number in loading
                self._check(part, part.nodes, is_load, side_effects, seen=seen[is_load])

    def _check(
        self,
        part: _Part,
        names: Iterable[str],
        is_load: bool,
        side_effects: bool = True,
        follow: bool = True,
        seen: dict[str, set[tuple[str, ...]]] | None = None,
    ) -> None:
        """Checks nodes of a part, and the functions that they call where `follow` says so."""
        seen = {} if seen is None else seen
        parts: list[tuple[_Part, Iterable[str]]] = [(part, names)]
        for current, chosen in parts:  # grows while it is read
            for name in chosen:
                node = current.nodes[name]
                if node.op not in self.functions:
                    reason = _fault(current, node, is_load, side_effects)
                    if reason:
                        inside = f"{current.where}{node.op} {name!r} {reason}"
                        raise UnsafeError(inside if current is part else part.where + inside)
                for function, kinds in self._called(current, node) if follow else ():
                    known = seen.setdefault(function.signature.name, set())
                    if len(known) >= _MOST_CALLS:
                        kinds = ((_FED if is_load else _CONSTANT),) * len(kinds)
                    if kinds not in known:
                        known.add(kinds)
                        body = _part(function, kinds)
                        parts.append((body, body.nodes))

    def _called(self, part: _Part, node: NodeDef) -> Iterator[tuple[FunctionDef, tuple[str, ...]]]:
        """The functions that a node calls, with what is given to each."""
        names = [name for name in (node.op, *_named_functions(node)) if name in self.functions]
        if not names:
            return
        # TensorFlow's optimiser may put one in another's place (grappler, implementation_selector.cc).
        interfaces = {_interface(self.functions[name]) for name in names} - {b""}
        names += [name for name, f in self.functions.items() if interfaces and _interface(f) in interfaces]
        kinds = tuple(_kind(part, tensor) for tensor in _data(node))
        is_plain = node.op in self.functions or node.op in _CALLS
        for name in names:
            count = len(self.functions[name].signature.input_arg)
            if is_plain and count == len(kinds):
                yield self.functions[name], kinds
            else:
                yield self.functions[name], (_CONSTANT if all(k == _CONSTANT for k in kinds) else _FED,) * count


def _fault(part: _Part, node: NodeDef, is_load: bool, side_effects: bool) -> str:
    """Why a node must not run, as the rest of a sentence; empty where it may."""
    what = effect_of(node)
    file = file_in_attribute(node)
    if file and (is_load or not side_effects or is_evaluated_on_import(node)):
        return f"names the file {file!r}, which is none of the model's files"
    if what in HARMLESS:
        return ""
    taken = _data(node)
    named = [taken[i] for i in NAMED_FILES.get(node.op, ()) if i < len(taken)]
    if what == "reads-files" and named and all(_kind(part, tensor) in (_ASSET, _PREFIX) for tensor in named):
        return ""
    if is_load:
        return (
            "reads a file that is none of the model's files" if named else f"{words(what)}, while the model is loaded"
        )
    if is_evaluated_on_import(node) and all(_kind(part, tensor) == _CONSTANT for tensor in taken):
        return f"{words(what)}, which TensorFlow would do while it imports the graph"
    return "" if side_effects else f"{words(what)}; allow it with --allow_side_effects"


def _kind(part: _Part, tensor: str) -> str:
    """What a tensor carries."""
    seen: set[str] = set()
    passed = tensor
    while passed not in seen:
        seen.add(passed)
        known = part.known(passed)
        if known is not None:
            return known
        node = part.node(passed)
        if node is not None and node.op == "ReadVariableOp" and node.input and node.input[0] in part.held:
            return part.held[node.input[0]]
        if node is None or node.op not in _SAME or not node.input:
            break
        passed = node.input[0]
    return _CONSTANT if _is_constant(part, tensor) else _FED


def _is_constant(part: _Part, tensor: str) -> bool:
    """Whether TensorFlow may know a tensor's value while it imports the graph."""
    table = load_op_table()
    seen: set[str] = set()
    stack = [tensor]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        known = part.known(current)
        if known is not None:
            if known != _CONSTANT:
                return False
            continue
        node = part.node(current)
        if node is None or node.op in ("Placeholder", "PlaceholderV2"):
            return False
        if node.op in table and table[node.op].is_stateful:
            return False
        if node.op not in _SHAPES:
            stack.extend(_data(node))
    return True


def _closure(part: _Part, wanted: Iterable[str]) -> set[str]:
    """Names of the nodes that a Session runs for some tensors and nodes, cut at what is fed."""
    found: set[str] = set()
    stack = [name for name in wanted if name]
    while stack:
        name = stack.pop()
        if name[:1] == "^":
            name = name[1:]
        elif part.known(name) is not None:
            continue
        node = part.node(name)
        if node is not None and node.name not in found:
            found.add(node.name)
            stack.extend(node.input)
    return found


def _keep_from_import(meta_graph: MetaGraphDef, judge: _Judge, suspects: Sequence[NodeDef], needed: set[str]) -> None:
    """Takes constant file names away from what would read the files while TensorFlow imports the graph.

    The nodes stay, since collections name them. A node that runs keeps its inputs; where it reads an asset, the
    constant that the loader replaces becomes a placeholder.
    """
    for tensor, _ in contract.assets(meta_graph):
        node = judge.nodes.get(tensor.partition(":")[0])
        if node is not None and node.op == "Const":
            node.op = "Placeholder"
            node.attr.clear()
            node.attr["dtype"].type = _DT_STRING
    part = _Part("the graph: ", judge.nodes, {})
    unknown = "".join(("not_a_file", *("_" for name in judge.nodes if name.startswith("not_a_file"))))
    for node in suspects:
        if node.name in needed or any(_kind(part, tensor) != _CONSTANT for tensor in _data(node)):
            continue
        positions = NAMED_FILES.get(node.op, ())
        inputs = list(node.input)
        if not positions or positions[-1] >= len(inputs):
            raise UnsafeError(f"{node.op} {node.name!r} would run while TensorFlow imports the graph")
        for position in positions:
            inputs[position] = unknown
        del node.input[:]
        node.input.extend(inputs)
    if any(unknown in node.input for node in suspects):
        placeholder = meta_graph.graph_def.node.add(name=unknown, op="Placeholder")
        placeholder.attr["dtype"].type = _DT_STRING


def _part(function: FunctionDef, kinds: Sequence[str]) -> _Part:
    given = dict(zip((arg.name for arg in function.signature.input_arg), kinds, strict=True))
    nodes = {node.name: node for node in function.node_def}
    return _Part(f"function {function.signature.name!r}: ", nodes, given, is_body=True)


def _shared_name(node: NodeDef) -> bytes:
    name: bytes = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return name or node.name.encode()


def _data(node: NodeDef) -> list[str]:
    return [name for name in node.input if not name.startswith("^")]


def _full(tensor: str) -> str:
    return tensor if ":" in tensor else tensor + ":0"


def _interface(function: FunctionDef) -> bytes:
    """What a function says it implements, as others may; empty for nothing."""
    return bytes(function.attr["api_implements"].s) if "api_implements" in function.attr else b""


def _named_functions(node: NodeDef) -> Iterator[str]:
    pending: list[AttrValue] = list(node.attr.values())
    while pending:
        attr = pending.pop()
        functions = [*attr.list.func]
        if attr.HasField("func"):
            functions.append(attr.func)
        for function in functions:
            yield function.name
            pending.extend(function.attr.values())

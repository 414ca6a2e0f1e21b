"""Nodes that stay bytes, and are parsed one at a time when they are asked for.

Once parsed, a small node takes five to fourteen times its bytes (measured: 490 for one of 35 bytes, 870 for one of
139), and an index by name 200 more. `sources.stored` reads graphs of millions of nodes in this form.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from typing import Any, NoReturn, overload

from migrate.errors import InputError
from migrate.graph.protobuf_wire import varint, write_varint
from migrate.graph.protos import FunctionDefLibrary, GraphDef, MetaGraphDef, NodeDef


class StoredNodes(Sequence[NodeDef]):
    """The nodes of a graph. Each time that one is asked for, it is parsed again."""

    def __init__(self, data: bytes, starts: array[int], ends: array[int]) -> None:
        """Indexes the nodes by name.

        Args:
          data: holds the nodes.
          starts: where each one begins.
          ends: where each one ends.

        Raises:
          ValueError: one cannot be parsed, has no name or no op, or has the name of another one.
        """
        self._data = data
        self._starts = starts
        self._ends = ends
        size = 1 << (2 * len(starts)).bit_length()
        self._mask = size - 1
        # Places plus one by the hash of a name; a slot that is taken leads on to the next.
        self._slots = array("I", [0]) * size
        for place, start in enumerate(starts):
            node = self[place]
            slot = self._slot(node.name)
            is_first = data.startswith(_name_field(node.name), start)
            if not (is_first and node.name and node.op) or self._slots[slot]:
                raise ValueError("a node that cannot be asked for by its name")
            self._slots[slot] = place + 1

    def _slot(self, name: str) -> int:
        """The slot of a name, or the free one that it would get."""
        field = _name_field(name)
        data, starts, slots, mask = self._data, self._starts, self._slots, self._mask
        slot = hash(name) & mask
        while (place := slots[slot]) and not data.startswith(field, starts[place - 1]):
            slot = (slot + 1) & mask
        return slot

    def name(self, place: int) -> str:
        """The name of a node, read off its first field."""
        length, position = varint(self._data, self._starts[place] + 1)
        return self._data[position : position + length].decode()

    def place(self, name: str) -> int:
        """Where the node of a name is; -1 where there is none."""
        return self._slots[self._slot(name)] - 1

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> NodeDef: ...

    @overload
    def __getitem__(self, place: slice) -> StoredNodes: ...

    def __getitem__(self, place: int | slice) -> NodeDef | StoredNodes:
        if isinstance(place, slice):
            if place != slice(None):
                raise TypeError("all nodes, or one")
            return self  # Who asks a proto for all of its nodes at once wants to be faster, and not to have a copy.
        return NodeDef.FromString(self._data[self._starts[place] : self._ends[place]])

    def __iter__(self) -> Iterator[NodeDef]:
        data = self._data
        for start, end in zip(self._starts, self._ends, strict=True):
            yield NodeDef.FromString(data[start:end])


def _name_field(name: str) -> bytes:
    """The field of a NodeDef that holds its name, which every exporter writes first."""
    text = name.encode("utf-8", "surrogatepass")
    return b"\x0a" + write_varint(len(text)) + text


class StoredMapping(Mapping[str, Any]):
    """A mapping from the names of nodes that knows what comes next without looking each name up."""

    def _all(self) -> Iterator[tuple[str, Any]]:
        """Names and values, in order."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._all())

    def items(self) -> ItemsView[str, Any]:
        """As of a dict."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """As of a dict."""
        return _Values(self)


class _Items(ItemsView[str, Any]):
    _mapping: StoredMapping

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self._mapping._all()


class _Values(ValuesView[Any]):
    _mapping: StoredMapping

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping._all())


class StoredByName(StoredMapping):
    """The nodes of a stored graph by name."""

    def __init__(self, nodes: StoredNodes) -> None:
        """See the class."""
        self.nodes = nodes

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.nodes.place(name) >= 0

    def __getitem__(self, name: str) -> NodeDef:
        place = self.nodes.place(name)
        if place < 0:
            raise KeyError(name)
        return self.nodes[place]

    def __iter__(self) -> Iterator[str]:
        return map(self.nodes.name, range(len(self.nodes)))

    def _all(self) -> Iterator[tuple[str, NodeDef]]:
        return ((node.name, node) for node in self.nodes)


class Places(StoredMapping):
    """Their places."""

    def __init__(self, nodes: Mapping[str, NodeDef]) -> None:
        """Takes a `StoredByName`."""
        assert isinstance(nodes, StoredByName)
        self._nodes = nodes.nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._nodes.place(name) >= 0

    def __getitem__(self, name: str) -> int:
        place = self._nodes.place(name)
        if place < 0:
            raise KeyError(name)
        return place

    def _all(self) -> Iterator[tuple[str, int]]:
        return ((self._nodes.name(place), place) for place in range(len(self._nodes)))


class Computed(StoredMapping):
    """What a function says of each node, worked out each time that it is asked for."""

    def __init__(self, nodes: Mapping[str, NodeDef], compute: Callable[[NodeDef], Any]) -> None:
        """See the class."""
        self._nodes = nodes
        self._compute = compute

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> Any:
        return self._compute(self._nodes[name])

    def _all(self) -> Iterator[tuple[str, Any]]:
        return ((name, self._compute(node)) for name, node in self._nodes.items())


class StoredGraphDef:
    """What is asked of a GraphDef."""

    def __init__(self, rest: GraphDef, node: StoredNodes) -> None:
        """See `StoredMetaGraph`."""
        self.node = node
        self.library: FunctionDefLibrary = rest.library
        self.versions = rest.versions


class StoredMetaGraph:
    """Answers what is asked of a MetaGraphDef; a copy is refused, since it takes too much memory.

    Attributes:
      too_large: says so, with the flag that allows it.
      may_propose: whether there is memory to look for a signature where it has none.
    """

    def __init__(self, rest: MetaGraphDef, nodes: StoredNodes, too_large: str, may_propose: bool) -> None:
        """Begins.

        Args:
          rest: the MetaGraphDef without its nodes.
          nodes: these.
          too_large: see above.
          may_propose: see above.
        """
        self._rest = rest
        self.graph_def = StoredGraphDef(rest.graph_def, nodes)
        self.too_large = too_large
        self.may_propose = may_propose
        self.meta_info_def = rest.meta_info_def
        self.saver_def = rest.saver_def
        self.collection_def = rest.collection_def
        self.signature_def = rest.signature_def
        self.asset_file_def = rest.asset_file_def
        self.object_graph_def = rest.object_graph_def
        self.HasField = rest.HasField
        self.MergeFrom = rest.MergeFrom

    def __getattr__(self, name: str) -> NoReturn:
        raise InputError(self.too_large)

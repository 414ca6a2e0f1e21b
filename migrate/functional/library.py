"""The functions of a plan while functions are added to them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migrate.graph.function_calls import callees
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import FunctionDef, NodeDef

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


class Library:
    """Functions by name: those of the source, and those that are made.

    Attributes:
      functions: all of them.
      made: those that were added, in this order.
    """

    def __init__(self, functions: Iterable[FunctionDef]) -> None:
        self.functions = {function.signature.name: function for function in functions}
        self.made: dict[str, FunctionDef] = {}
        self._stateful: dict[str, bool] = {}
        self._by_content: dict[bytes, str] = {}
        self._numbers: dict[str, int] = {}

    def add(self, function: FunctionDef, hint: str) -> str:
        """Adds a function under a name of its own; one that does the same is not added again.

        Args:
          function: without a name.
          hint: what the name begins with.

        Returns:
          The name.
        """
        content = hint.encode() + b"\0" + function.SerializeToString(deterministic=True)
        if content not in self._by_content:
            name = base = _NOT_IN_NAMES.sub("_", hint)
            while name in self.functions:
                self._numbers[base] = self._numbers.get(base, 0) + 1
                name = f"{base}_{self._numbers[base]}"
            function.signature.name = name
            self.functions[name] = self.made[name] = function
            self._by_content[content] = name
        return self._by_content[content]

    def is_stateful(self, node: NodeDef) -> bool:
        """Whether a node, or what it calls, has to do with a state. An op that nobody knows may have."""
        called = [node.op] if node.op in self.functions else [*callees(node)]
        if called:
            return any(self.holds_state(name) for name in called)
        info = load_op_table().get(node.op)
        return info is None or info.is_stateful

    def holds_state(self, name: str) -> bool:
        """Whether some node of a function has to do with a state."""
        if name not in self.functions:
            return True
        if name not in self._stateful:
            self._stateful[name] = True  # For one that calls itself.
            self._stateful[name] = any(self.is_stateful(node) for node in self.functions[name].node_def)
        return self._stateful[name]

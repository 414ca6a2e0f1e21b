from __future__ import annotations

from migrate.functional.library import Library
from migrate.graph.protos import FunctionDef, NodeDef
from tests.rewrite.texts import node


def _function(*lines: str) -> FunctionDef:
    made = FunctionDef()
    made.node_def.extend(node(line) for line in lines)
    return made


def test_names() -> None:
    library = Library([])
    first = library.add(_function("a = Neg(x)"), "scope/cond/then")
    assert first == "scope_cond_then"
    assert library.add(_function("a = Neg(x)"), "scope/cond/then") == first  # The same function.
    assert library.add(_function("a = Abs(x)"), "scope/cond/then") == "scope_cond_then_1"
    assert list(library.made) == ["scope_cond_then", "scope_cond_then_1"]


def test_state() -> None:
    library = Library([])
    pure = library.add(_function("a = Neg(x)"), "pure")
    reads = library.add(_function("a = ReadVariableOp(x)"), "reads")
    calls = library.add(_function(f"a = PartitionedCall/{reads}(x)"), "calls")
    assert [library.holds_state(name) for name in (pure, reads, calls, "unknown")] == [False, True, True, True]
    assert library.is_stateful(NodeDef(op="NobodyKnows"))
    assert library.is_stateful(NodeDef(op=reads)) and not library.is_stateful(NodeDef(op=pure))

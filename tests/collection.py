"""Which files of tests are not imported: `-m` leaves out all that they hold, and some would import TensorFlow."""

from __future__ import annotations

import ast


def left_out(expression: str) -> frozenset[str]:
    """The marks each of which leaves a test out, whatever other marks it has.

    Args:
      expression: of `-m`, as in `not (tensorflow or slow)` or `process and not slow`.
    """
    if not expression.strip():
        return frozenset()
    return _false_with(ast.parse(expression, mode="eval").body)


def _false_with(node: ast.expr) -> frozenset[str]:
    """Marks of which one alone makes an expression false."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return frozenset().union(*map(_false_with, node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _true_with(node.operand)
    return frozenset()


def _true_with(node: ast.expr) -> frozenset[str]:
    """Marks of which one alone makes an expression true."""
    if isinstance(node, ast.Name):
        return frozenset({node.id})
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return frozenset().union(*map(_true_with, node.values))
    return frozenset()


def marks_of_all(source: str) -> frozenset[str]:
    """The marks that a file gives to all of its tests (`pytestmark`), by its text."""
    found: set[str] = set()
    if "pytestmark" not in source:
        return frozenset()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
            "pytestmark"
        ]:
            values = statement.value.elts if isinstance(statement.value, ast.List) else [statement.value]
            for value in values:
                call = value.func if isinstance(value, ast.Call) else value
                if isinstance(call, ast.Attribute) and ast.unparse(call.value) == "pytest.mark":
                    found.add(call.attr)
    return frozenset(found)

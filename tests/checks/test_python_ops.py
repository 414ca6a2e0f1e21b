from __future__ import annotations

import pytest

from migrate.checks.python_ops import find_python_ops
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef
from migrate.records import Severity


@pytest.mark.parametrize("op", ["Print", "PrintV2", "Py", "PartitionedCall", "pyfunc", "Identity", "RemoteCall"])
def test_no_finding(op):
    assert find_python_ops([Located(NodeDef(name="n", op=op))]) == ()
    assert find_python_ops([]) == ()


@pytest.mark.parametrize("op", ["PyFunc", "PyFuncStateless", "EagerPyFunc"])
def test_each_python_op(op):
    (finding,) = find_python_ops([Located(NodeDef(name="n", op=op), "f")])
    assert (finding.code, finding.severity, finding.nodes) == ("python-op", Severity.REFUSAL, ("f/n",))


def test_one_finding_for_all():
    nodes = [
        Located(NodeDef(name=name, op=op)) for name, op in (("a", "PyFunc"), ("b", "EagerPyFunc"), ("c", "PyFunc"))
    ]
    (finding,) = find_python_ops(nodes)
    assert finding.message == "The model calls Python code that is not in it: EagerPyFunc (1), PyFunc (2)."
    assert finding.nodes == ("a", "b", "c")

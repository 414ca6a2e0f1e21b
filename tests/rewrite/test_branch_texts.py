"""What becomes of an If, Case or While whose bodies hold ref ops: graphs before and after, as text.

    python -m tests.rewrite.test_branch_texts

writes branches.txt anew. A v1 Session is asked in test_branches.py; no TensorFlow runs here.
"""

from __future__ import annotations

import pathlib

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import FunctionDef, MetaGraphDef
from migrate.plan.plan import make_plan
from migrate.rewrite.inline import inline_ref_functions
from tests.rewrite.pairs import Pair, read
from tests.rewrite.texts import BOOL, function, node, shown

FILE = pathlib.Path(__file__).with_name("branches.txt")


def _asks(made: FunctionDef) -> FunctionDef:
    made.signature.output_arg[0].type = BOOL
    return made


FUNCTIONS = (
    function(
        "adds",
        "a",
        "v = VariableV2() dtype=float32 shape=()",
        "w = AssignAdd(v:ref:0, a) T=float32",
        "r = Identity(w:output_ref:0) T=float32",
        y="r:output:0",
    ),
    function(
        "unseen",
        "a",
        "v = VariableV2() dtype=float32 shape=() shared_name='kept'",
        "one = Const() dtype=float32 value=float32:1.0",
        "w = AssignAdd(v:ref:0, one:output:0) T=float32",
        y="a",
    ),
    function("negates", "a", "n = Neg(a) T=float32", y="n:y:0"),
    _asks(
        function(
            "small", "a", "m = Const() dtype=float32 value=float32:4.0", "s = Less(a, m:output:0) T=float32", y="s:z:0"
        )
    ),
    function("queues", "a", "q = FIFOQueue() shapes=[]", "e = QueueEnqueue(q:handle:0, a)", y="a"),
    function("calls", "a", "c = adds(a)", y="c:y:0"),
)


def _source(before: str) -> MetaGraphDef:
    source = MetaGraphDef()
    source.graph_def.library.function.extend(FUNCTIONS)
    source.graph_def.node.extend(node(line) for line in before.splitlines())
    return source


def _made(before: str) -> str:
    """The graph after, and what is refused since a function that holds ref ops is left."""
    source = _source(before)
    made = inline_ref_functions(source, load_ref_ops())
    signature = source.signature_def["s"]
    signature.outputs["y"].name = "c:0"
    for each in source.graph_def.node:
        if each.op == "Placeholder":
            signature.inputs[each.name].name = f"{each.name}:0"
            signature.inputs[each.name].dtype = each.attr["dtype"].type
    left = [f for f in make_plan(source).findings if f.code == "ref-in-function"]
    return "\n".join([shown(made.graph_def.node), *(f"{finding.code}: {', '.join(finding.nodes)}" for finding in left)])


@pytest.mark.parametrize("pair", read(FILE), ids=lambda pair: pair.title.splitlines()[0].strip("# .").replace(" ", "_"))
def test_a_graph_becomes_what_the_text_says(pair: Pair) -> None:
    source = _source(pair.before)
    assert shown(source.graph_def.node) == pair.before  # The text is read as it is written.
    assert _made(pair.before) == pair.after
    assert source == _source(pair.before)


def test_each_input_is_given_by_a_node() -> None:
    for pair in read(FILE):
        made = inline_ref_functions(_source(pair.before), load_ref_ops()).graph_def.node
        names = [new.name for new in made]
        taken = {i.removeprefix("^").partition(":")[0] for new in made for i in new.input}
        assert len(set(names)) == len(names) and taken <= set(names), pair.title


if __name__ == "__main__":
    written = (f"{pair.title}\n{pair.before}\n--\n{_made(pair.before)}" for pair in read(FILE))
    FILE.write_text("\n\n".join(written) + "\n", encoding="utf-8")

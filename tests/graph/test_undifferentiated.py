from __future__ import annotations

from migrate.graph.data_protos import CondContextDef, WhileContextDef
from migrate.graph.protos import MetaGraphDef
from migrate.graph.undifferentiated import undifferentiated


def _loop(*exits, back_prop=False):
    return WhileContextDef(loop_exit_names=exits, back_prop=back_prop)


def _graph(*loops, conds=()):
    graph = MetaGraphDef()
    for key, contexts in (("while_context", loops), ("cond_context", conds)):
        if contexts:
            graph.collection_def[key].bytes_list.value.extend(each.SerializeToString() for each in contexts)
    return graph


def test_the_exits_of_a_loop_without_gradients_are_told():
    assert undifferentiated(_graph(_loop("a/Exit:0", "a/Exit_1:0"), _loop("b/Exit:0", back_prop=True))) == {
        "a/Exit",
        "a/Exit_1",
    }


def test_loops_in_loops_and_conds_are_told():
    outer = _loop("o/Exit:0", back_prop=True)
    outer.nested_contexts.add().while_ctxt.CopyFrom(_loop("o/i/Exit:0"))
    cond = CondContextDef()
    cond.nested_contexts.add().cond_ctxt.nested_contexts.add().while_ctxt.CopyFrom(_loop("c/Exit:0"))
    assert undifferentiated(_graph(outer, conds=(cond,))) == {"o/i/Exit", "c/Exit"}


def test_what_cannot_be_read_tells_nothing():
    graph = _graph(_loop("a/Exit:0"))
    graph.collection_def["while_context"].bytes_list.value.append(b"\xff")
    assert undifferentiated(graph) == {"a/Exit"}
    assert undifferentiated(MetaGraphDef()) == frozenset()

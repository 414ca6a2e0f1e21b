"""Tables and queues that calls change: which of the candidate stands for which one of the source."""

from __future__ import annotations

import pytest

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef
from migrate.proof.library import Library
from migrate.proof.records import NotProved, OutputName, Proved, Result
from migrate.proof.signatures import signature
from migrate.proof.tables import Tables, is_settled
from migrate.proof.terms import Terms
from tests.proof.graphs import function, identity, node
from tests.proof.test_source_calls import Names, calls_of, graph_of
from tests.rewrite.texts import node as line

_TWO = """x = Placeholder() dtype=float32
k = Const() dtype=string value=string:'k'
t = MutableHashTableV2() key_dtype=string value_dtype=float32 shared_name='t'
u = MutableHashTableV2() key_dtype=string value_dtype=float32 shared_name='u'
"""
_INSERT = "LookupTableInsertV2(%s, k, x) Tin=string Tout=float32"
_FIND = "LookupTableFindV2(%s, k, x) Tin=string Tout=float32"
GIVEN: Names = {"x": "x:0"}


def _graph(text: str, **outputs: str) -> MetaGraphDef:
    signatures = {key: (GIVEN, {"r": tensor}) for key, tensor in outputs.items()}
    return graph_of([line(each) for each in text.strip().splitlines()], signatures)


def _proved(source: MetaGraphDef, candidate: MetaGraphDef) -> list[tuple[Result, Result]]:
    calls = calls_of(source, candidate)
    found = []
    for key in sorted(source.signature_def):
        outputs, left = signature(calls, key, ways=("session",))
        found.append((outputs[OutputName(key, "r")], left))
    return found


def _filled_and_asked(table: str) -> MetaGraphDef:
    """One signature inserts into `t`, another one asks a table."""
    text = f"{_TWO}e = {_INSERT % 't'}\nput = Identity(x, ^e) T=float32\nget = {_FIND % table}"
    return _graph(text, a="put:0", b="get:0")


def test_what_one_signature_inserts_another_one_finds():
    same = _proved(_filled_and_asked("t"), _filled_and_asked("t"))
    assert [[type(each) for each in pair] for pair in same] == [[Proved, Proved]] * 2
    (put, get) = _proved(_filled_and_asked("t"), _filled_and_asked("u"))
    assert isinstance(put[0], Proved) and isinstance(get[0], NotProved)
    (_, get) = _proved(_filled_and_asked("u"), _filled_and_asked("t"))
    assert isinstance(get[0], NotProved)


def test_what_an_earlier_call_has_inserted_is_found_in_the_same_table():
    """In the first call both tables are empty."""

    def asked_then_filled(table: str) -> MetaGraphDef:
        insert = _INSERT % table
        text = f"{_TWO}get = {_FIND % 't'}\ne = {insert.replace(', x)', ', x, ^get)')}\nr = Identity(get, ^e) T=float32"
        return _graph(text, a="r:0")

    assert [type(each) for each in _proved(asked_then_filled("t"), asked_then_filled("t"))[0]] == [Proved, Proved]
    assert isinstance(_proved(asked_then_filled("t"), asked_then_filled("u"))[0][1], NotProved)
    assert isinstance(_proved(asked_then_filled("u"), asked_then_filled("t"))[0][1], NotProved)


def test_names_are_a_hint():
    source = _filled_and_asked("t")
    renamed = MetaGraphDef.FromString(source.SerializeToString())
    for made in renamed.graph_def.node:
        if made.op == "MutableHashTableV2":
            made.attr["shared_name"].s = b"resource_of_" + made.attr["shared_name"].s
    assert [[type(each) for each in pair] for pair in _proved(source, renamed)] == [[Proved, Proved]] * 2


def test_two_queues_of_one_form_are_told_apart():
    def moved(one: str, other: str) -> MetaGraphDef:
        text = f"""x = Placeholder() dtype=float32
a = FIFOQueueV2() component_types=[float32] capacity=9 shared_name='a'
b = FIFOQueueV2() component_types=[float32] capacity=9 shared_name='b'
e = QueueEnqueueV2({one}, x) Tcomponents=[float32]
f = QueueEnqueueV2({other}, x, ^e) Tcomponents=[float32]
d = QueueDequeueV2({one}, ^f) component_types=[float32]
r = Identity(d) T=float32"""
        return _graph(text, a="r:0")

    assert [type(each) for each in _proved(moved("a", "b"), moved("a", "b"))[0]] == [Proved, Proved]
    # The node `d` takes from the queue `b` in the candidate, and so does `e`: the queues have changed their names.
    assert [type(each) for each in _proved(moved("a", "b"), moved("b", "a"))[0]] == [Proved, Proved]
    one, other = moved("a", "b"), moved("a", "b")
    for made in other.graph_def.node:
        if made.op == "QueueDequeueV2":
            made.input[0] = "b"
    # In the first call it takes the same; what is left in the queues is not.
    assert isinstance(_proved(one, other)[0][1], NotProved)


def test_a_pair_stays_what_it_is():
    tables = Tables()

    def uses(model: str, **tables_of: str):
        made = graph_of(
            [
                *(node("MutableHashTableV2", n, shared_name=n.encode()) for n in sorted({*tables_of.values()})),
                *(node("LookupTableSizeV2", user, table) for user, table in tables_of.items()),
                identity("out", *(f"^{user}" for user in tables_of)),
            ],
            {},
        )
        program = calls_of(made).variables.pair.source.program()
        for user in tables_of:
            program.target(user)
        return program.nodes

    t, u, v, w = (("table", b"", name) for name in "tuvw")
    tables.learn("session", uses("source", a="t", b="u"), uses("candidate", a="v", b="w"))
    assert tables.twins["session"] == {v: t, w: u}
    tables.learn("session", uses("source", a="u", c="s"), uses("candidate", a="v", c="w"))
    assert tables.twins["session"] == {v: t, w: u}
    assert tables.twins["objects"] == {}


@pytest.mark.parametrize(
    ("maker", "op", "live", "expected"),
    [
        ("HashTable", "InitializeTable", frozenset(), True),
        ("HashTable", "LookupTableImport", frozenset(), True),
        ("HashTable", "LookupTableInsert", frozenset(), False),
        ("HashTable", "InitializeTable", frozenset({("if", 0, 1)}), False),
        ("MutableHashTable", "LookupTableImport", frozenset(), False),
    ],
)
def test_what_is_filled_once_and_for_all(maker, op, live, expected):
    terms = Terms()
    fresh = terms.make("fresh", (maker,))

    class OfOne:
        makes = (maker,)

    assert not is_settled(terms, OfOne(), fresh)
    assert is_settled(terms, OfOne(), terms.make("write", (op, (), live, 0), (fresh,))) is expected


def test_tables_that_are_told_by_names_which_are_alike_are_not_proved():
    """A node `c/t`, and the node `t` of a function that a node `c` calls."""
    made = function("f", ["a"], [line("t = MutableHashTableV2() key_dtype=string value_dtype=float32")])
    made.signature.is_stateful = True
    made.signature.output_arg.add(name="h", type=dtype_value("resource"))
    made.ret["h"] = "t:table_handle:0"

    def graph(call: str, asked: str) -> MetaGraphDef:
        text = f"""x = Placeholder() dtype=float32
k = Const() dtype=string value=string:'k'
c/t = MutableHashTableV2() key_dtype=string value_dtype=float32
{call} = StatefulPartitionedCall/f(x) Tin=[float32] Tout=[resource]
e = {_INSERT % "c/t"}
w = Identity(k, ^e) T=string
r = LookupTableFindV2({asked}, w, x) Tin=string Tout=float32"""
        found = _graph(text, a="r:0")
        found.graph_def.library.function.append(made)
        return found

    def proved(one: MetaGraphDef, other: MetaGraphDef) -> bool:
        return all(isinstance(result, Proved) for result in _proved(one, other)[0])

    assert proved(graph("d", "c/t"), graph("d", "c/t"))
    assert not proved(graph("d", "c/t"), graph("d", "d"))
    assert not proved(graph("c", "c/t"), graph("c", "c"))


def test_names_in_names_are_counted_in_a_few_steps():
    calls = [line(f"{'/'.join('a' * count)} = StatefulPartitionedCall/f()") for count in range(1, 60)]
    known = Library({"f": function("f", [], [*calls, line("t = NoOp()")])})
    nodes = known.body("f")
    assert [known.count("/".join([*"a" * count, "t"]), nodes, False) for count in range(5)] == [1, 1, 2, 4, 8]
    assert known.count("/".join([*"a" * 59, "t"]), nodes, False) == 1 << 58
    assert known.count("/".join([*"a" * 59, "u"]), nodes, False) == 0

"""Each rule by examples: the graph before and after, as text (see pairs.py). No TensorFlow runs."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.engine import rewrite
from migrate.rewrite.new_nodes import Edit
from migrate.rewrite.op_facts import SOURCES
from migrate.rewrite.rule import Rule, Table, by_op
from migrate.rewrite.rules.table import RULES
from tests.rewrite.pairs import FOLDER, Pair, read, written
from tests.rewrite.texts import run, shown

PAIRS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.txt"))}
NAMED = {rule.name: rule for rule in RULES}
PASSES = ("temporaries",)
"""What is done to a run before the rules look at it."""
SUPPORT = frozenset(rule.name for rule in RULES if all(op.gives in SOURCES or op.writes for op in rule.ops.values()))
"""Rules for what makes or writes a variable or another handle, without which most graphs give a rule nothing to do."""


def test_each_rule_has_examples_and_each_example_a_rule():
    assert sorted(PAIRS) == sorted([*NAMED, *PASSES])


@pytest.mark.parametrize("name", PAIRS)
def test_a_file_is_as_its_script_writes_it(name):
    assert (FOLDER / f"{name}.txt").read_text(encoding="utf-8") == written(PAIRS[name]), "see pairs.py"


@pytest.mark.parametrize(
    "pair", [pytest.param(pair, id=f"{name}-{pair.title}") for name, pairs in PAIRS.items() for pair in pairs]
)
def test_pair(pair):
    assert pair.title.startswith("# ")
    assert pair.result() == pair.after


def _fired(pair: Pair) -> set[str]:
    """The names of the rules that propose something for a node of an example."""
    found: set[str] = set()

    def recording(rule: Rule) -> Rule:
        def rewrite(node: NodeDef, scope: object) -> Edit | Finding | None:
            proposal = rule.rewrite(node, scope)
            if proposal is not None:
                found.add(rule.name)
            return proposal

        return dataclasses.replace(rule, rewrite=rewrite)

    pair.result(by_op(tuple(map(recording, RULES))))
    return found


def _without(name: str) -> Table:
    return by_op(tuple(rule for rule in RULES if rule.name != name))


@pytest.mark.parametrize("name", NAMED)
def test_a_rule_fires_alone_in_some_example(name):
    alone = [pair for pair in PAIRS[name] if name in _fired(pair) and _fired(pair) <= {name, *SUPPORT}]
    assert alone, "each example needs another rule as well"
    assert [pair for pair in alone if pair.result(_without(name)) != pair.after], "the rule changes nothing"


def test_each_op_of_a_rule_that_makes_its_twin_is_replaced_by_it():
    for rule in RULES:
        assert all(op.twin != name for name, op in rule.ops.items()), rule.name


@pytest.mark.parametrize("pair", [pair for pairs in PAIRS.values() for pair in pairs])
def test_a_rule_leaves_the_source_as_it_is(pair):
    # Attributes, too, are missing in the examples: to read one adds it to the node.
    source = run(pair.before)
    before = shown(source.graph.nodes.values())
    rewrite(source, load_ref_ops())
    assert shown(source.graph.nodes.values()) == before


@pytest.mark.parametrize("text", [pair.before for pairs in PAIRS.values() for pair in pairs])
def test_a_text_is_read_as_it_is_written(text):
    lines = [line for line in text.splitlines() if " = " in line]
    given = [line for line in shown(run(text).graph.nodes.values()).splitlines() if "Placeholder" not in line]
    assert given == [line for line in lines if "Placeholder" not in line]

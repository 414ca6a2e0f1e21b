from __future__ import annotations

import pytest

from migrate.checks import effects
from migrate.checks.effects import (
    ATTRIBUTE_DECIDES,
    HARMLESS,
    NAMED_FILES,
    NAMING_ATTRIBUTES,
    UNKNOWN,
    effect_of,
    file_in_attribute,
    is_evaluated_on_import,
    words,
)
from migrate.graph.op_table import EFFECTS, load_op_table
from tests.checks.graphs import text_node


def test_what_an_attribute_makes_harmless_is_dangerous_in_the_table():
    table = load_op_table()
    assert all(table[op].effect not in HARMLESS for op in ATTRIBUTE_DECIDES)


@pytest.mark.parametrize(
    ("op", "effect"),
    [
        ("Add", "pure"),
        ("RandomUniform", "random"),
        ("VariableV2", "state"),
        ("Stranger", UNKNOWN),
        ("BucketizeWithInputBoundaries", "pure"),
    ],
)
def test_effects_by_the_table(op, effect):
    node = text_node(op)
    assert (effects.effect(op), effect_of(node), file_in_attribute(node)) == (effect, effect, "")


@pytest.mark.parametrize(
    ("node", "harmless", "file"),
    [
        (text_node("PrintV2"), True, ""),
        (text_node("PrintV2", output_stream=b"stderr"), True, ""),
        (text_node("PrintV2", output_stream=b"file:///x"), False, "file:///x"),
        (text_node("PrintV2", output_stream=b"STDERR"), False, "STDERR"),
        (text_node("PrintV2", output_stream=b"\xff"), False, "\ufffd"),
        (text_node("DecodeProtoV2", descriptor_source=b"local://"), True, ""),
        (text_node("DecodeProtoV2", descriptor_source=b"bytes://\xff"), True, ""),
        (text_node("EncodeProto", descriptor_source=b"/x/descriptors.pb"), False, "/x/descriptors.pb"),
        (text_node("FixedUnigramCandidateSampler", vocab_file=b""), True, ""),
        (text_node("FixedUnigramCandidateSampler", vocab_file=b"/x"), False, "/x"),
        (text_node("Skipgram", filename=b"/x"), False, "/x"),
        (text_node("ImmutableConst"), False, ""),
        (text_node("DebugIdentity"), True, ""),
        (text_node("DebugIdentity", debug_urls=[]), True, ""),
        (text_node("DebugIdentityV2", debug_urls=[b"grpc://x"]), False, ""),
    ],
)
def test_an_attribute_decides(node, harmless, file):
    before = node.SerializeToString()
    assert (effect_of(node) in HARMLESS) is harmless
    assert file_in_attribute(node) == file
    assert node.SerializeToString() == before  # Looking for a key must not make it.


def test_each_effect_has_words():
    assert {words(info.effect) for info in load_op_table().values()} <= set(EFFECTS.values())
    assert all(words(name) == text for name, text in EFFECTS.items())
    assert words(UNKNOWN) == "is an op that this version does not know"


def test_ops_that_name_files_are_in_the_table():
    table = load_op_table()
    dangerous = {op for op in NAMED_FILES if table[op].effect not in HARMLESS}
    assert dangerous == NAMED_FILES.keys()
    assert NAMING_ATTRIBUTES.keys() <= table.keys()


@pytest.mark.parametrize(
    ("op", "evaluated"),
    [
        ("Add", True),
        ("ReadFile", True),
        ("RandomUniform", False),
        ("VariableV2", False),
        ("NoOp", False),
        ("Stranger", False),
    ],
)
def test_what_an_import_may_evaluate(op, evaluated):
    assert is_evaluated_on_import(text_node(op)) is evaluated

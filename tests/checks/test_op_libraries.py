"""Which libraries of the user's a model needs. No TensorFlow."""

from __future__ import annotations

import dataclasses

from migrate.checks.op_libraries import check
from migrate.checks.subject import Subject
from migrate.given import GivenLibrary, GivenOp
from migrate.graph.protos import MetaGraphDef
from migrate.records import Kind, Options, Severity
from migrate.sources.source import Source

_MINE = GivenOp("Mine", False, False, False, True, False, "float32", (("y", ""),))
_OTHER = dataclasses.replace(_MINE, name="Other")
_FILE = GivenLibrary("op_library", "/x/mine.so", "", "ab" * 32, (_MINE, _OTHER))
_PACKAGE = GivenLibrary("import_module", "my_package", "1.2", "cd" * 32, (dataclasses.replace(_MINE, name="Third"),))


def _found(ops, libraries, functions=()):
    meta_graph = MetaGraphDef()
    for number, op in enumerate(ops):
        meta_graph.graph_def.node.add(name=f"n{number}", op=op)
    for name in functions:
        meta_graph.graph_def.library.function.add().signature.name = name
    source = Source("m", Kind.FROZEN_GRAPH, "m/graph.pb", (meta_graph,), None, "m/assets", "m/assets.extra")
    options = Options(libraries=libraries)
    return list(check(Subject(source, meta_graph, tuple(meta_graph.graph_def.node), None, 0, (), False, options)))


def test_each_library_that_the_model_needs_is_named_with_its_digest():
    file, package = _found(["Mine", "Add", "Mine", "Third", "Other"], (_FILE, _PACKAGE))
    assert (file.code, file.severity, file.nodes) == ("needs-op-library", Severity.WARNING, ("n0", "n2", "n4"))
    assert file.message == f"Mine, Other come from /x/mine.so (SHA-256 {_FILE.sha256})."
    assert "tf.load_op_library('/x/mine.so')" in file.hint
    assert package.message == f"Third comes from my_package 1.2 (SHA-256 {_PACKAGE.sha256})."
    assert "import my_package" in package.hint


def test_no_finding_without_a_library_or_for_one_that_the_model_does_not_need():
    assert _found(["Mine", "Add"], ()) == []
    assert _found(["Add"], (_FILE,)) == []
    assert _found(["Mine"], (_FILE,), functions=["Mine"]) == []

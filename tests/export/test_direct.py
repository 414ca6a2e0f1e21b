"""What is written without TensorFlow's exporter is what it writes, field by field."""

from __future__ import annotations

import dataclasses
import os

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.private_api]

tf = pytest.importorskip("tensorflow")

from migrate.export import direct, patch  # noqa: E402 (starts TensorFlow)
from migrate.export.graph_job import with_stubs  # noqa: E402
from migrate.export.module import build  # noqa: E402
from migrate.export.values import table_content  # noqa: E402
from migrate.given import GivenOp  # noqa: E402
from migrate.graph.op_table import with_ops  # noqa: E402
from migrate.model.study import study  # noqa: E402
from migrate.records import Options  # noqa: E402
from tests.conversions import CASES, MODELS  # noqa: E402
from tests.export.comparison import comparable  # noqa: E402
from tests.export.random_models import make_model  # noqa: E402

FEW = ("odd_names", "sparse_signature", "uninitialized")
"""Several signatures, names that are renamed, sparse tensors, a variable without a value."""

_ALL = Options(drop_signatures=True, take_proposals=True)
_MORE = dataclasses.replace(_ALL, control_flow="functional", variables=True, keep_tensor_names=True)

TESTDATA = MODELS.parent
ALL = sorted(
    path
    for pattern in ("models/*", "forms/*", "dead_ops/*", "faults/*", "old/*/*")
    for path in TESTDATA.glob(pattern)
    if path.suffix != ".npz"
)


@pytest.fixture(autouse=True)
def without_functions_of_other_models():
    """A process knows one function of a name, and a conversion has a process of its own."""
    from tensorflow.python.eager import context

    context._reset_context()


def _built(path, options=_ALL):
    with study(str(path), options, is_whole=True) as studied:
        graph = studied.graph
        if graph is None or graph.plan.refused:
            return None
        plan = with_stubs(graph.plan)
        prefix = graph.source.checkpoint or ""
        tables = {name: table_content(fill, prefix) for name, fill in plan.tables.items()}
        return build(plan, graph.source.assets_dir, tables), plan


def _both(built, plan, directory):
    """What both write, with the names of the source."""
    found = []
    for name, writer in (("ours", direct), ("theirs", patch)):  # Theirs adds functions to what was built.
        path = str(directory / name)
        os.mkdir(path)
        keys = writer.save(built, plan, path)
        patch.patch(path, plan, built.names, "digest")
        found.append((comparable(path), keys, sorted({*os.listdir(path)} - {"fingerprint.pb"})))
    return found


def _has_more(plan):
    """Whether a model has more than variables and signatures."""
    return bool(plan.init or plan.training or plan.assets or plan.tables)


@pytest.mark.parametrize("name", FEW)
def test_it_is_what_tensorflow_writes(name, tmp_path):
    built, plan = _built(MODELS / name)
    assert direct.can_save(built, plan)
    ours, theirs = _both(built, plan, tmp_path)
    assert ours == theirs


def _check(path, options, directory):
    """Compares, or says why nothing is compared."""
    made = _built(path, options)
    if made is None:
        pytest.skip("it is not converted")
    if not direct.can_save(*made):
        assert _has_more(made[1])
        pytest.skip("it has more than variables and signatures")
    ours, theirs = _both(*made, directory)
    assert ours == theirs


@pytest.mark.sampled(4)
@pytest.mark.slow
@pytest.mark.parametrize("options", [_ALL, _MORE], ids=["", "more"])
@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(TESTDATA)))
def test_of_every_model_it_is_what_tensorflow_writes(path, options, tmp_path):
    _check(path, options, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if "@" in case.name], ids=lambda case: case.name)
def test_of_every_tag_set_it_is_what_tensorflow_writes(case, tmp_path):
    _check(MODELS / case.model, case.options, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
def test_of_random_models_it_is_what_tensorflow_writes(seed, tmp_path):
    make_model(seed, str(tmp_path / "model"))
    _check(tmp_path / "model", _MORE if seed % 3 == 2 else _ALL, tmp_path)


@pytest.mark.parametrize("name", ["counter", "tensor_names"])
def test_a_model_of_variables_and_signatures_is_written(name):
    assert direct.can_save(*_built(MODELS / name))


@pytest.mark.parametrize("name", ["hub_module", "vocabulary", "two_init_ops"])
def test_what_has_more_than_variables_and_signatures_is_left_to_tensorflow(name):
    assert not direct.can_save(*_built(MODELS / name))


def _changed(plan, **changes):
    return dataclasses.replace(plan, **changes)


def test_what_is_not_known_is_left_to_tensorflow():
    built, plan = _built(MODELS / "counter")
    assert direct.can_save(built, plan)
    (variable,) = plan.variables
    for other in (
        {"variables": plan.variables * 2},
        {"variables": ()},
        {"variables": (dataclasses.replace(variable, name="v/"),)},
        {"variables": (dataclasses.replace(variable, dtype=int(tf.variant.as_datatype_enum)),)},
        {"variables": (dataclasses.replace(variable, dtype=int(tf.qint8.as_datatype_enum)),)},
        {"assets": (("node", "file"),)},
    ):
        assert not direct.can_save(built, _changed(plan, **other)), other


@pytest.mark.parametrize(("attribute", "value"), [("more", 1), ("resources", [1]), ("functions", [])])
def test_an_object_that_is_not_known_is_left_to_tensorflow(attribute, value):
    built, plan = _built(MODELS / "counter")
    setattr(built.root, attribute, value)
    assert not direct.can_save(built, plan)


def test_an_op_of_a_users_library_is_left_to_tensorflow():
    built, plan = _built(MODELS / "counter")
    graph = plan.signatures[0].run.graph
    op = next(node.op for node in graph.nodes.values() if node.op != "VarHandleOp")
    with with_ops([GivenOp(op, False, False, False, True, False, "", ())]):
        assert not direct.can_save(built, plan)


def test_a_custom_gradient_is_left_to_tensorflow():
    built, plan = _built(MODELS / "counter")
    nodes = plan.signatures[0].run.graph.nodes
    changed = type(next(iter(nodes.values())))()
    changed.CopyFrom(next(iter(nodes.values())))
    changed.attr["_gradient_op_type"].s = b"Hundredfold"
    nodes[changed.name] = changed
    assert not direct.can_save(built, plan)


@pytest.mark.parametrize("release", ["2.99.0", "2.21.0-rc1"])
def test_a_release_whose_exporter_nobody_has_compared_is_left_to_tensorflow(release, monkeypatch):
    built, plan = _built(MODELS / "counter")
    monkeypatch.setattr(tf, "__version__", release)
    assert not direct.can_save(built, plan)

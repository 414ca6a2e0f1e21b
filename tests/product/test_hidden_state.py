"""State that no output shows: variables are compared after the calls, too."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.records import Converted, Mismatched, Options, Validated  # noqa: E402
from migrate.verify.compare_surface import ALTERED, COUNTED  # noqa: E402
from migrate.verify.contract import PATH as CONTRACT  # noqa: E402
from migrate.verify.messages import OPTIMISED_SESSION  # noqa: E402

_OPTIONS = Options(timeout=100)


@pytest.fixture(scope="module", params=[False, True], ids=["ref", "resource"])
def counting(request, tmp_path_factory):
    """A model that counts its calls and never says how many there were, and its conversion."""
    folder = tmp_path_factory.mktemp("counting")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        calls = v1.get_variable("calls", [], tf.int64, v1.zeros_initializer(), use_resource=request.param)
        mean = v1.get_variable("mean", [], tf.float32, v1.ones_initializer(), use_resource=request.param)
        moved = v1.assign(mean, mean * 0.75 + 0.5)
        with tf.control_dependencies([v1.assign_add(calls, 1), moved]):
            y = tf.identity(x * 2.0)
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(folder / "old"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    (report,) = migrate.convert(str(folder / "old"), str(folder / "new"), _OPTIONS).models
    assert isinstance(report.outcome, Converted), report
    return folder


def _validate(folder):
    (report,) = migrate.validate(str(folder / "new"), against=str(folder / "old"), options=_OPTIONS).models
    return report


def test_a_faithful_candidate_is_validated(counting):
    assert isinstance(_validate(counting).outcome, Validated)


@pytest.mark.parametrize(("dtype", "variable"), [(tf.int64, "calls"), (tf.float32, "mean")])
def test_a_variable_that_moves_otherwise_is_a_mismatch(counting, dtype, variable):
    """The increment of the counter, or what is added to the mean, becomes zero."""
    file = counting / "new" / "saved_model.pb"
    fingerprint = counting / "new" / "fingerprint.pb"
    kept = file.read_bytes(), fingerprint.read_bytes()
    model = SavedModel.FromString(kept[0])
    changed = 0
    for function in model.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op != "Const":
                continue
            value = node.attr["value"].tensor
            if value.dtype == dtype.as_datatype_enum and not value.tensor_shape.dim:
                number = tf.make_ndarray(value)
                if number in (1, 0.5):
                    value.CopyFrom(tf.make_tensor_proto(0, dtype))
                    changed += 1
    assert changed
    file.write_bytes(model.SerializeToString())
    fingerprint.unlink()
    try:
        report = _validate(counting)
    finally:
        file.write_bytes(kept[0])
        fingerprint.write_bytes(kept[1])
    assert isinstance(report.outcome, Mismatched), report
    of_files = [m for m in report.verification.mismatches if m.path == CONTRACT]
    of_calls = [m for m in report.verification.mismatches if m.path != CONTRACT]
    assert {m.output for m in of_calls} == {variable}
    # Whether the further ways are asked too depends on the seconds that are left.
    assert {"tf2", "session"} <= {m.path for m in of_calls} <= {"tf2", "session", OPTIMISED_SESSION, ALTERED, COUNTED}
    assert {m.code for m in of_calls} == {"state-differs"}
    # The constant itself is seen in the files.
    assert {m.code for m in of_files} == {"constant-differs"}

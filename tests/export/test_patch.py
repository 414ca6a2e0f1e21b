"""What a saved model's files say that `tf.saved_model.save` cannot."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tensorflow

pytest.importorskip("tensorflow")

from migrate.export.module import build  # noqa: E402 (starts TensorFlow)
from migrate.export.names import name_all  # noqa: E402
from migrate.export.patch import patch, rename, save, write_fingerprint  # noqa: E402
from migrate.graph.contract import signatures  # noqa: E402
from migrate.graph.protos import SignatureDef, TrackableObjectGraph  # noqa: E402
from migrate.plan.plan import make_plan  # noqa: E402
from migrate.records import Signature, TensorSpec  # noqa: E402
from migrate.sources.saved_model import read_saved_model  # noqa: E402
from tests.conversions import MODELS  # noqa: E402


def test_a_model_is_saved_with_the_signatures_and_tags_of_its_source(tmp_path):
    source = read_saved_model(str(MODELS / "multi_tags"))
    old = next(m for m in source.meta_graphs if set(m.meta_info_def.tags) == {"serve", "gpu"})
    plan = make_plan(old)
    built = build(plan, source.assets_dir, {})
    keys = save(built, plan, str(tmp_path))
    assert keys.by_variable.keys() == built.variables.keys()
    stored = TrackableObjectGraph.FromString(keys.object_graph)
    assert {a.checkpoint_key for n in stored.nodes for a in n.attributes} == set(keys.by_variable.values())
    patch(str(tmp_path), plan, built.names, "digest")
    (new,) = read_saved_model(str(tmp_path)).meta_graphs
    assert sorted(new.meta_info_def.tags) == ["gpu", "serve"]

    def shown(meta_graph):
        """Signatures without the names of tensors."""
        return [
            (s.key, s.method_name, *({n: (t.dtype, t.shape) for n, t in d.items()} for d in (s.inputs, s.outputs)))
            for s in signatures(meta_graph)
        ]

    assert shown(new) == shown(old)
    write_fingerprint(str(tmp_path))
    assert (tmp_path / "fingerprint.pb").stat().st_size > 0


def test_names_and_shapes_of_the_source_take_the_place_of_the_functions():
    sparse = TensorSpec("", "float32", (None, 2), "coo_sparse", ("v:0", "i:0", "d:0"))
    source = Signature("s", "", {"a/b": TensorSpec("x:0", "float32", None)}, {"out": sparse})
    names = name_all(source)
    definition = SignatureDef(method_name="tensorflow/serving/predict")
    definition.inputs[names.arguments["a/b"]].name = "s_a:0"
    for number, part in enumerate(("indices", "values", "dense_shape")):
        info = definition.outputs[names.results["out"][part]]
        info.name, info.dtype = f"call:{number}", (9, 1, 9)[number]
    rename(definition, source, names)
    assert definition.method_name == ""
    assert (list(definition.inputs), list(definition.outputs)) == (["a/b"], ["out"])
    assert (definition.inputs["a/b"].name, definition.inputs["a/b"].tensor_shape.unknown_rank) == ("s_a:0", True)
    out = definition.outputs["out"]
    assert (out.coo_sparse.values_tensor_name, out.coo_sparse.indices_tensor_name) == ("call:1", "call:0")
    assert (out.dtype, [dim.size for dim in out.tensor_shape.dim]) == (1, [-1, 2])

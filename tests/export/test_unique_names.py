"""Two new models in one Session, graph or process: each answers from its own variables, tables and queues."""

from __future__ import annotations

import pathlib
import pickle
import shutil

import pytest

import migrate
from migrate.export.unique_names import make_unique
from migrate.feed_flag import parse_feed
from migrate.graph.protos import MetaGraphDef, SavedModel
from migrate.records import Converted, GivenSignature, Options
from tests.conversions import run_child

_EXPORTS = """
import os, sys
import tensorflow as tf

v1, raw, lookup = tf.compat.v1, tf.raw_ops, tf.lookup


def export(path, machine, words, number):
    os.makedirs(machine)
    vocabulary = os.path.join(machine, "vocab.txt")
    with open(vocabulary, "w") as file:
        file.write("\\n".join(words))
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.string, [None], name="x")
        file = lookup.TextFileInitializer(
            vocabulary, tf.string, lookup.TextFileIndex.WHOLE_LINE, tf.int64, lookup.TextFileIndex.LINE_NUMBER
        )
        static = lookup.StaticHashTable(file, -1)
        mutable = raw.MutableHashTable(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name=f"table_of_{machine.rpartition('_')[0]}"
        )
        insert = raw.LookupTableInsert(table_handle=mutable, keys=["u"], values=tf.constant([number], tf.int64))
        queue = raw.FIFOQueue(component_types=[tf.int64], shapes=[[]], shared_name="queue")
        fill = raw.QueueEnqueueMany(handle=queue, components=[tf.range(number, dtype=tf.int64)])
        by_ref = v1.Variable(number, dtype=tf.int64, name="by_ref", use_resource=False)
        by_resource = v1.Variable(number, dtype=tf.int64, name="by_resource", use_resource=True)
        op = tf.add if number > 5 else tf.multiply
        outputs = {
            "static": static.lookup(x),
            "mutable": raw.LookupTableFind(table_handle=mutable, keys=x, default_value=tf.constant(-1, tf.int64)),
            "queue": raw.QueueSize(handle=queue),
            "by_ref": op(by_ref, 2),
            "by_resource": op(by_resource, 2),
        }
        init = tf.group(v1.tables_initializer(), insert, fill)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"x": x}, outputs)},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=init,
        )
        builder.save()


export("few", "exporting_machine", ["u", "v", "w"], 3)
os.rename("exporting_machine", "gone")
export("many", "exporting_machine", ["w", "v", "u"], 7)
"""

_LOADS = """
import pickle, sys
import tensorflow as tf

v1 = tf.compat.v1
words = ["u", "w", "z"]
answers = {"session": [], "function": []}
with tf.Graph().as_default(), v1.Session() as session:
    signatures = [
        v1.saved_model.load(session, ["serve"], path, import_scope=f"model_{number}").signature_def["serving_default"]
        for number, path in enumerate(sys.argv[2:])
    ]
    for number, signature in enumerate(signatures):
        outputs = {name: f"model_{number}/{info.name}" for name, info in signature.outputs.items()}
        found = session.run(outputs, {f"model_{number}/{signature.inputs['x'].name}": words})
        answers["session"].append({name: value.tolist() for name, value in found.items()})
for model in [tf.saved_model.load(path) for path in sys.argv[2:]]:
    found = model.signatures["serving_default"](x=tf.constant(words))
    answers["function"].append({name: value.numpy().tolist() for name, value in found.items()})
with open(sys.argv[1], "wb") as file:
    pickle.dump(answers, file)
"""

_FEW = {"static": [0, 2, -1], "mutable": [3, -1, -1], "queue": 3, "by_ref": 6, "by_resource": 6}
_MANY = {"static": [2, 0, -1], "mutable": [7, -1, -1], "queue": 7, "by_ref": 9, "by_resource": 9}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models whose functions, variables, tables and queues have the same names; both converted."""
    work = tmp_path_factory.mktemp("two")
    run_child(["-c", f"import os; os.chdir({str(work)!r})\n{_EXPORTS}"])
    for name in ("few", "many"):
        (report,) = migrate.convert(str(work / name), str(work / "new" / name)).models
        assert isinstance(report.outcome, Converted), report
    return work


@pytest.fixture(scope="module")
def answers(models):
    file = models / "answers"
    run_child(["-c", _LOADS, str(file), str(models / "new" / "few"), str(models / "new" / "many")])
    return pickle.loads(file.read_bytes())


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("way", ["session", "function"])
@pytest.mark.parametrize("output", sorted(_FEW))
def test_each_model_answers_from_its_own(answers, way, output):
    few, many = answers[way]
    assert (few[output], many[output]) == (_FEW[output], _MANY[output])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_no_path_of_the_exporting_machine_is_left(models):
    assert b"exporting_machine" in (models / "few" / "saved_model.pb").read_bytes()
    files = [file for file in (models / "new").rglob("*") if file.is_file()]
    assert len(files) > 6
    assert [file.name for file in files if b"exporting_machine" in file.read_bytes()] == []


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_same_source_gives_the_same_bytes_and_another_vocabulary_others(models):
    elsewhere, other = models / "elsewhere", models / "other"
    for copy in (elsewhere, other):
        shutil.copytree(models / "few", copy)
    (other / "assets" / "vocab.txt").write_text("u\nv\nq")
    for copy in (elsewhere, other):
        (report,) = migrate.convert(str(copy), f"{copy}_new", Options(verify=False)).models
        assert isinstance(report.outcome, Converted), report
    graph = pathlib.Path("saved_model.pb")
    first = (models / "new" / "few" / graph).read_bytes()
    assert (models / "elsewhere_new" / graph).read_bytes() == first
    assert (models / "other_new" / graph).read_bytes() != first


_LOADS_OF_ONE_SOURCE = """
import pickle, sys
import tensorflow as tf

v1 = tf.compat.v1
words = ["u", "w", "z"]
answers = []
with tf.Graph().as_default(), v1.Session() as session:
    loaded = [
        v1.saved_model.load(session, ["serve"], path, import_scope=f"model_{number}").signature_def["asked"]
        for number, path in enumerate(sys.argv[2:])
    ]
    for number, signature in enumerate(loaded):
        feeds = {f"model_{number}/{info.name}": words for info in signature.inputs.values()}
        answers.append(session.run(f"model_{number}/{signature.outputs['y'].name}", feeds).tolist())
with open(sys.argv[1], "wb") as file:
    pickle.dump(answers, file)
"""


def _asked(output, inputs=(("x", "x:0"),)):
    return (GivenSignature("asked", inputs, (("y", output),)),)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_one_source_converted_with_other_options_is_another_model(models):
    """No graph takes two functions of one name with other bodies."""
    source = SavedModel.FromString((models / "few" / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    static, mutable = (f"{node.name}:0" for node in source.node if node.op.startswith("LookupTableFind"))
    given = {
        "static": Options(verify=False, signature=_asked(static)),
        "mutable": Options(verify=False, signature=_asked(mutable)),
        "fed": Options(verify=False, drop_signatures=True, feed=(parse_feed('x=["w"]'),), signature=_asked(static, ())),
    }
    for name, options in given.items():
        (report,) = migrate.convert(str(models / "few"), str(models / "options" / name), options).models
        assert isinstance(report.outcome, Converted), report
    file = models / "answers_of_one_source"
    run_child(["-c", _LOADS_OF_ONE_SOURCE, str(file), *(str(models / "options" / name) for name in given)])
    assert pickle.loads(file.read_bytes()) == [_FEW["static"], _FEW["mutable"], [2]]


def _meta_graph():
    """A MetaGraphDef that names a function in each place where one can be named."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.graph_def
    for name in ("__inference_f_12", "g"):
        graph.library.function.add().signature.name = name
    function, other = graph.library.function
    function.node_def.add(name="inner", op="g")
    function.attr["backward_function_name"].s = b"g"
    other.node_def.add(name="table", op="HashTableV2").attr["shared_name"].s = b"/a/path"
    other.node_def.add(name="missing", op="VarHandleOp").attr["shared_name"].s = b"says what is missing"
    graph.library.gradient.add(function_name="g", gradient_func="__inference_f_12")
    graph.library.registered_gradients.add(gradient_func="g", registered_op_type="CustomGradient-1")
    call = graph.node.add(name="call", op="PartitionedCall")
    call.attr["f"].func.name = "g"
    call.attr["f"].func.attr["inner"].func.name = "__inference_f_12"
    graph.node.add(name="case", op="Case").attr["branches"].list.func.add(name="g")
    graph.node.add(name="table", op="HashTableV2").attr["shared_name"].s = b"/a/path"
    graph.node.add(name="nameless", op="FIFOQueueV2").attr["shared_name"].s = b""
    graph.node.add(name="v", op="VarHandleOp").attr["shared_name"].s = b"v"
    objects = meta_graph.object_graph_def
    objects.concrete_functions["g"].bound_inputs.append(4)
    objects.nodes.add().function.concrete_functions.append("g")
    objects.nodes.add().bare_concrete_function.concrete_function_name = "__inference_f_12"
    objects.nodes.add().captured_tensor.concrete_function = "g"
    return meta_graph


def test_every_place_that_names_a_function_follows():
    meta_graph = _meta_graph()
    make_unique(meta_graph, "digest")
    library = meta_graph.graph_def.library
    f, g = (function.signature.name for function in library.function)
    assert f.startswith("__inference_f_") and f.endswith("12") and f.removeprefix("__inference_f_").isdigit()
    assert int(f.rpartition("_")[2]) < 2**63
    assert g.startswith("g_")
    text = str(meta_graph)
    assert '"g"' not in text and '"__inference_f_12"' not in text
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    assert library.function[0].node_def[0].op == g
    assert library.function[0].attr["backward_function_name"].s.decode() == g
    assert (library.gradient[0].function_name, library.gradient[0].gradient_func) == (g, f)
    assert library.registered_gradients[0].gradient_func == g
    assert (nodes["call"].attr["f"].func.name, nodes["call"].attr["f"].func.attr["inner"].func.name) == (g, f)
    assert nodes["case"].attr["branches"].list.func[0].name == g
    objects = meta_graph.object_graph_def
    assert list(objects.concrete_functions) == [g] and list(objects.concrete_functions[g].bound_inputs) == [4]
    assert list(objects.nodes[0].function.concrete_functions) == [g]
    assert objects.nodes[1].bare_concrete_function.concrete_function_name == f
    assert objects.nodes[2].captured_tensor.concrete_function == g


def test_a_resource_has_one_name_in_a_model_and_another_in_each_other():
    first, second = _meta_graph(), _meta_graph()
    make_unique(first, "digest")
    make_unique(second, "another digest")

    def shared(meta_graph):
        main = {node.name: node.attr["shared_name"].s for node in meta_graph.graph_def.node if node.attr["shared_name"]}
        inner = {n.name: n.attr["shared_name"].s for n in meta_graph.graph_def.library.function[1].node_def}
        return main, inner

    (main, inner), (other, _) = shared(first), shared(second)
    assert main["table"] == inner["table"] != other["table"]
    assert b"path" not in main["table"]
    (variable,), (other_variable,) = ([name for name in names if name.startswith("v_")] for names in (main, other))
    assert main[variable] == variable.encode() and variable != other_variable
    assert not main["nameless"]
    assert inner["missing"] == b"says what is missing"


def test_the_handle_of_a_variable_is_called_as_the_variable() -> None:
    meta_graph = MetaGraphDef()
    nodes = meta_graph.graph_def.node
    for name, shared_name in (("v", b"v"), ("w", b"not a name"), ("u", b"u")):
        nodes.add(name=name, op="VarHandleOp").attr["shared_name"].s = shared_name
    make_unique(meta_graph, "digest")
    new = nodes[0].name
    again = MetaGraphDef()
    again.CopyFrom(meta_graph)
    for node in again.graph_def.node:
        if node.op == "VarHandleOp":
            node.attr["shared_name"].s = node.attr["shared_name"].s.rpartition(b"_")[0]
    again.graph_def.node[0].name = "v"
    reader = again.graph_def.node.add(name="r", op="NoOp", input=["v", "v:0", "^v", "vv", "w"])
    reader.attr["_class"].list.s.extend([b"loc:@v", b"loc:@vv"])
    again.graph_def.node.add(name=nodes[2].name, op="NoOp")
    again.graph_def.node[2].name = "u"
    make_unique(again, "digest")
    assert list(reader.input) == [new, f"{new}:0", f"^{new}", "vv", "w"]
    assert list(reader.attr["_class"].list.s) == [f"loc:@{new}".encode(), b"loc:@vv"]
    assert nodes[1].name == "w"  # No node may be called so.
    assert again.graph_def.node[2].name == "u"  # Another node has the name.

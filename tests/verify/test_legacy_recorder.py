"""The program that records on old machines: what it reads and writes, without TensorFlow; then with the installed one.

tests/product/test_old_machines.py runs it with old releases.
"""

from __future__ import annotations

import ast
import errno
import functools
import gzip
import importlib.util
import json
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import migrate
from migrate.graph.protos import MetaGraphDef
from migrate.records import Converted, Options
from migrate.sources import session_bundle
from migrate.verify.golden import load_golden
from testdata import prediction_logs as made
from tests.conversions import MODELS, QUIET, ROOT
from tests.verify.old_pythons import OLD, RECORDER


@pytest.fixture(scope="module")
def recorder():
    """The program as a module; importing it starts no TensorFlow."""
    spec = importlib.util.spec_from_file_location("recorder_under_test", RECORDER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_NEW_SYNTAX = (
    ast.JoinedStr,
    ast.AnnAssign,
    ast.NamedExpr,
    ast.Nonlocal,
    ast.AsyncFunctionDef,
    ast.YieldFrom,
    ast.Starred,
    ast.Match,
    ast.MatMult,
)


def _too_new(node):
    """Whether Python 2.7 or 3.5 does not take a piece of syntax."""
    if isinstance(node, _NEW_SYNTAX):
        return True
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        hints = [a.annotation for a in (*arguments.args, *arguments.posonlyargs)]
        return bool(arguments.kwonlyargs or arguments.posonlyargs or node.returns or any(hints))
    if isinstance(node, ast.Raise):
        return node.cause is not None
    if isinstance(node, ast.Call):
        return any(keyword.arg is None for keyword in node.keywords[:-1])
    if isinstance(node, ast.Dict):
        return None in node.keys
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int) and "_" in ast.unparse(node)
    return isinstance(node, ast.ClassDef) and bool(node.keywords)


def test_old_pythons_can_parse_it():
    text = RECORDER.read_text()
    tree = ast.parse(text, feature_version=(3, 5))
    assert [ast.unparse(node) for node in ast.walk(tree) if _too_new(node)] == []
    assert text.isascii()


def test_what_is_too_new_is_found():
    for text in ("f'{x}'", "x: int = 1", "def f(*, a): pass", "raise A from b", "{**a}", "def f(a: int): pass"):
        assert any(_too_new(node) for node in ast.walk(ast.parse(text))), text


def test_it_imports_nothing_but_the_standard_library_numpy_and_tensorflow():
    names = set()
    for node in ast.walk(ast.parse(RECORDER.read_text())):
        names |= {a.name for a in node.names} if isinstance(node, ast.Import) else set()
        names |= {node.module} if isinstance(node, ast.ImportFrom) else set()
    roots = {name.partition(".")[0] for name in names}
    assert roots - set(sys.stdlib_module_names) == {"numpy", "tensorflow", "google"}  # protobuf comes with TensorFlow


def test_it_writes_what_is_read_here(recorder, tmp_path):
    golden = recorder.Golden()
    strings = np.array([[b"a\0"], [b"\xff"]], dtype=object)
    content = {
        "schema_version": recorder.SCHEMA,
        "model": {"file": "saved_model.pb", "sha256": "00", "tags": ["serve"], "files": {}},
        "runtime": {"tensorflow": "1.4.1", "cpu_flags": ["sse"]},
        "calls": [{"signature": "f", "inputs": {"x": golden.value(strings)}}],
        "answers": [golden.answer(({"y": np.array([1.5], ">f4"), "s": strings}, "", ""))],
        "again": [golden.answer(({"y": np.array([1.5], "<f4"), "s": strings}, "", ""))],
        "skipped": {},
        "notes": [],
    }
    golden.save(content, str(tmp_path / "golden.npz"))
    found = load_golden(str(tmp_path / "golden.npz"))
    assert found.calls[0].inputs["x"].tolist() == strings.tolist()
    assert found.answers[0].outputs["y"].tolist() == [1.5] and found.by == "TensorFlow 1.4.1"
    assert len(golden.arrays) == 3  # Two tensors, one of them with lengths: what is there twice is stored once.
    assert [path.name for path in tmp_path.iterdir()] == ["golden.npz"]


def test_requests_of_a_log(recorder, tmp_path):
    """Against the same bytes that migrate's own reader is tested with."""
    rows = made.floats((1, 2, 3))
    one = made.example(age=(1.5,))
    log = made.file(
        made.predict("f", x=rows),
        made.predict_streamed(made.predict("a", x=rows), made.predict("b", x=rows)),
        made.classify(made.examples(one), "c"),
        made.regress(made.examples(one, context=b"\x0a\x00")),
        made.session_run({"x:0": rows}, ["y:0"]),
        made.session_run({"x": rows}, ["y"], is_alias=True, signature="f"),
    )
    parts = gzip.compress(log[:30]) + gzip.compress(log[30:])
    for name, data in (("plain", log), ("packed", gzip.compress(log)), ("parts", parts)):
        (tmp_path / name).write_bytes(data)
        found = list(recorder.logged_calls(str(tmp_path / name), bytes))
        keys = [(0, "f"), (1, "a"), (1, "b"), (2, "c"), (3, None), (4, None), (5, "f")]
        assert [(number, key) for number, key, _ in found] == keys
        assert found[0][2] == {"x": rows}
        assert found[5][2] is None and found[6][2] == {"x": rows}
        assert found[3][2].tolist() == [one] and found[4][2].tolist() == [b"\x0a\x00" + one]
        assert recorder.is_log(str(tmp_path / name))


@pytest.mark.parametrize("damage", ["cut", "flipped", "text"])
def test_a_damaged_log(damage, recorder, tmp_path):
    data = bytearray(made.file(made.predict("f", x=made.floats((1, 2)))))
    if damage == "cut":
        del data[-3:]
    elif damage == "flipped":
        data[20] ^= 1
    else:
        data[:] = b"nothing of the kind"
    (tmp_path / "log").write_bytes(bytes(data))
    with pytest.raises(recorder.Problem, match="record 0"):
        list(recorder.records(str(tmp_path / "log")))


@pytest.mark.parametrize(
    ("value", "name", "dtype", "expected"),
    [
        ([[1, 2]], "float32", "f4", [[1.0, 2.0]]),
        ({"shape": [2, 1], "fill": 0.5}, "float32", "f4", [[0.5], [0.5]]),
        (["a", {"b64": "/w=="}], "string", object, [b"a", b"\xff"]),
        ({"shape": [2], "fill": "a"}, "string", object, [b"a", b"a"]),
        ("a", "string", object, b"a"),
        ([], "string", object, []),
        (3, "int64", "i8", 3),
    ],
)
def test_values_of_a_file_with_calls(value, name, dtype, expected, recorder):
    assert recorder.array_of(value, name, np.dtype(dtype)).tolist() == expected


@pytest.mark.parametrize(
    ("value", "name", "dtype"),
    [
        ([1.5], "int32", "i4"),
        ([["a"], []], "string", object),
        ([["a"], "b"], "string", object),
        ({"b65": "YQ=="}, "string", object),
        ({"shape": [2], "fill": ["a", "b"]}, "string", object),
    ],
)
def test_values_that_do_not_fit(value, name, dtype, recorder):
    with pytest.raises(recorder.Problem):
        recorder.array_of(value, name, np.dtype(dtype))


def test_a_signature_that_is_given(recorder):
    found = recorder.given_signature("f:inputs=a=x:0,scope/b;outputs=y=s/y:1;method=m")
    assert found == ("f", ({"a": "x:0", "b": "scope/b:0"}, {"y": "s/y:1"}))
    with pytest.raises(recorder.Problem, match="write KEY:inputs"):
        recorder.given_signature("f:inputs=a=x")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["ABSENT", "--output=golden.npz"], "ABSENT: no such file or directory"),
        (["MODEL", "--output=golden.npz", "--inputs=absent.json"], "absent.json: no such file"),
        (["MODEL", "--output=golden.npz", "--inputs=MODEL"], "MODEL: no such file"),
        (["MODEL", "--output=MODEL/golden.npz"], "--output=MODEL/golden.npz: is the model or inside of it"),
        (["MODEL", "--output=golden.txt"], "--output=golden.txt: golden answers are a .npz file"),
        (["MODEL", "--output=absent/golden.npz"], "--output=absent/golden.npz: no such directory"),
        (["MODEL", "--output=folder.npz"], "--output=folder.npz: is a directory"),
        (["MODEL", "--output=golden.npz"], "TensorFlow cannot be imported ("),
    ],
)
def test_paths_are_checked_before_tensorflow_is_imported(more, said, recorder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # An import of it fails.
    (tmp_path / "MODEL").mkdir()
    (tmp_path / "folder.npz").mkdir()
    assert recorder.main(more) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"record.py: {said}") and err.count("\n") == 1


_MODEL_SIGNATURES = {"f": ({"x": "x:0"}, {"y": "y:0"}), "count": ({}, {"n": "n:0"})}


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("g", {}, "no signature 'g'; there are count, f"),
        (None, {}, "names no signature; there are count, f"),
        ("count", {"x": [1]}, "signature 'count' takes , found x"),
        ("f", {}, "signature 'f' takes x, found "),
    ],
)
def test_calls_that_fit_no_signature(key, values, said, recorder):
    model = recorder.Model("", "", (), None, _MODEL_SIGNATURES, None)
    with pytest.raises(recorder.Problem) as caught:
        recorder.checked_call("calls.json: call 0", None, model, key, values)
    assert str(caught.value) == f"calls.json: call 0: {said}"


def test_arrays_of_a_file(recorder, tmp_path):
    one = np.float32([1])
    sparse = {"v/indices": np.int64([[0]]), "v/values": one, "v/dense_shape": np.int64([1])}
    signatures = {"f": ({"x": "x:0", "v": {}}, {}), "g": ({"x": "x:0"}, {})}
    named = {f"f/{name}": array for name, array in {"x": one, **sparse}.items()}
    np.savez(tmp_path / "calls.npz", **{"1/g/x": one, **{f"0/{name}": array for name, array in named.items()}})
    found = recorder.npz_entries(str(tmp_path / "calls.npz"), signatures)
    assert [(key, sorted(values)) for key, values in found] == [("f", ["v", "x"]), ("g", ["x"])]
    assert sorted(found[0][1]["v"]) == ["dense_shape", "indices", "values"]
    np.savez(tmp_path / "calls.npz", x=np.array([{}], object))
    with pytest.raises(recorder.Problem, match="array 'x': Object arrays cannot be loaded"):
        recorder.npz_entries(str(tmp_path / "calls.npz"), signatures)


def test_pickles_are_not_loaded_by_an_old_numpy(recorder, tmp_path, monkeypatch):
    """Before 1.16.3, NumPy loads them unless that is forbidden."""
    np.savez(tmp_path / "calls.npz", x=np.array([{}], object))
    monkeypatch.setattr(recorder.np, "load", functools.partial(np.load, allow_pickle=True))
    with pytest.raises(recorder.Problem, match="array 'x': Object arrays cannot be loaded"):
        recorder.npz_entries(str(tmp_path / "calls.npz"), {})
    (tmp_path / "calls.npz").write_bytes(pickle.dumps({}))
    with pytest.raises(recorder.Problem, match=r"calls\.npz: no \.npz, or cut short"):
        recorder.npz_entries(str(tmp_path / "calls.npz"), {})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"instances": 3}, "'instances' is a list"),
        ({"instances": []}, "'instances' is a list"),
        ({"instances": [{"x": 1}, {"z": 1}]}, "have other inputs than the first"),
        ({"instances": [{"x": 1}, 3]}, "have other inputs than the first"),
        (3, "expected {"),
    ],
)
def test_entries_that_are_none(entry, said, recorder):
    with pytest.raises(recorder.Problem, match=re.escape(said)):
        recorder.named_values("calls.json: call 0", "f", entry, {"x": "x:0", "z": "z:0"})


@pytest.mark.parametrize("data", [b"\xff\xfe{}", b"{", b"1 2"])
def test_a_file_that_is_no_json(data, recorder, tmp_path):
    (tmp_path / "calls.json").write_bytes(data)
    with pytest.raises(recorder.Problem, match=r"calls\.json: no (JSON|UTF-8)"):
        recorder.json_entries(str(tmp_path / "calls.json"))


def test_a_file_that_cannot_be_written_leaves_nothing(recorder, tmp_path, monkeypatch):
    def full(stream, **arrays):
        stream.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder.np, "savez_compressed", full)
    with pytest.raises(recorder.Problem, match=r"--output=.*golden\.npz: cannot be written: No space left on device"):
        recorder.Golden().save({}, str(tmp_path / "golden.npz"))
    assert not list(tmp_path.iterdir())


def test_messages_take_any_letters(recorder, capsysbinary):
    """In Python 2, paths are bytes and names of signatures are text."""
    path, name = "\u00e9.json".encode(), "\u2603"
    problem = recorder.Problem("%s: signature '%s': %s", path, name, recorder.Problem("%s", b"\xff"))
    assert problem.text == "\u00e9.json: signature '\u2603': \ufffd"
    recorder.tell(problem.text)
    assert capsysbinary.readouterr().err == f"{problem.text}\n".encode()


def _bundles():
    """MetaGraphDefs of SessionBundles: one that TensorFlow has written, and one with every kind of signature."""
    written = MetaGraphDef.FromString((ROOT / "testdata" / "forms" / "session_bundle" / "export.meta").read_bytes())
    made_up = MetaGraphDef()
    made_up.graph_def.node.add(name="x", op="Placeholder")

    def bound(number, name):
        return made.field(number, made.field(1, name))

    def pair(name, tensor):
        return made.field(1, made.field(1, name) + bound(2, tensor))

    pairs = pair("x", "x:0") + pair("y", "y")
    parts = made.field(1, made.field(1, bound(1, "x:0") + bound(2, "r:0")))
    for name, content in (
        ("inputs", made.field(3, pair("a", "x:0"))),
        ("outputs", made.field(3, pair("b", "y:1"))),
        ("classes", made.field(2, bound(1, "x:0") + bound(2, "c:0") + bound(3, "s:0"))),
        ("generic", made.field(3, pairs)),
        ("nothing", b""),
    ):
        parts += made.field(2, made.field(1, name) + made.field(2, content))
    made_up.collection_def["serving_signatures"].any_list.value.add(value=parts)
    without_default = MetaGraphDef.FromString(made_up.SerializeToString())
    (message,) = without_default.collection_def["serving_signatures"].any_list.value
    message.value = message.value[message.value.index(b"\x12") :]
    return {"written": written, "made up": made_up, "without a default": without_default}


@pytest.mark.parametrize("name", ["written", "made up", "without a default"])
def test_signatures_of_a_session_bundle_are_those_that_migrate_finds(name, recorder):
    bundle = _bundles()[name]
    here = {s.key: (dict(s.inputs), dict(s.outputs)) for s in session_bundle.signatures(bundle)}
    assert recorder.bundle_signatures(bundle) == here
    assert len(here) == {"written": len(here), "made up": 4, "without a default": 3}[name] and here


# With the installed TensorFlow.


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The program as `migrate record --print_script` gives it, where nothing of this package is beside it."""
    directory = tmp_path_factory.mktemp("recorder")
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "record", "--print_script"], cwd=ROOT, capture_output=True, check=True
    )
    (directory / "record.py").write_bytes(done.stdout)
    assert done.stdout == RECORDER.read_bytes()
    return directory / "record.py"


def _record(script, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", str(script), *map(str, arguments)],
        env=QUIET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_answers_of_tensorflow_1_come_again(script, tmp_path):
    """The same model, the same calls, and the same digests of its files as TensorFlow 1.4 has written."""
    file = tmp_path / "golden.npz"
    model = OLD / "tf14" / "scorer"
    _record(script, model, f"--inputs={OLD / 'calls.json'}", f"--output={file}")
    there, here = load_golden(str(OLD / "tf14" / "golden.npz")), load_golden(str(file))
    assert there.by == "TensorFlow 1.4.1" and here.model == there.model
    assert [call.signature for call in here.calls] == [call.signature for call in there.calls]
    for a, b in zip(there.answers, here.answers, strict=True):
        assert a.error == b.error == "" and a.outputs.keys() == b.outputs.keys()
        for name, value in a.outputs.items():
            if value.dtype.kind == "f":
                np.testing.assert_allclose(value, b.outputs[name], rtol=0, atol=1e-6)
            else:
                assert value.tolist() == b.outputs[name].tolist()
    assert [a.outputs["calls"].item() for a in here.answers if "calls" in a.outputs] == [8, 9]
    assert {"numpy", "python", "cpu_flags", "machine", "recorder"} <= here.runtime.keys()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_calls_of_its_own(script, tmp_path):
    """Strings are looked up and tf.Examples are parsed, so both signatures answer; a sparse input is one, too."""
    for model, keys in (
        (OLD / "tf112" / "scorer", {"serving_default", "examples", "count"}),
        (MODELS / "warmup", None),
    ):
        file = tmp_path / f"{model.parent.name}.npz"
        _record(script, model, f"--output={file}", "--times=1")
        found = load_golden(str(file))
        assert not any(answer.error for answer in found.answers)
        assert keys is None or {call.signature for call in found.calls} == keys
    assert len(found.calls) == 4  # Two warm-up requests, one row, and three rows.


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_tag_set_that_is_not_there(script, tmp_path):
    said = _record(script, OLD / "tf14" / "scorer", f"--output={tmp_path / 'golden.npz'}", "--tags=train", code=2)
    assert said.splitlines()[-1] == "record.py: --tags=train: the tag sets are serve"  # TensorFlow logs before it.
    assert not list(tmp_path.iterdir())


_DRIVER = """
import contextlib, io, json, sys
import record

for arguments in json.loads(sys.argv[1]):
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stderr(said):
        code = record.main(arguments)
    print(json.dumps([code, said.buffer.getvalue().decode()]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_wrong_is_one_line(script, tmp_path):
    """Damaged models, libraries, modules, signatures and calls; nothing is written."""
    model = OLD / "tf14" / "scorer"
    for name in ("weights", "no_weights", "assets", "empty"):
        shutil.copytree(model, tmp_path / name)
    (tmp_path / "weights" / "variables" / "variables.data-00000-of-00001").write_bytes(b"x" * 50)
    shutil.rmtree(tmp_path / "no_weights" / "variables")
    shutil.rmtree(tmp_path / "assets" / "assets")
    (tmp_path / "empty" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "bad.so").write_text("no library")
    (tmp_path / "list.json").write_text('{"signature": ["a"], "inputs": {}}')
    (tmp_path / "large.json").write_text('{"tokens": {"shape": [99999999999999], "fill": "a"}, "x": [[1, 2, 3]]}')
    wrong = "serving_default:inputs=a=tokens:7;outputs=y=none:0"
    cases = [
        (["weights"], "weights: cannot be loaded: "),
        (["no_weights"], "no_weights: cannot be loaded: "),
        (["assets"], "assets: cannot be loaded: "),
        (["empty"], "empty/saved_model.pb: holds no graph"),
        ([str(model), "--import=no_such_module"], "--import=no_such_module: No module named"),
        ([str(model), "--load_op_library=none.so"], "--load_op_library=none.so: none.so: cannot open shared object"),
        ([str(model), "--load_op_library=bad.so"], f"--load_op_library=bad.so: {tmp_path}/bad.so: "),
        ([str(model), f"--signature={wrong}"], "--signature: 'serving_default': "),
        ([str(model), "--inputs=list.json"], "list.json: call 0: 'signature' is the name of one"),
        ([str(model), "--inputs=large.json"], "large.json: call 0: input 'tokens': "),
    ]
    arguments = [[*more, "--output=golden.npz"] for more, _ in cases]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _DRIVER, json.dumps(arguments)],
        cwd=tmp_path,
        env={**QUIET, "PYTHONPATH": str(script.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases), done.stderr
    for (more, expected), (code, said) in zip(cases, found, strict=True):
        assert code == 2 and said.startswith(f"record.py: {expected}") and said.count("\n") == 1, (more, said)
    assert not list(tmp_path.glob("golden*"))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_session_bundle(script, tmp_path):
    """Its table is filled from its asset, and its variables come from a checkpoint of the first format."""
    bundle = ROOT / "testdata" / "forms" / "session_bundle"
    _record(script, bundle, f"--output={tmp_path / 'golden.npz'}", "--times=1")
    found = load_golden(str(tmp_path / "golden.npz"))
    (report,) = migrate.convert(bundle, tmp_path / "new", Options(golden=str(tmp_path / "golden.npz"))).models
    assert isinstance(report.outcome, Converted), report.outcome
    assert report.verification.golden.calls == len(found.calls)
    assert {o.signature for o in report.verification.golden.outputs} == {call.signature for call in found.calls}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_requests_of_a_log_that_name_tensors_are_told(script, tmp_path):
    """By names of the signature they are calls; by names of tensors they are no golden answer, and are told."""
    rows = made.floats((1, 2, 3))
    (tmp_path / "log").write_bytes(
        made.file(made.session_run({"x:0": rows}, ["y:0"]), made.session_run({"x": rows}, ["y"], is_alias=True))
    )
    said = _record(script, MODELS / "warmup", f"--inputs={tmp_path / 'log'}", f"--output={tmp_path / 'golden.npz'}")
    assert "not recorded: log: record 0 names tensors and no signature\n" in said
    found = load_golden(str(tmp_path / "golden.npz"))
    assert len(found.calls) == 2 and found.notes == ("log: record 0 names tensors and no signature",)

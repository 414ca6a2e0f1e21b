"""`migrate inputs MODEL` gives a file that `--inputs` takes as it is. No TensorFlow."""

from __future__ import annotations

import json
import os
import pathlib
import re

import numpy as np
import pytest

import migrate
from migrate import cli
from migrate.errors import InputError
from migrate.model.study import study
from migrate.records import Options, Signature, TensorSpec
from migrate.verify import load_calls
from migrate.verify.requests import as_fed
from migrate.verify.template import template
from tests import conversions
from tests.sampling import few

_TREES = [conversions.ROOT / "testdata" / name for name in ("forms", "keras", "models")]
_OPTIONS = Options(take_proposals=True)


def _signatures(path: str) -> tuple[Signature, ...]:
    with study(path, _OPTIONS) as studied:
        if studied.graph is not None:
            return as_fed([part.signature for part in studied.graph.plan.signatures], studied.graph.judged)
        facts, keras = studied.report.meta_graphs, studied.report.keras
        return facts[0].signatures if facts else (keras.signature,) if keras and keras.signature else ()


def _accepted(path: str, file: pathlib.Path) -> bool:
    """Whether a model has a template; that it is taken as it is, and has every dtype and shape, is asserted."""
    try:
        text = migrate.inputs(path, _OPTIONS)
    except InputError as error:
        assert str(error).isprintable()
        return False
    file.write_text(text)
    signatures = {signature.key: signature for signature in _signatures(path)}
    calls = load_calls(str(file), tuple(signatures.values()))
    for call, written in zip(calls, json.loads(text), strict=True):
        specs = signatures[call.signature].inputs
        assert written["specs"].keys() == specs.keys() == call.inputs.keys()
        for name, spec in specs.items():
            assert written["specs"][name]["dtype"] == spec.dtype
            assert written["specs"][name]["shape"] == (None if spec.shape is None else list(spec.shape))
    assert len(text) < 200_000
    return True


@pytest.mark.slow
def test_the_template_of_each_model_here_is_taken_as_it_is(tmp_path):
    models = few(model.source for tree in _TREES for model in migrate.audit(str(tree)).models)
    accepted = [model for model in models if _accepted(model, tmp_path / "calls.json")]
    assert len(accepted) > len(models) / 2


@pytest.mark.corpus
def test_the_template_of_each_real_model_is_taken_as_it_is(tmp_path):
    corpus = os.environ.get("MIGRATE_CORPUS")
    if not corpus:
        pytest.skip("MIGRATE_CORPUS is not set")
    models = few(model.source for model in migrate.audit(corpus).models)
    assert sum(_accepted(model, tmp_path / "calls.json") for model in models) > len(models) / 2


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int64", "bool", "complex64", "string", "qint8"],
)
@pytest.mark.parametrize("shape", [(None, 3), (), None, (None, 7, 5, 3), (None, 0)])
def test_every_dtype_and_shape(dtype, shape, tmp_path):
    _is_taken(dtype, shape, tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_an_image(dtype, tmp_path):
    _is_taken(dtype, (None, 224, 224, 3), tmp_path)


def _is_taken(dtype, shape, tmp_path):
    signature = Signature("s", "", {"a/b": TensorSpec("x:0", dtype, shape)}, {})
    text, left_out = template((signature,))
    (tmp_path / "calls.json").write_text(text)
    (call,) = load_calls(str(tmp_path / "calls.json"), (signature,))
    assert left_out == {}
    value = call.inputs["a/b"]
    assert shape is None or len(shape) == value.ndim
    assert dtype == "string" or np.all(np.isfinite(value.astype(np.complex128)))


def test_a_sparse_input(tmp_path):
    spec = TensorSpec("", "int64", (None, None), "coo_sparse", ("v:0", "i:0", "d:0"))
    signature = Signature("s", "", {"ids": spec}, {})
    (tmp_path / "calls.json").write_text(template((signature,))[0])
    (call,) = load_calls(str(tmp_path / "calls.json"), (signature,))
    assert call.inputs["ids"].dense_shape.tolist()


def test_what_cannot_be_called_is_said():
    signature = Signature("s", "", {"r": TensorSpec("r:0", "float32", None, "composite")}, {})
    assert template((signature,)) == ("", {"s": "input 'r' is a composite tensor"})


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["inputs", "testdata/models/vocabulary"], 0, ""),
        (["inputs", "testdata/models"], 2, "migrate: testdata/models: holds a tree of models; inputs takes one model"),
        (["inputs", "absent"], 2, "migrate: absent: no such file"),
        (["inputs", "testdata/forms/saver_steps"], 2, "has no signature that could be called: the MetaGraphDef has no"),
        (["inputs", "testdata/forms/saver_steps", "--take_proposals"], 0, ""),
    ],
)
def test_the_command(line, code, said, capsys, monkeypatch):
    monkeypatch.chdir(conversions.ROOT)
    assert cli.main(["migrate", *line]) == code
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") <= 1
    assert bool(out) == (code == 0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["vocabulary", "wrong_tensor_info"])
def test_a_conversion_is_verified_with_its_template(name, tmp_path, capsys):
    model = str(conversions.MODELS / name)
    (tmp_path / "calls.json").write_text(migrate.inputs(model))
    assert cli.main(["migrate", "convert", model, str(tmp_path / "new"), f"--inputs={tmp_path / 'calls.json'}"]) == 0
    assert "verified" in capsys.readouterr().out


def test_the_examples_of_the_page_are_taken(tmp_path):
    """docs/inputs.md: each block of JSON, and each line of one that has a request per line."""
    text = (conversions.ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    blocks = [block.group() for block in re.finditer(r"(?:^    [\[{].*\n)(?:^    .*\n)*", text, re.MULTILINE)]
    examples = [example for block in blocks for example in (block.splitlines() if "{" in block[:5] else [block])]
    assert len(examples) == 5
    signatures = _signatures(str(conversions.MODELS / "vocabulary"))
    for example in examples:
        (tmp_path / "calls.json").write_text(example)
        assert load_calls(str(tmp_path / "calls.json"), signatures)

"""What blocks the loading of a Keras file, judged by its config alone."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.checks import keras_loading
from migrate.checks.keras_loading import find_keras, forbidden, optimizer_name
from migrate.checks.keras_needs import Needs
from migrate.records import Kind, Severity
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_source import KerasFiles, KerasSource, Runtime, Weights

_KERNEL = StoredTensor("dense/kernel:0", "float32", (3, 2))
_BIAS = StoredTensor("dense/bias:0", "float32", (2,))


def _source(*layers, **changes):
    first = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "batch_input_shape": [None, 3]}}
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": [first, *layers]}}
    plain = KerasSource(
        KerasFiles("/x/model.h5", "/x/model.h5", "/x/model.h5"),
        Kind.KERAS_H5_MODEL,
        Runtime.TF_KERAS,
        "2.2.4",
        "tensorflow",
        config,
        {},
        Weights.HDF5,
        (_KERNEL, _BIAS),
        (),
        (),
        "",
        groups=("dense",),
    )
    return dataclasses.replace(plain, **changes)


def _layer(class_name, **config):
    return {"class_name": class_name, "config": {"name": "more", **config}}


def _codes(source, custom_objects=(), trust=False):
    return {finding.code: finding.severity for finding in find_keras(source, custom_objects, trust)}


def test_an_ordinary_model():
    assert _codes(_source()) == {}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (_source(config={}), "keras-weights-alone"),
        (_source(form=Weights.MISSING, weights=(), groups=()), "keras-weights-missing"),
        (_source(keras_version="1.2.2"), "keras-1"),
        (_source(_layer("Highway")), "keras-1"),
        (_source(_layer("Conv2D", nb_filter=3)), "keras-1"),
        (_source(_layer("Conv2D"), backend="theano"), "keras-other-backend"),
        (_source(_layer("InputLayer", sparse=True)), "keras-sparse-input"),
        (_source(links=("a",)), "keras-external-link"),
        (_source(_layer("TFSMLayer")), "keras-foreign-layer"),
        (_source(_layer("Mine")), "keras-custom-object"),
        (_source(_layer("TFOpLambda", function="io.read_file")), "keras-calls"),
        (_source(_layer("StringLookup", vocabulary="/x")), "keras-file-name"),
        (_source(_layer("Lambda", function=["4wE"], function_type="lambda")), "keras-lambda"),
    ],
)
def test_refused(source, code):
    assert _codes(source).get(code) is Severity.REFUSAL


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (_layer("TFOpLambda", function="io.read_file"), "keras-calls"),
        (_layer("StringLookup", vocabulary="/x"), "keras-file-name"),
        (_layer("Lambda", function=["4wE"], function_type="lambda"), "keras-lambda"),
    ],
)
def test_a_file_that_is_trusted_may_do_it_and_the_report_says_so(layer, code):
    assert _codes(_source(layer), trust=True)[code] is Severity.WARNING


def test_a_class_of_the_users_is_known_by_its_name():
    source = _source(_layer("Mine"), _layer("Package>Other"))
    (finding,) = [f for f in find_keras(source, ("module:Mine",), False) if f.code == "keras-custom-object"]
    assert (finding.nodes, finding.hint) == (("Package>Other",), "--custom_objects=MODULE:Other")
    assert "keras-custom-object" not in _codes(source, ("module:Mine", "module:Other"))


@pytest.mark.parametrize(("version", "missing"), [("2.15.0", True), ("3.0.0", False), ("none", True)])
def test_keras_3_has_to_be_installed(version, missing, monkeypatch):
    monkeypatch.setattr(keras_loading, "_version", lambda _: version)
    assert ("keras-3-missing" in _codes(_source(runtime=Runtime.KERAS))) is missing
    assert "keras-3-missing" not in _codes(_source())


def test_what_nobody_has_allowed():
    found = Needs(("Mine", "Package>Other"), ("code",), ("foreign",), ("call",), ("file",))
    assert forbidden(found, (), False) == ("Mine", "Package>Other", "foreign", "code", "call", "file")
    assert forbidden(found, ("m:Other",), True) == ("Mine", "foreign")
    assert forbidden(Needs(), (), False) == ()


@pytest.mark.parametrize(
    ("training", "name"),
    [
        ({}, ""),
        ({"optimizer": "adam"}, "adam"),
        ({"optimizer_config": {"class_name": "Custom>Mine"}}, "Mine"),
        ({"optimizer_config": {"class_name": "Adam"}, "optimizer": "sgd"}, "Adam"),
        ({"optimizer": 3}, ""),
    ],
)
def test_the_optimizer(training, name):
    assert optimizer_name(_source(training=training)) == name
    assert ("keras-optimizer" in _codes(_source(training=training))) is bool(name)

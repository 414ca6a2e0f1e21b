from __future__ import annotations

import pytest

from migrate.checks.keras_cudnn import CUDNN, cudnn_layers, find_cudnn
from migrate.records import Kind, Severity
from migrate.sources.keras_source import KerasFiles, KerasSource, Runtime, Weights


def _source(*classes, runtime=Runtime.TF_KERAS, form=Weights.HDF5):
    layers = [{"class_name": name, "config": {"name": name.lower()}} for name in classes]
    wrapped = {"class_name": "Bidirectional", "config": {"layer": {"class_name": "Sequential", "config": layers}}}
    config = {"class_name": "Sequential", "config": {"layers": [wrapped]}}
    files = KerasFiles("m.h5", "m.h5", "m.h5")
    return KerasSource(files, Kind.KERAS_H5_MODEL, runtime, "2.2", "", config, {}, form, (), (), (), "")


@pytest.mark.parametrize(
    ("classes", "given", "found"),
    [
        (("GRU", "LSTM"), (), ()),
        (("CuDNNLSTM", "Dense", "CuDNNGRU", "CuDNNLSTM"), (), ("CuDNNGRU", "CuDNNLSTM")),
        (("CuDNNLSTM", "CuDNNGRU"), ("layers:CuDNNLSTM",), ("CuDNNGRU",)),
        (("CuDNNGRU",), ("CuDNNGRU:Other",), ("CuDNNGRU",)),
    ],
)
def test_layers_at_any_depth(classes, given, found):
    assert cudnn_layers(_source(*classes), given) == found


def test_keras_3_has_no_such_layers():
    assert cudnn_layers(_source("CuDNNGRU", runtime=Runtime.KERAS), ()) == ()


@pytest.mark.parametrize("form", list(Weights))
def test_weights_are_reordered_as_hdf5_alone(form):
    assert list(find_cudnn(_source("GRU", form=form), ())) == []
    (finding,) = find_cudnn(_source("CuDNNGRU", "CuDNNLSTM", form=form), ())
    is_kept = form in (Weights.HDF5, Weights.MISSING)
    assert (finding.code, finding.nodes) == ("keras-cudnn", ("CuDNNGRU", "CuDNNLSTM"))
    assert finding.severity is (Severity.NOTE if is_kept else Severity.REFUSAL)
    if is_kept:
        assert finding.message.startswith("CuDNNGRU becomes GRU, CuDNNLSTM becomes LSTM, ")


def test_what_stands_for_a_layer_is_its_name_without_cudnn():
    assert {name: name.removeprefix("CuDNN") for name in CUDNN} == {name: other for name, (other, _) in CUDNN.items()}

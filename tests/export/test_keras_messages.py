"""What the children that load Keras files are asked, and what they answer, travels between processes. No TensorFlow."""

from __future__ import annotations

import pickle

import pytest

from migrate import codec
from migrate.export.keras_messages import KerasExported, KerasExportJob
from migrate.keras_loader.request import Request
from migrate.records import Failed, Kind, Signature, TensorSpec
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_source import KerasFiles, KerasSource, Runtime, Weights

_SOURCE = KerasSource(
    files=KerasFiles("m.h5", "m.h5", "m.h5"),
    kind=Kind.KERAS_H5_MODEL,
    runtime=Runtime.TF_KERAS,
    keras_version="2.2.4",
    backend="tensorflow",
    config={"class_name": "Sequential", "config": [{"units": 1.5, "name": None}]},
    training={},
    form=Weights.HDF5,
    weights=(StoredTensor("kernel", "float32", (2, 3)),),
    optimizer=(),
    links=(),
    sha256="0a",
)
_SIGNATURE = Signature("serving_default", "", {}, {"y": TensorSpec("", "float32", (None, 3))})


def test_a_job_travels():
    job = KerasExportJob(Request(_SOURCE, ("layers:Own",), trust=True), "staged", {"source": {"path": "m.h5"}}, "d")
    assert pickle.loads(pickle.dumps(job)) == job


def test_an_answer_travels_as_data():
    done = KerasExported(_SIGNATURE, "Adam", "", True, dropped=("'acc'",))
    assert codec.decode(KerasExported | Failed, codec.encode(done)) == done


def test_an_answer_of_another_type_is_not_taken():
    done = codec.encode(KerasExported(_SIGNATURE, "Adam", "", True))
    with pytest.raises(ValueError, match="compiled"):
        codec.decode(KerasExported | Failed, {**done, "compiled": "yes"})

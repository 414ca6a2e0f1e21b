"""The messages in which TensorFlow Serving logs requests, without its package.

The classes are in a descriptor pool of their own, so an installed `tensorflow-serving-api`, which registers the same
names in protobuf's default pool, neither helps nor clashes. A message of TensorFlow itself is a field of bytes here: it
is encoded in the same way, and whoever reads it parses it (`tensor_values.py`).

Source: prediction_log, predict, classification, regression, inference, input, model and session_service.proto in
tensorflow_serving/apis (github.com/tensorflow/serving, 2.21), and tensorflow/core/protobuf/named_tensor.proto. Fields
that no replay needs are left out: a parser keeps what it does not know.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message

from migrate.graph.message_pools import Fields, message_pool

PACKAGE = "tensorflow.serving"

MESSAGES: Mapping[str, Fields] = {
    "ModelSpec": ((1, "name", "string", ""), (3, "signature_name", "string", "")),
    "ExampleList": ((1, "examples", "bytes", "repeated"),),
    "ExampleListWithContext": ((1, "examples", "bytes", "repeated"), (2, "context", "bytes", "")),
    "Input": (
        (1, "example_list", "ExampleList", "kind"),
        (2, "example_list_with_context", "ExampleListWithContext", "kind"),
    ),
    "PredictRequest": (
        (1, "model_spec", "ModelSpec", ""),
        (2, "inputs", "bytes", "map"),
        (3, "output_filter", "string", "repeated"),
    ),
    "ClassificationRequest": ((1, "model_spec", "ModelSpec", ""), (2, "input", "Input", "")),
    "RegressionRequest": ((1, "model_spec", "ModelSpec", ""), (2, "input", "Input", "")),
    "InferenceTask": ((1, "model_spec", "ModelSpec", ""), (2, "method_name", "string", "")),
    "MultiInferenceRequest": ((1, "tasks", "InferenceTask", "repeated"), (2, "input", "Input", "")),
    "NamedTensorProto": ((1, "name", "string", ""), (2, "tensor", "bytes", "")),
    "SessionRunRequest": (
        (1, "model_spec", "ModelSpec", ""),
        (2, "feed", "NamedTensorProto", "repeated"),
        (3, "fetch", "string", "repeated"),
        (4, "target", "string", "repeated"),
        (6, "tensor_name_is_alias", "bool", ""),
    ),
    "PredictResponse": ((1, "outputs", "bytes", "map"),),
    "Class": ((1, "label", "string", ""), (2, "score", "float", "")),
    "Classifications": ((1, "classes", "Class", "repeated"),),
    "ClassificationResult": ((1, "classifications", "Classifications", "repeated"),),
    "ClassificationResponse": ((1, "result", "ClassificationResult", ""),),
    "Regression": ((1, "value", "float", ""),),
    "RegressionResult": ((1, "regressions", "Regression", "repeated"),),
    "RegressionResponse": ((1, "result", "RegressionResult", ""),),
    "InferenceResult": (
        (1, "model_spec", "ModelSpec", ""),
        (2, "classification_result", "ClassificationResult", "result"),
        (3, "regression_result", "RegressionResult", "result"),
    ),
    "MultiInferenceResponse": ((1, "results", "InferenceResult", "repeated"),),
    "SessionRunResponse": ((1, "tensor", "NamedTensorProto", "repeated"),),
    "ClassifyLog": ((1, "request", "ClassificationRequest", ""), (2, "response", "ClassificationResponse", "")),
    "RegressLog": ((1, "request", "RegressionRequest", ""), (2, "response", "RegressionResponse", "")),
    "PredictLog": ((1, "request", "PredictRequest", ""), (2, "response", "PredictResponse", "")),
    "PredictStreamedLog": (
        (1, "request", "PredictRequest", "repeated"),
        (2, "response", "PredictResponse", "repeated"),
    ),
    "MultiInferenceLog": ((1, "request", "MultiInferenceRequest", ""), (2, "response", "MultiInferenceResponse", "")),
    "SessionRunLog": ((1, "request", "SessionRunRequest", ""), (2, "response", "SessionRunResponse", "")),
    "PredictionLog": (
        (2, "classify_log", "ClassifyLog", "log_type"),
        (3, "regress_log", "RegressLog", "log_type"),
        (6, "predict_log", "PredictLog", "log_type"),
        (7, "predict_streamed_log", "PredictStreamedLog", "log_type"),
        (4, "multi_inference_log", "MultiInferenceLog", "log_type"),
        (5, "session_run_log", "SessionRunLog", "log_type"),
    ),
}
"""The fields of each message.

`NamedTensorProto` is TensorFlow's own and in another package there; the names of messages are not encoded.
"""


@functools.cache
def prediction_log() -> type[Message]:
    """The class of `PredictionLog`: one request that a model server has logged."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"{PACKAGE}.PredictionLog"))


@functools.cache
def pool() -> Any:
    """The descriptor pool that has the messages, and nothing else."""
    return message_pool(PACKAGE, MESSAGES)

"""Golden answers in a log of a model server: a TFRecord file of PredictionLogs that hold the answers (BulkInferrer)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.errors import InputError
from migrate.records import Signature
from migrate.sources.files import read_file
from migrate.verify.calls import Answer, Array, Call, NamedRun
from migrate.verify.golden import TAKES, Recorded
from migrate.verify.prediction_logs import MOST_FILE_BYTES, MOST_RECORDS, parsed_log, requests_of
from migrate.verify.tensor_values import MOST_BYTES, array_of
from migrate.verify.tfrecord import records
from migrate.verify.warm_up import call_of_log

_GZIP = b"\x1f\x8b"
_CLASSES, _SCORES, _VALUES = "classes", "scores", "outputs"
"""Names of outputs (tensorflow/cc/saved_model/signature_constants.h, kClassifyOutputClasses and its neighbours)."""


def golden_of_logs(path: str, signatures: Sequence[Signature]) -> Recorded:
    """Reads the requests of a log together with their answers.

    A record of a SessionRun names tensors of the old graph, and one without an answer says nothing: these are notes.
    More than `prediction_logs.MOST_RECORDS` are not read, which is a note as well.

    Args:
      path: of the file; it may be packed by gzip.
      signatures: of the model.

    Raises:
      InputError: it cannot be read, is damaged, a record does not fit the signatures, or none has an answer.
    """
    try:
        data = _unpacked(path, read_file(path, MOST_FILE_BYTES))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {TAKES}") from None
    by_key = {signature.key: signature for signature in signatures}
    calls: list[Call] = []
    answers: list[Answer] = []
    notes: list[str] = []
    left = MOST_BYTES
    for number, record in enumerate(records(path, data)):
        if number == MOST_RECORDS:
            notes.append(f"only the first {MOST_RECORDS:,} records of the log are compared")
            break
        where = f"{path}: record {number}"
        try:
            pairs = list(_pairs(number, record, by_key, where))
        except InputError as error:
            raise InputError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
        for call, answer in pairs:
            left -= sum(array.nbytes for array in answer.outputs.values() if array.dtype.kind != "O")
            if left < 0:
                raise InputError(f"{where}: its answers have more than {MOST_BYTES >> 20} MB of values")
            calls.append(call)
            answers.append(answer)
        if not pairs:
            notes.append(f"record {number} names tensors, or has no answer")
    if not calls:
        raise InputError(f"{path}: no record holds an answer; a log of requests alone goes to --inputs")
    runtime = {"recorder": "a log of a model server"}
    return Recorded(tuple(calls), tuple(answers), tuple(answers), {}, tuple(notes), None, runtime, partial=True)


def _unpacked(path: str, data: bytes) -> bytes:
    """The content of a file, which may consist of several that gzip has packed, one after the other."""
    if not data.startswith(_GZIP):
        return data
    found: list[bytes] = []
    left = MOST_FILE_BYTES
    while data:
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            found.append(unpacking.decompress(data, left + 1))
        except zlib.error as error:
            raise InputError(f"{path}: damaged: {error}") from None
        left -= len(found[-1])
        if left < 0:
            raise InputError(f"{path}: unpacks to more than {MOST_FILE_BYTES >> 20} MB, which is the most that is read")
        if not unpacking.eof:
            raise InputError(f"{path}: damaged: the file ends inside of its compressed data")
        data = unpacking.unused_data
    return b"".join(found)


def _pairs(number: int, record: bytes, by_key: Mapping[str, Signature], where: str) -> Iterator[tuple[Call, Answer]]:
    """The requests of a record that have an answer."""
    kind, log = parsed_log(record)
    responses = _responses(kind, getattr(log, kind))
    for request, response in zip(requests_of(number, kind, log), responses, strict=False):
        if response is None or isinstance(request, NamedRun):
            continue
        call = call_of_log(where, request, by_key)
        outputs = _outputs(response, by_key[call.signature])
        if outputs:
            yield call, Answer(outputs)


def _responses(kind: str, log: Any) -> Sequence[Any]:
    """The answers of a log, one for each of its requests; None where there is none."""
    if kind == "predict_streamed_log":
        # One that streams gives any number of answers to any number of requests.
        return list(log.response) if len(log.response) == len(log.request) else [None] * len(log.request)
    if not log.HasField("response"):
        return [None]
    if kind == "multi_inference_log":
        return list(log.response.results)
    return [log.response]


def _outputs(response: Any, signature: Signature) -> dict[str, Array]:
    """The outputs of an answer by their names in the signature."""
    match response.DESCRIPTOR.name:
        case "PredictResponse":
            return {name: array_of(f"output {name!r}", value) for name, value in response.outputs.items()}
        case "InferenceResult":
            kind = response.WhichOneof("result")
            if kind is None:
                return {}
            result = getattr(response, kind)
            return _regressed(result, signature) if kind == "regression_result" else _classified(result, signature)
        case "ClassificationResponse":
            return _classified(response.result, signature)
        case "RegressionResponse":
            return _regressed(response.result, signature)
        case "SessionRunResponse":  # Of a request by the names of a signature.
            return {named.name: array_of(f"output {named.name!r}", named.tensor) for named in response.tensor}
        case _:
            return {}


def _classified(result: Any, signature: Signature) -> dict[str, Array]:
    """Classes and scores as a model server takes them out of the outputs (servables/tensorflow/classifier.cc)."""
    rows = [list(row.classes) for row in result.classifications]
    if not rows:
        return {}
    if len({len(row) for row in rows}) > 1:
        raise InputError("rows of a classification differ in length")
    found: dict[str, Array] = {}
    if _CLASSES in signature.outputs:
        labels = np.empty((len(rows), len(rows[0])), dtype=object)
        for at, row in enumerate(rows):
            labels[at, :] = [entry.label.encode() for entry in row]
        found[_CLASSES] = labels
    if _SCORES in signature.outputs:
        found[_SCORES] = np.array([[entry.score for entry in row] for row in rows], dtype=np.float32)
    return found


def _regressed(result: Any, signature: Signature) -> dict[str, Array]:
    """The values of a regression, which a model server flattens from [batch] or [batch, 1] (regressor.cc)."""
    values = np.array([entry.value for entry in result.regressions], dtype=np.float32)
    spec = signature.outputs.get(_VALUES)
    if spec is None or not values.size:
        return {}
    return {_VALUES: values.reshape(-1, 1) if spec.shape is not None and len(spec.shape) == 2 else values}

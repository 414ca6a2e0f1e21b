"""Reads the requests that TensorFlow Serving logs, and replays before it serves (`tf_serving_warmup_requests`).

Anything may be wrong with such a file: it is bounded before it is read, and each failure names the file and the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.sources.files import read_file
from migrate.verify.calls import Array, NamedRun
from migrate.verify.calls_file import Logs
from migrate.verify.serving_protos import prediction_log
from migrate.verify.tensor_values import MOST_BYTES, array_of
from migrate.verify.tfrecord import records

EXAMPLES = "inputs"
"""Name of the input that takes tf.Examples (tensorflow/core/.../signature_constants.h, kClassifyInputs)."""
MOST_RECORDS = 1000
"""More than so many a model server refuses (saved_model_warmup_util.h, WarmupConsts::kMaxNumRecords)."""
MOST_FILE_BYTES = 256 << 20


@frozen
class LoggedCall:
    """A request to one signature.

    Attributes:
      record: number of its record in the file.
      kind: `Predict`, `Classify`, `Regress`, `MultiInference` or `SessionRun`.
      signature: its key; None for the default one.
      inputs: values by input name.
      is_examples: the only value is a batch of serialized tf.Examples, for the signature's string input.
      outputs: names of the outputs that are asked for; empty for all.
    """

    record: int
    kind: str
    signature: str | None
    inputs: Mapping[str, Array]
    is_examples: bool = False
    outputs: tuple[str, ...] = ()


@frozen
class Unreadable:
    """A record that holds no request.

    Attributes:
      record: its number in the file.
      reason: what is wrong with it.
    """

    record: int
    reason: str


Logged = LoggedCall | NamedRun | Unreadable


def read_logs(path: str, data: bytes) -> Iterator[Logged]:
    """The requests of a file, in order.

    Args:
      path: of the file, for messages.
      data: its content.

    Raises:
      InputError: at the first record that is damaged, and after `MOST_RECORDS`.
    """
    left = MOST_BYTES
    for number, record in enumerate(records(path, data)):
        if number == MOST_RECORDS:
            raise InputError(f"{path}: has more than the {MOST_RECORDS:,} records that a model server takes")
        try:
            found = tuple(_requests(number, record))
        except InputError as error:
            yield Unreadable(number, str(error))
            continue
        left -= sum(map(_bytes, found))
        if left < 0:
            raise InputError(f"{path}: record {number}: its requests have more than {MOST_BYTES >> 20} MB of values")
        yield from found


def _bytes(request: LoggedCall | NamedRun) -> int:
    arrays = request.feeds if isinstance(request, NamedRun) else request.inputs
    return sum(array.nbytes for array in arrays.values())


def read_file_of_logs(path: str) -> Logs:
    """The requests of a file that a user gives.

    Raises:
      InputError: it cannot be read, is damaged, or a record of it holds no request.
    """
    try:
        data = read_file(path, MOST_FILE_BYTES)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --inputs takes a file with calls") from None
    found = tuple(read_logs(path, data))
    for log in found:
        if isinstance(log, Unreadable):
            raise InputError(f"{path}: record {log.record}: {log.reason}")
    return Logs(found)


def session_runs(path: str, data: bytes) -> Iterator[NamedRun]:
    """The requests of a file that name tensors, up to the first damaged record."""
    try:
        yield from (found for found in read_logs(path, data) if isinstance(found, NamedRun))
    except InputError:
        return


def parsed_log(record: bytes) -> tuple[str, Any]:
    """One record: the field of PredictionLog that it has, and the message.

    Raises:
      InputError: it is none.
    """
    log: Any = prediction_log()()
    try:
        log.ParseFromString(record)
    except DecodeError:
        raise InputError("no PredictionLog, or damaged") from None
    kind = log.WhichOneof("log_type")
    if kind is None:
        raise InputError("a PredictionLog without a request, or no PredictionLog")
    return kind, log


def _requests(number: int, record: bytes) -> Iterator[LoggedCall | NamedRun]:
    """The requests of one record."""
    kind, log = parsed_log(record)
    yield from requests_of(number, kind, log)


def requests_of(number: int, kind: str, log: Any) -> Iterator[LoggedCall | NamedRun]:
    """The requests of a parsed record.

    Args:
      number: of the record.
      kind: the field of PredictionLog that it has.
      log: the message.

    Raises:
      InputError: one cannot be read.
    """
    request = getattr(log, kind).request
    for one in request if kind == "predict_streamed_log" else (request,):
        yield from _READERS[kind](number, one)


def _predict(number: int, request: Any) -> Iterator[LoggedCall]:
    inputs = {name: array_of(f"input {name!r}", value) for name, value in request.inputs.items()}
    outputs = tuple(dict.fromkeys(request.output_filter))
    yield LoggedCall(number, "Predict", _signature(request), inputs, outputs=outputs)


def _with_examples(kind: str) -> Callable[[int, Any], Iterator[LoggedCall]]:
    def read(number: int, request: Any) -> Iterator[LoggedCall]:
        yield LoggedCall(number, kind, _signature(request), {EXAMPLES: _examples(request.input)}, True)

    return read


def _multi_inference(number: int, request: Any) -> Iterator[LoggedCall]:
    if not request.tasks:
        raise InputError("a MultiInference request without a task")
    examples = {EXAMPLES: _examples(request.input)}
    for task in request.tasks:
        yield LoggedCall(number, "MultiInference", _signature(task), examples, True)


def _session_run(number: int, request: Any) -> Iterator[LoggedCall | NamedRun]:
    feeds = {feed.name: array_of(f"feed {feed.name!r}", feed.tensor) for feed in request.feed}
    if request.tensor_name_is_alias:
        outputs = tuple(dict.fromkeys(request.fetch))
        yield LoggedCall(number, "SessionRun", _signature(request), feeds, outputs=outputs)
    else:
        yield NamedRun(number, feeds, tuple(request.fetch), tuple(request.target))


_READERS: Mapping[str, Callable[[int, Any], Iterator[LoggedCall | NamedRun]]] = {
    "predict_log": _predict,
    "predict_streamed_log": _predict,
    "classify_log": _with_examples("Classify"),
    "regress_log": _with_examples("Regress"),
    "multi_inference_log": _multi_inference,
    "session_run_log": _session_run,
}


def _signature(request: Any) -> str | None:
    return request.model_spec.signature_name or None


def _examples(given: Message) -> Array:
    """The serialized tf.Examples of an `Input`, as a model server feeds them (InputToSerializedExampleTensor)."""
    kind = given.WhichOneof("kind")
    if kind is None:
        raise InputError("a request without an example")
    listed: Any = getattr(given, kind)
    # Two messages one after the other are one that has the fields of both.
    context = listed.context if kind == "example_list_with_context" else b""
    examples = [context + example for example in listed.examples]
    if not examples:
        raise InputError("a request without an example")
    array = np.empty(len(examples), dtype=object)
    array[:] = examples
    return array

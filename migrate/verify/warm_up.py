"""The requests that a model brings with it: as calls of its signatures, and as runs of its graph."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from migrate.errors import InputError
from migrate.frozen import frozen
from migrate.records import Signature, TensorSpec
from migrate.sources.boundary import Boundary
from migrate.sources.files import read_file
from migrate.sources.saved_model_files import WARM_UP
from migrate.verify import dtypes
from migrate.verify.calls import Call, NamedRun, OwnRequest
from migrate.verify.calls_file import Logs
from migrate.verify.given_call import call_of
from migrate.verify.prediction_logs import EXAMPLES, MOST_FILE_BYTES, LoggedCall, Unreadable, read_logs

MOST_CALLS = 100
"""More of a model's own requests are not replayed; a model server makes all of them before it serves."""


@frozen
class WarmUp:
    """The requests of a model's own file.

    Attributes:
      requests: those that ask a signature, in order.
      runs: those that name tensors, in order.
      notes: why others are not replayed, a line each.
    """

    requests: tuple[OwnRequest, ...] = ()
    runs: tuple[NamedRun, ...] = ()
    notes: tuple[str, ...] = ()


def read_warm_up(extra_dir: str, signatures: Sequence[Signature], boundary: Boundary | None = None) -> WarmUp:
    """Reads the requests of a model's own file; what is wrong with it is a note.

    Args:
      extra_dir: the model's `assets.extra`.
      signatures: the model's.
      boundary: where the file may be; None for anywhere.
    """
    path = os.path.join(extra_dir, WARM_UP)
    if not os.path.lexists(path):
        return WarmUp()
    by_key = {signature.key: signature for signature in signatures}
    requests: list[OwnRequest] = []
    runs: list[NamedRun] = []
    notes: list[str] = []
    try:
        for found in read_logs(WARM_UP, read_file(path, MOST_FILE_BYTES, boundary)):
            if len(requests) + len(runs) == MOST_CALLS:
                notes.append(f"{WARM_UP}: only the first {MOST_CALLS} requests are replayed")
                break
            if isinstance(found, NamedRun):
                runs.append(found)
                continue
            try:
                requests.append(
                    OwnRequest(found.record, call_of_log(f"{WARM_UP}: record {found.record}", found, by_key))
                )
            except InputError as error:
                notes.append(str(error))
    except (OSError, InputError) as error:
        notes.append(str(error))
    return WarmUp(tuple(requests), tuple(runs), tuple(notes))


def requests_of_logs(
    path: str, logs: Logs, by_key: Mapping[str, Signature]
) -> tuple[tuple[Call, ...], tuple[NamedRun, ...]]:
    """The calls of a file that the user gives, and its requests that name tensors.

    Raises:
      InputError: a record holds no request, or one that fits no signature.
    """
    runs = tuple(dataclasses.replace(found, file=path) for found in logs.found if isinstance(found, NamedRun))
    calls = (found for found in logs.found if not isinstance(found, NamedRun))
    return tuple(call_of_log(f"{path}: record {found.record}", found, by_key) for found in calls), runs


def call_of_log(where: str, found: LoggedCall | Unreadable, by_key: Mapping[str, Signature]) -> Call:
    """A request as a call.

    Raises:
      InputError: it is none, or fits no signature.
    """
    if not isinstance(found, LoggedCall):
        raise InputError(f"{where}: {found.reason}")
    where = f"{where} ({found.kind})"
    signature = by_key.get(found.signature or "serving_default")
    inputs = found.inputs
    if signature is not None:
        if found.is_examples:
            inputs = {_example_input(where, signature): inputs[EXAMPLES]}
        _check_dtypes(where, inputs, signature.inputs)
    call = call_of(where, found.signature, inputs, by_key)
    if unknown := [name for name in found.outputs if name not in by_key[call.signature].outputs]:
        raise InputError(f"{where}: signature {call.signature!r} has no output {unknown[0]!r}")
    return dataclasses.replace(call, outputs=found.outputs)


def _example_input(where: str, signature: Signature) -> str:
    """Name of the input that takes serialized tf.Examples."""
    found = [name for name, spec in signature.inputs.items() if spec.dtype == "string" and spec.encoding == "dense"]
    if EXAMPLES in found:
        return EXAMPLES
    if len(found) != 1 or len(signature.inputs) != 1:
        raise InputError(f"{where}: signature {signature.key!r} takes no tf.Examples")
    return found[0]


def _check_dtypes(where: str, inputs: Mapping[str, object], specs: Mapping[str, TensorSpec]) -> None:
    """A model server converts no value, other than the reader of a JSON file."""
    for name, value in inputs.items():
        spec = specs.get(name)
        expected = None if spec is None else dtypes.numpy_dtype(spec.dtype)
        if expected is not None and getattr(value, "dtype", None) != expected:
            found = getattr(value, "dtype", None)
            raise InputError(f"{where}: input {name!r}: expected {expected}, found {found}")

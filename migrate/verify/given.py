"""Reads the user's own calls from a file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from migrate.errors import InputError
from migrate.records import Signature, TensorSpec
from migrate.sources.files import open_stream, read_file
from migrate.sources.saved_model_files import WARM_UP
from migrate.verify.calls import SPARSE_PARTS, Array, Call, NamedRun
from migrate.verify.calls_file import Entry, Logs, read_json, read_npz
from migrate.verify.given_call import call_of, default_key


def load_requests(path: str, signatures: Sequence[Signature]) -> tuple[tuple[Call, ...], tuple[NamedRun, ...]]:
    """Reads calls as `load_calls` does, and the requests of a model server that name tensors.

    Args:
      path: of the file.
      signatures: the model's.

    Raises:
      InputError: as `load_calls`, for all but these requests.
    """
    by_key = {signature.key: signature for signature in signatures}
    raw = read_raw(path)
    if isinstance(raw, Logs):
        from migrate.verify.warm_up import requests_of_logs

        return requests_of_logs(path, raw, by_key)
    entries = raw if isinstance(raw, tuple) else _entries(path, raw, by_key)
    calls = (call_of(f"{path}: call {n}", e.signature, e.inputs, by_key) for n, e in enumerate(entries))
    return tuple(calls), ()


def named_runs_in(path: str) -> tuple[NamedRun, ...]:
    """The requests of a user's file that name tensors; none where it cannot be read, which `load_requests` says."""
    if not path.endswith((".npz", ".json", ".jsonl", ".ndjson")) and _is_tfrecord(path):
        from migrate.verify.prediction_logs import MOST_FILE_BYTES, session_runs

        with contextlib.suppress(OSError, InputError):
            return tuple(session_runs(path, read_file(path, MOST_FILE_BYTES)))
    return ()


def load_calls(path: str, signatures: Sequence[Signature]) -> tuple[Call, ...]:
    """Reads calls from a `.npz` file, or from a `.json` or `.jsonl` file (docs/inputs.md).

    A `.npz` holds one array an input, under `INPUT` (of the default signature: `serving_default`, or the only
    one), `SIGNATURE/INPUT`, or, for several calls, either of these behind the call's number: `0/INPUT`,
    `1/SIGNATURE/INPUT`. A sparse input is three arrays: `INPUT/indices`, `INPUT/values`, `INPUT/dense_shape`.
    A `.json` file holds a list of `{"signature": ..., "inputs": {INPUT: VALUE}}` (no signature means the
    default one), or `{INPUT: VALUE}` for one call of the default signature. A VALUE is a nested list,
    `{"b64": ...}` in the place of a string, `{"shape": ..., "fill": ...}`, or `{"indices": ..., "values": ...,
    "dense_shape": ...}`. It may also hold one call per line, and requests to TensorFlow Serving's REST interface:
    `{"signature_name": ..., "instances": [...]}` and `{"signature_name": ..., "inputs": ...}`.
    A TFRecord file holds requests that TensorFlow Serving has logged (`prediction_logs.py`).

    Args:
      path: of the file.
      signatures: the model's.

    Returns:
      the calls in order, with the dtypes of the signatures' inputs.

    Raises:
      InputError: the file cannot be read, a signature or an input is unknown or missing, or a value does not
        have the dtype or the rank of its input.
    """
    calls, runs = load_requests(path, signatures)
    if runs:
        names = ", ".join(map(repr, [*runs[0].feeds, *runs[0].fetches, *runs[0].targets][:3]))
        where = f"{path}: record {runs[0].record}"
        raise InputError(f"{where}: a SessionRun request, which names tensors ({names}) and no signature")
    return calls


def read_raw(path: str) -> tuple[Entry, ...] | Mapping[str, Array] | Logs:
    """Reads as much of a file with calls as means the same for every model.

    Raises:
      InputError: it cannot be read, or holds no call.
    """
    if path.endswith(".npz"):
        raw: tuple[Entry, ...] | Mapping[str, Array] | Logs = read_npz(path)
    elif path.endswith((".json", ".jsonl", ".ndjson")):
        raw = read_json(path)
    elif _is_tfrecord(path):
        from migrate.verify.prediction_logs import read_file_of_logs

        raw = read_file_of_logs(path)
    else:
        raise InputError(
            f"{path}: calls are read from a .npz, a .json or a .jsonl file, or a TFRecord file of a model server's "
            "requests; see docs/inputs.md"
        )
    if not raw:
        raise InputError(f"{path}: holds no call")
    return raw


def _is_tfrecord(path: str) -> bool:
    """Whether a file's name or its beginning says that it is a TFRecord file."""
    from migrate.verify.tfrecord import is_tfrecord

    if os.path.basename(path) == WARM_UP or path.endswith((".tfrecord", ".tfrecords")):
        return True
    try:
        with open_stream(path) as stream:
            return is_tfrecord(stream.read(12))
    except (OSError, InputError):
        return False


def check_calls(path: str, signatures: Sequence[Signature] | None) -> None:
    """Reads a file with calls for its faults alone.

    Args:
      path: of the file.
      signatures: of the one model that is to be called, or None where there are several or it is not known yet.

    Raises:
      InputError: as `load_calls`, or `read_raw` where there are no signatures.
    """
    if signatures is None:
        read_raw(path)
    else:
        load_requests(path, signatures)


def _entries(path: str, arrays: Mapping[str, Array], by_key: Mapping[str, Signature]) -> Iterable[Entry]:
    calls: dict[tuple[int, str | None], dict[str, Any]] = {}
    for name, array in arrays.items():
        numbered = re.match(r"([0-9]{1,9})/(.+)\Z", name, re.DOTALL)
        number, rest = (int(numbered[1]), numbered[2]) if numbered and not _names_input(name, by_key) else (0, name)
        key = next((k for k in sorted(by_key, key=len, reverse=True) if rest.startswith(k + "/")), None)
        default = default_key(by_key)
        if default is not None and _names_input(rest, {default: by_key[default]}):
            key = None  # an input of the default signature may itself have a "/" in its name
        if key is not None:
            rest = rest[len(key) + 1 :]
        inputs = calls.setdefault((number, key), {})
        stem, _, part = rest.rpartition("/")
        if part in SPARSE_PARTS and rest not in _inputs(key, by_key):
            held = inputs.setdefault(stem, {})
        else:
            held, part = inputs, rest
        if not isinstance(held, dict) or part in held:
            raise InputError(f"{path}: array {name!r}: call {number} has this input already")
        held[part] = array
    return [Entry(key, inputs) for (_, key), inputs in sorted(calls.items(), key=lambda item: item[0][0])]


def _inputs(key: str | None, by_key: Mapping[str, Signature]) -> Mapping[str, TensorSpec]:
    name = key if key is not None else default_key(by_key)
    return by_key[name].inputs if name is not None else {}


def _names_input(name: str, by_key: Mapping[str, Signature]) -> bool:
    """Whether `name` is an input of one of the signatures, or a part of a sparse one."""
    stem, _, part = name.rpartition("/")
    return any(name in s.inputs or (part in SPARSE_PARTS and stem in s.inputs) for s in by_key.values())

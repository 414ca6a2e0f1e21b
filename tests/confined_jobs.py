"""What the children of `test_confinement.py` try: attacks that a model or a library could carry out."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Mapping

from migrate.frozen import frozen

CALL_SECONDS = 5.0
"""How long gRPC, which never gives up, may try to reach somebody."""


@frozen
class Job:
    """One attack.

    Attributes:
      name: which of `ATTACKS`.
      given: directory of other people's files, the model's directory, a port that listens and a library.
    """

    name: str
    given: tuple[str, ...]


@frozen
class Unjudged:
    """A step of a conversion, without the checks that the step itself makes of a model."""

    job: object


def run(job: Job | Unjudged) -> object:
    """Tries an attack and says what came of it, or takes a step."""
    if isinstance(job, Unjudged):
        from migrate.verify import load_source, replay

        load_source.make_safe = lambda *_: None
        return replay.run(job.job)
    try:
        return f"done: {ATTACKS[job.name](*job.given)!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _tf():
    import tensorflow as tf

    return tf


def _write_file(other: str, *_: str) -> object:
    return _tf().io.write_file(f"{other}/pwned", "x")


def _read_file(other: str, *_: str) -> object:
    return _tf().io.read_file(f"{other}/secret").numpy()


def _matching_files(other: str, *_: str) -> object:
    found = _tf().io.matching_files(f"{other}/*").numpy().tolist()
    if not found:
        raise ValueError("nothing matches")
    return found


def _delete_recursively(other: str, *_: str) -> object:
    return _tf().io.gfile.rmtree(other)


def _merge_checkpoints(other: str, *_: str) -> object:
    tf = _tf()
    return tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[f"{other}/checkpoint/part"], destination_prefix=f"{other}/merged", delete_old_dirs=True
    )


def _save(other: str, *_: str) -> object:
    return _tf().raw_ops.SaveV2(prefix=f"{other}/pwned", tensor_names=["x"], shape_and_slices=[""], tensors=[1.0])


def _save_into_source(_: str, model: str, *__: str) -> object:
    tf = _tf()
    return tf.raw_ops.SaveV2(
        prefix=f"{model}/variables/variables", tensor_names=["x"], shape_and_slices=[""], tensors=[1.0]
    )


def _debug_file(other: str, *_: str) -> object:
    tf = _tf()
    return tf.raw_ops.DebugIdentity(
        input=1.0, device_name="", tensor_name="x:0", debug_urls=[f"file://{other}/pwned"], gated_grpc=False
    )


def _debug_grpc(_: str, __: str, port: str, ___: str) -> object:
    tf = _tf()
    url = f"grpc://127.0.0.1:{port}"

    def call() -> None:
        tf.raw_ops.DebugIdentity(input=1.0, device_name="", tensor_name="x:0", debug_urls=[url], gated_grpc=False)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    caller.join(CALL_SECONDS)
    if caller.is_alive():
        raise TimeoutError("it tries again and again")
    return None


def _print(other: str, *_: str) -> object:
    return _tf().print("x", output_stream=f"file://{other}/pwned")


def _cache(other: str, *_: str) -> object:
    return list(_tf().data.Dataset.range(2).cache(f"{other}/pwned"))


def _text_lines(other: str, *_: str) -> object:
    return [line.numpy() for line in _tf().data.TextLineDataset(f"{other}/secret")]


def _table(other: str, *_: str) -> object:
    tf = _tf()
    fill = tf.lookup.TextFileInitializer(f"{other}/secret", tf.string, 0, tf.int64, 1, delimiter=" ")
    return tf.lookup.StaticHashTable(fill, -1).export()[0].numpy()


def _load_library(_: str, __: str, ___: str, library: str) -> object:
    return _tf().load_op_library(library)


def _remote(_: str, __: str, port: str, ___: str) -> object:
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def _connect(_: str, __: str, port: str, ___: str) -> object:
    return socket.create_connection(("127.0.0.1", int(port)), 5)


def _program(other: str, *_: str) -> object:
    return subprocess.run(["/bin/sh", "-c", f"touch {other}/pwned"], check=True)


def _python_write(other: str, *_: str) -> object:
    return pathlib.Path(other, "pwned").write_text("x")


def _python_read(other: str, *_: str) -> object:
    return pathlib.Path(other, "secret").read_text()


def _source_write(_: str, model: str, *__: str) -> object:
    return pathlib.Path(model, "saved_model.pb").write_text("x")


def _source_mode(_: str, model: str, *__: str) -> object:
    return os.chmod(pathlib.Path(model, "saved_model.pb"), 0)


def _kill_parent(*_: str) -> object:
    return os.kill(os.getppid(), 0)


ATTACKS: Mapping[str, Callable[..., object]] = {
    function.__name__.strip("_"): function
    for function in (
        _write_file,
        _read_file,
        _matching_files,
        _delete_recursively,
        _merge_checkpoints,
        _save,
        _save_into_source,
        _debug_file,
        _debug_grpc,
        _print,
        _cache,
        _text_lines,
        _table,
        _load_library,
        _remote,
        _connect,
        _program,
        _python_write,
        _python_read,
        _source_write,
        _source_mode,
        _kill_parent,
    )
}

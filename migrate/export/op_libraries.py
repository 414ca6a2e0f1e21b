"""Loads libraries of ops that the user gives, and says what they register: their OpDefs and their kernels.

A library is code that may do anything; only what the user names on the command line is loaded, and never what a model
or a file beside it names. It is loaded before a process forks for a model, so that confinement comes after it.
"""

from __future__ import annotations

import collections
import hashlib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.errors import first_line
from migrate.frozen import frozen
from migrate.given import GivenLibrary, GivenOp
from migrate.graph.op_table import add_ops, added_ops
from migrate.processes.preloaded import entry
from migrate.records import Failed
from migrate.sources.files import digest_of

LIBRARY, MODULE = "op_library", "import_module"
_SEPARATOR = "="
_SHARED = ".so"


@frozen
class LoadJob:
    """Libraries to load, the last of which is asked about.

    Attributes:
      entries: see `entry_of`.
    """

    entries: tuple[str, ...]


def entry_of(flag: str, name: str) -> str:
    """A library as an entry for a server (`preloaded.entry`)."""
    return entry(__name__, f"{flag}{_SEPARATOR}{name}")


def run(job: LoadJob) -> GivenLibrary | Failed:
    """Loads the libraries in this process; of the last one gives what it registers, or why it cannot be used."""
    *others, last = (each.partition(":")[2] for each in job.entries)
    for each in others:
        load(each)
    flag, _, name = last.partition(_SEPARATOR)
    try:
        ops = _loaded(flag, name)
    except Exception as error:  # A package may raise anything.
        return Failed(f"cannot be loaded: {type(error).__name__}: {_reason(error)}")
    if not ops:
        return Failed("registers no op that TensorFlow does not have")
    if _has_started():
        return Failed("starts TensorFlow's runtime when it is loaded, so no process can be forked after it")
    if flag == LIBRARY:
        return GivenLibrary(flag, name, "", digest_of(name), ops)
    return GivenLibrary(flag, name, _version(name), _digest(name), ops)


def load(argument: str) -> None:
    """Loads one library for good; its ops are in the table of ops from then on. See `preloaded.load`."""
    flag, _, name = argument.partition(_SEPARATOR)
    add_ops(_loaded(flag, name))


def _loaded(flag: str, name: str) -> tuple[GivenOp, ...]:
    """Loads a library, and gives the ops that are new."""
    import tensorflow as tf

    before = _registered()
    if flag == LIBRARY:
        tf.load_op_library(name)
    else:
        _import(name)
    new = [op for op in _registered().values() if op.name not in before and op.name not in added_ops()]
    kernels = _devices() if new else {}
    return tuple(_given(op, kernels.get(op.name, frozenset())) for op in sorted(new, key=lambda op: str(op.name)))


def _import(name: str) -> None:
    """Imports a module that may be in the working directory, where Python looks last, and for this import alone."""
    here = os.getcwd()
    is_added = here not in sys.path
    if is_added:
        sys.path.append(here)
    try:
        importlib.import_module(name)
    finally:
        if is_added:
            sys.path.remove(here)


def _registered() -> Mapping[str, Any]:
    """The OpDef of every op that this process knows, by name."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    buffer = pywrap_tf_session.TF_GetAllOpList()
    return {op.name: op for op in op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(buffer)).op}


def _devices() -> Mapping[str, frozenset[str]]:
    """The devices that have a kernel of each op."""
    from tensorflow.python.framework import kernels

    found: dict[str, set[str]] = collections.defaultdict(set)
    for kernel in kernels.get_all_registered_kernels().kernel:
        found[kernel.op].add(kernel.device_type)
    return {op: frozenset(devices) for op, devices in found.items()}


def _given(op: Any, devices: frozenset[str]) -> GivenOp:
    # Device type DEFAULT is for every device, the CPU too (core/framework/op_kernel.cc, FindKernelRegistration).
    on_cpu = bool(devices & {"CPU", "DEFAULT"})
    return GivenOp(
        op.name,
        op.is_stateful,
        any(arg.is_ref for arg in (*op.input_arg, *op.output_arg)),
        any("func" in attr.type for attr in op.attr),
        on_cpu,
        bool(devices) and not on_cpu,
        _dtypes(op),
        tuple((arg.name, arg.number_attr or arg.type_list_attr) for arg in op.output_arg),
    )


def _dtypes(op: Any) -> str:
    """What an op gives, as the table of ops writes it (`graph.output_dtypes`)."""
    import tensorflow as tf

    given, used = [], set()
    for arg in op.output_arg:
        kind = f"@@{arg.type_list_attr}" if arg.type_list_attr else f"@{arg.type_attr}" if arg.type_attr else ""
        used.update({arg.type_list_attr, arg.type_attr, arg.number_attr})
        number = f"{arg.number_attr}*" if arg.number_attr else ""
        given.append(number + (kind or str(tf.dtypes.as_dtype(arg.type).base_dtype.name)))
    defaults = [
        f"@{attr.name}={tf.dtypes.as_dtype(attr.default_value.type).name}"
        for attr in op.attr
        if attr.name in used and attr.default_value.type
    ]
    return " ".join(["|".join(given), *defaults])


def _has_started() -> bool:
    """Whether this process has TensorFlow's eager context, whose threads no fork has."""
    from tensorflow.python.eager import context

    return context.context()._context_handle is not None  # Private; TensorFlow has no other word for it.


def _reason(error: Exception) -> str:
    """The first line of an error, and what an undefined symbol means."""
    text = first_line(error)
    if "undefined symbol" in text:
        import tensorflow as tf

        return f"{text}; it was built for another TensorFlow than {tf.__version__}"
    return text


def _version(module: str) -> str:
    """The version of the distribution that a module belongs to; else its own."""
    top = module.partition(".")[0]
    for distribution in importlib.metadata.packages_distributions().get(top, ()):
        return importlib.metadata.version(distribution)
    return str(getattr(sys.modules[module], "__version__", ""))


def _digest(module: str) -> str:
    """The SHA-256 of all shared libraries below a package, each with its name."""
    total = hashlib.sha256()
    for name, path in sorted(_shared(list(getattr(sys.modules[module], "__path__", ())))):
        total.update(f"{name}\0{digest_of(path)}\n".encode())
    return total.hexdigest()


def _shared(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for directory, _, files in os.walk(folder):
            for file in files:
                if file.endswith(_SHARED):
                    path = os.path.join(directory, file)
                    yield os.path.relpath(path, folder), path

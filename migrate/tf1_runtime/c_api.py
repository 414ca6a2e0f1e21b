"""TensorFlow 1.15.5's C API (tensorflow/c/c_api.h), through ctypes. Only a child process may import this module."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

import numpy as np
import numpy.typing as npt

from migrate.errors import InternalError
from migrate.frozen import frozen
from migrate.tf1_runtime.layout import FRAMEWORK, RUNTIME

Array = npt.NDArray[np.generic]

# tensorflow/c/tf_datatype.h; numpy has other names for the quantised ones and for bfloat16.
_STRING, _REF = 7, 100
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "int8",
    12: "uint8",
    13: "int32",
    14: "bfloat16",
    15: "int16",
    16: "uint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
"""By number; a resource (20) and a variant (21) have no values."""

# tensorflow/c/tf_status.h, and the classes of errors that Python's TensorFlow has for them (errors_impl.py).
_ERRORS = {
    1: "CancelledError",
    2: "UnknownError",
    3: "InvalidArgumentError",
    4: "DeadlineExceededError",
    5: "NotFoundError",
    6: "AlreadyExistsError",
    7: "PermissionDeniedError",
    8: "ResourceExhaustedError",
    9: "FailedPreconditionError",
    10: "AbortedError",
    11: "OutOfRangeError",
    12: "UnimplementedError",
    13: "InternalError",
    14: "UnavailableError",
    15: "DataLossError",
    16: "UnauthenticatedError",
}

# ConfigProto (config.proto): one thread inside an op; rewrite nothing (optimizer_options.opt_level is L0, the meta
# optimiser is off); allow_soft_placement.
_ONE_THREAD, _SEVERAL, _SOFT = b"\x10\x01", b"\x28\x04", b"\x38\x01"
_AS_IT_IS = bytes.fromhex("52121a0b18ffffffffffffffffff015203980101")
# RunOptions: inter_op_thread_pool is -1, which runs op after op in the calling thread.
_INLINE = b"\x18" + b"\xff" * 9 + b"\x01"


class Tf1Error(Exception):
    """TensorFlow 1 refuses something. What is raised is of a subclass with the name that Python's TensorFlow has.

    Attributes:
      node_def: name of the node that refuses it, or None.
    """

    node_def: str | None = None


class NotFoundError(Tf1Error):
    """Something is not there: a file, a node, a tensor of a checkpoint, a kernel."""


_INVALID_ARGUMENT, _NOT_FOUND, _UNIMPLEMENTED = 3, 5, 12
_CLASSES: dict[int, type[Tf1Error]] = {code: type(name, (Tf1Error,), {}) for code, name in _ERRORS.items()}
_CLASSES[_NOT_FOUND] = NotFoundError
_NODE = re.compile(r"\{\{node ([^}]*)\}\}")


def _error(code: int, message: str) -> Tf1Error:
    """The exception for a code of TensorFlow's, with the node that its message names last."""
    error = _CLASSES.get(code, Tf1Error)(message)
    named = _NODE.findall(message)
    error.node_def = named[-1] if named else None
    return error


class _Output(ctypes.Structure):
    _fields_ = (("operation", c_void_p), ("index", c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


@frozen
class _Signature:
    """A function of the C API: what it takes and gives."""

    result: Any
    arguments: tuple[Any, ...]


_P = c_void_p
_FUNCTIONS = {
    "TF_Version": _Signature(c_char_p, ()),
    "TF_GetAllOpList": _Signature(POINTER(_Buffer), ()),
    "TF_DeleteBuffer": _Signature(None, (_P,)),
    "TF_NewBuffer": _Signature(POINTER(_Buffer), ()),
    "TF_NewBufferFromString": _Signature(POINTER(_Buffer), (c_char_p, c_size_t)),
    "TF_NewStatus": _Signature(_P, ()),
    "TF_DeleteStatus": _Signature(None, (_P,)),
    "TF_GetCode": _Signature(c_int, (_P,)),
    "TF_Message": _Signature(c_char_p, (_P,)),
    "TF_LoadLibrary": _Signature(_P, (c_char_p, _P)),
    "TF_NewGraph": _Signature(_P, ()),
    "TF_DeleteGraph": _Signature(None, (_P,)),
    "TF_NewImportGraphDefOptions": _Signature(_P, ()),
    "TF_DeleteImportGraphDefOptions": _Signature(None, (_P,)),
    "TF_GraphImportGraphDef": _Signature(None, (_P, _P, _P, _P)),
    "TF_GraphOperationByName": _Signature(_P, (_P, c_char_p)),
    "TF_OperationOutputType": _Signature(c_int, (_Output,)),
    "TF_OperationNumOutputs": _Signature(c_int, (_P,)),
    "TF_GraphGetTensorNumDims": _Signature(c_int, (_P, _Output, _P)),
    "TF_GraphGetTensorShape": _Signature(None, (_P, _Output, POINTER(c_int64), c_int, _P)),
    "TF_NewSessionOptions": _Signature(_P, ()),
    "TF_DeleteSessionOptions": _Signature(None, (_P,)),
    "TF_SetConfig": _Signature(None, (_P, c_char_p, c_size_t, _P)),
    "TF_NewSession": _Signature(_P, (_P, _P, _P)),
    "TF_CloseSession": _Signature(None, (_P, _P)),
    "TF_DeleteSession": _Signature(None, (_P, _P)),
    "TF_SessionRun": _Signature(None, (_P, _P, _P, _P, c_int, _P, _P, c_int, _P, c_int, _P, _P)),
    "TF_AllocateTensor": _Signature(_P, (c_int, POINTER(c_int64), c_int, c_size_t)),
    "TF_DeleteTensor": _Signature(None, (_P,)),
    "TF_TensorType": _Signature(c_int, (_P,)),
    "TF_NumDims": _Signature(c_int, (_P,)),
    "TF_Dim": _Signature(c_int64, (_P, c_int)),
    "TF_TensorByteSize": _Signature(c_size_t, (_P,)),
    "TF_TensorData": _Signature(_P, (_P,)),
}


class Library:
    """The runtime, loaded into this process for good.

    Args:
      directory: where it is installed.

    Raises:
      InternalError: another TensorFlow is in this process.
      OSError: the dynamic loader refuses it.
    """

    def __init__(self, directory: str) -> None:
        if "tensorflow.python" in sys.modules:
            raise InternalError("two TensorFlows cannot be in one process")
        self.directory = directory
        ctypes.CDLL(os.path.join(directory, FRAMEWORK), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
        # Lazily: what is weak and not there is never called.
        self._library = ctypes.CDLL(os.path.join(directory, RUNTIME), mode=os.RTLD_GLOBAL | os.RTLD_LAZY)
        self._functions: dict[str, Callable[..., Any]] = {}
        for name, signature in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = signature.result, signature.arguments
            self._functions[name] = function

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a function that takes no status."""
        return self._functions[name](*arguments)

    def checked(self, name: str, *arguments: Any) -> Any:
        """Calls a function whose last argument is a status, which is added here.

        Raises:
          Tf1Error: the function says that it failed.
        """
        status = self.call("TF_NewStatus")
        try:
            result = self.call(name, *arguments, status)
            code = self.call("TF_GetCode", status)
            if code:
                raise _error(code, self.call("TF_Message", status).decode(errors="replace"))
            return result
        finally:
            self.call("TF_DeleteStatus", status)

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.call("TF_Version").decode())

    def ops(self) -> bytes:
        """All ops that are registered now: an OpList (op_def.proto), serialized."""
        buffer = self.call("TF_GetAllOpList")
        try:
            return ctypes.string_at(buffer.contents.data, buffer.contents.length)
        finally:
            self.call("TF_DeleteBuffer", buffer)

    def load_ops(self, path: str) -> None:
        """Registers the ops and kernels of an op library.

        Raises:
          Tf1Error: it cannot be loaded.
        """
        self.checked("TF_LoadLibrary", os.fsencode(os.path.join(self.directory, path)))


class Graph:
    """A graph.

    Args:
      library: the runtime.
      graph_def: a GraphDef, serialized.

    Raises:
      Tf1Error: TensorFlow 1 does not take it.
    """

    def __init__(self, library: Library, graph_def: bytes) -> None:
        self.library = library
        self.handle = c_void_p(library.call("TF_NewGraph"))
        options = c_void_p(library.call("TF_NewImportGraphDefOptions"))
        buffer = library.call("TF_NewBufferFromString", graph_def, len(graph_def))
        try:
            library.checked("TF_GraphImportGraphDef", self.handle, buffer, options)
        finally:
            library.call("TF_DeleteBuffer", buffer)
            library.call("TF_DeleteImportGraphDefOptions", options)

    def has(self, node: str) -> bool:
        """Whether there is a node of this name."""
        return bool(self.library.call("TF_GraphOperationByName", self.handle, node.encode()))

    def operation(self, node: str) -> c_void_p:
        """A node, by its name.

        Raises:
          Tf1Error: there is none.
        """
        found = self.library.call("TF_GraphOperationByName", self.handle, node.encode())
        if not found:
            raise _error(_NOT_FOUND, f"the graph has no node {node!r}")
        return c_void_p(found)

    def output(self, tensor: str) -> _Output:
        """A tensor, by its name.

        Raises:
          Tf1Error: there is none.
        """
        node, _, index = tensor.partition(":")
        operation, number = self.operation(node), int(index or 0)
        if number >= self.library.call("TF_OperationNumOutputs", operation):
            raise _error(_INVALID_ARGUMENT, f"node {node!r} has no output {number}")
        return _Output(operation, number)

    def shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """A tensor's static shape as TensorFlow 1 infers it; None for an unknown rank."""
        output = self.output(tensor)
        rank = self.library.checked("TF_GraphGetTensorNumDims", self.handle, output)
        if rank < 0:
            return None
        sizes = (c_int64 * max(1, rank))()
        self.library.checked("TF_GraphGetTensorShape", self.handle, output, sizes, rank)
        return tuple(None if size < 0 else int(size) for size in sizes[:rank])


class Session:
    """A Session on a graph, with variables and tables of its own. It rewrites nothing and adds in one order.

    Args:
      graph: the graph.

    Raises:
      Tf1Error: it cannot be made.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._library = graph.library
        options = c_void_p(self._library.call("TF_NewSessionOptions"))
        config = _ONE_THREAD + _SEVERAL + _SOFT + _AS_IT_IS
        try:
            self._library.checked("TF_SetConfig", options, config, len(config))
            self._handle = c_void_p(self._library.checked("TF_NewSession", graph.handle, options))
        finally:
            self._library.call("TF_DeleteSessionOptions", options)

    def close(self) -> None:
        """Gives back what it holds."""
        self._library.checked("TF_CloseSession", self._handle)
        self._library.checked("TF_DeleteSession", self._handle)

    def run(
        self,
        fetches: Sequence[str],
        feeds: Mapping[str, Array],
        targets: Sequence[str] = (),
        seconds: float = 0.0,
        inline: bool = True,
        trace: list[bytes] | None = None,
    ) -> list[Array]:
        """Runs the graph once.

        Args:
          fetches: names of tensors.
          feeds: values by name of the tensor; strings are object arrays of bytes.
          targets: names of nodes that run beside them.
          seconds: limit, or 0 for none.
          inline: run op after op in this thread, in an order that is always the same; else in several threads.
          trace: is given what was executed: a RunMetadata, serialized.

        Raises:
          Tf1Error: TensorFlow 1 refuses it.
        """
        library = self._library
        inputs = (_Output * max(1, len(feeds)))(*map(self.graph.output, feeds))
        outputs = (_Output * max(1, len(fetches)))(*map(self.graph.output, fetches))
        nodes = (c_void_p * max(1, len(targets)))(*(self.graph.operation(name.partition(":")[0]) for name in targets))
        found = (c_void_p * max(1, len(fetches)))()
        given = (c_void_p * max(1, len(feeds)))()
        text = _run_options(seconds, inline, trace is not None)
        options = library.call("TF_NewBufferFromString", text, len(text))
        metadata = library.call("TF_NewBuffer") if trace is not None else None
        try:
            for number, (tensor, value) in enumerate(feeds.items()):
                given[number] = self._tensor(tensor, inputs[number], value)
            run = (self._handle, options, inputs, given, len(feeds), outputs, found, len(fetches), nodes, len(targets))
            library.checked("TF_SessionRun", *run, metadata)
            if metadata is not None and trace is not None:
                trace.append(ctypes.string_at(metadata.contents.data, metadata.contents.length))
            return [self._array(tensor, value) for tensor, value in zip(fetches, found, strict=False)]
        finally:
            for value in (*given, *found):
                if value:
                    library.call("TF_DeleteTensor", value)
            library.call("TF_DeleteBuffer", options)
            if metadata is not None:
                library.call("TF_DeleteBuffer", metadata)

    def _tensor(self, name: str, output: _Output, value: Array) -> int:
        """A value as a tensor of the dtype that the graph has there."""
        number = self._library.call("TF_OperationOutputType", output) % _REF
        if number == _STRING:
            data = _encoded([bytes(item) for item in value.ravel().tolist()])
        else:
            dtype = _numpy(number)
            if dtype is None or value.dtype.kind in "OSU":
                raise _error(_INVALID_ARGUMENT, f"{name}: takes {dtype or 'no value'}, not {value.dtype}")
            data = np.ascontiguousarray(value, dtype).tobytes()  # As Python's Session converts what is fed.
        sizes = (c_int64 * max(1, value.ndim))(*value.shape)
        tensor = self._library.call("TF_AllocateTensor", number, sizes, value.ndim, len(data))
        if not tensor:
            raise MemoryError(f"no memory for a tensor of {len(data):,} bytes")
        ctypes.memmove(self._library.call("TF_TensorData", tensor), data, len(data))
        return int(tensor)

    def _array(self, name: str, tensor: int) -> Array:
        library = self._library
        number = library.call("TF_TensorType", tensor)
        shape = tuple(library.call("TF_Dim", tensor, axis) for axis in range(library.call("TF_NumDims", tensor)))
        size = library.call("TF_TensorByteSize", tensor)
        data = ctypes.string_at(library.call("TF_TensorData", tensor), size) if size else b""
        if number == _STRING:
            return _decoded(data, shape)
        dtype = _numpy(number)
        if dtype is None:
            raise _error(_UNIMPLEMENTED, f"{name}: a tensor of this dtype has no value that could be compared")
        found: Array = np.frombuffer(data, dtype).reshape(shape).copy()
        return found


def _numpy(number: int) -> np.dtype[Any] | None:
    """The numpy dtype of TensorFlow's number; None for what has no values."""
    name = _DTYPES.get(number)
    if name == "bfloat16":
        import ml_dtypes  # comes with TensorFlow

        extension: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return extension
    return None if name is None else np.dtype(name)


def _run_options(seconds: float, inline: bool, traced: bool) -> bytes:
    """A RunOptions (config.proto), serialized."""
    limit = b"\x10" + _varint(max(1, int(seconds * 1000))) if seconds else b""
    return (b"\x08\x01" if traced else b"") + limit + (_INLINE if inline else b"")


def _encoded(items: Sequence[bytes]) -> bytes:
    """The bytes of a tensor of strings (c_api.h, TF_STRING): offsets, then each as its length and its bytes."""
    offsets, parts, at = np.empty(len(items), np.uint64), [], 0
    for number, item in enumerate(items):
        offsets[number] = at
        parts.append(_varint(len(item)) + item)
        at += len(parts[-1])
    return offsets.tobytes() + b"".join(parts)


def _decoded(data: bytes, shape: tuple[int, ...]) -> Array:
    """The same the other way round."""
    count = int(np.prod(shape, dtype=np.int64))
    found = np.empty(count, dtype=object)
    for number, offset in enumerate(np.frombuffer(data, np.uint64, count).tolist()):
        length, start = _varint_at(data, 8 * count + offset)
        found[number] = data[start : start + length]
    return found.reshape(shape)


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and where what follows it begins."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at

"""How TensorFlow is to run a candidate's functions: settings that no answer of this machine need show. No TensorFlow.

A converted graph has those of an ordinary export. Others make loaders fail, or have a compiler or an executor run what
the source's did not (function_ops.cc; xla_launch; function_deserialization.py, which reads the FunctionSpec).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from google.protobuf.message import DecodeError, Message

from migrate.graph.data_protos import ConfigProto
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.bodies import bodies
from migrate.verify.differences import mismatch

_CODE = "run-setting-differs"
_COMPILED = ("_XlaMustCompile", "_XlaCompile")
_OF_EXPORTS = frozenset({"_construction_context", "_input_shapes"})
"""Attributes that TensorFlow's exporter gives to functions."""
_ORDINARY_CONFIG = frozenset({"allow_soft_placement", "device_count", "gpu_options", "pluggable_device_options"})
"""What TensorFlow's exporter writes into a call's `config_proto`: it is of the process, and no optimiser reads it."""
_ORDINARY_EXECUTORS = frozenset({b"", b"DEFAULT"})
_JIT_ON = 1
"""FunctionSpec.JitCompile.ON (saved_object_graph.proto)."""


def run_setting_differences(source: Iterable[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Settings of calls and functions that a candidate has and its source does not.

    Args:
      source: the source's MetaGraphDefs; none where it is a Keras file, whose functions may be compiled.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    known = [*source]
    configs = {_config(node) for graph in known for _, _, nodes in bodies(graph) for node in nodes}
    for where, _, nodes in bodies(new):
        for node in nodes:
            reason = _of_call(node, configs)
            if reason:
                yield mismatch(_CODE, path, f"{where} has {reason}", "", node.name)
    if not known:
        return
    gradients = {gradient.function_name for graph in known for gradient in graph.graph_def.library.gradient}
    for gradient in new.graph_def.library.gradient:
        if gradient.function_name not in gradients:
            reason = f"the library gives it the gradient {gradient.gradient_func!r}, and the source's gives it none"
            yield mismatch(_CODE, path, reason, "", gradient.function_name)
    settings = {name for graph in known for name in _settings(graph)}
    for name, holder in _settings(new).items():
        if name not in settings:
            yield mismatch(_CODE, path, f"it has {name}, and the source has nothing with it", "", holder)


def _config(node: NodeDef) -> bytes:
    """What a call has as its `config_proto`."""
    return bytes(node.attr["config_proto"].s) if "config_proto" in node.attr else b""


def _of_call(node: NodeDef, configs: Collection[bytes]) -> str:
    """What is wrong with the settings of a call of a function; empty where nothing is."""
    config = _config(node)
    if config and config not in configs:
        try:
            found = ConfigProto.FromString(config)
        except DecodeError:
            return "a call whose config_proto is none"
        # A message without fields says nothing.
        fields = {field.name for field, value in found.ListFields() if not _is_empty(value)}
        if not fields <= _ORDINARY_CONFIG:
            return f"a call whose config_proto sets {', '.join(sorted(fields - _ORDINARY_CONFIG))}"
    if "executor_type" in node.attr and node.attr["executor_type"].s not in _ORDINARY_EXECUTORS:
        return f"a call by the executor {node.attr['executor_type'].s.decode(errors='replace')!r}"
    return ""


def _is_empty(value: object) -> bool:
    return isinstance(value, Message) and not value.ByteSize()


def _settings(graph: MetaGraphDef) -> dict[str, str]:
    """Settings that a graph has somewhere, each with the node or function that has it."""
    found: dict[str, str] = {}
    for _, _, nodes in bodies(graph):
        for node in nodes:
            found |= {name: node.name for name in _COMPILED if name in node.attr and node.attr[name].b}
    for function in graph.graph_def.library.function:
        for name, value in function.attr.items():
            if name not in _OF_EXPORTS and (value.b or value.s or value.WhichOneof("value") not in ("b", "s")):
                found[name] = function.signature.name
    for saved in graph.object_graph_def.nodes:
        if saved.WhichOneof("kind") == "function" and saved.function.function_spec.jit_compile == _JIT_ON:
            found["jit_compile"] = next(iter(saved.function.concrete_functions), "")
    return found

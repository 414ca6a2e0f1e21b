"""What the config of a Keras model says of itself: its layers, its inputs and its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.records import Shape

BUILD_DTYPES = ("float32", "int32", "int64", "string")
"""What the inputs of a subclassed model may be where its file names no dtype, in the order in which they are tried."""


@frozen
class Layer:
    """One layer of a config, or a model inside it.

    Attributes:
      name: as the config has it, or empty.
      class_name: likewise.
      config: its own settings.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]


def layers(config: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of a Sequential or Functional config, and those of models inside it, in order."""
    inner = config.get("config")
    entries = inner if isinstance(inner, list) else inner.get("layers", []) if isinstance(inner, Mapping) else []
    found: list[Layer] = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
            continue
        own = entry.get("config")
        settings = own if isinstance(own, Mapping) else {}
        name = str(settings.get("name") or entry.get("name") or "")
        nested = layers(entry)
        if nested:
            found += nested
        else:
            found.append(Layer(name, entry["class_name"], settings))
    return tuple(found)


def inputs(config: Mapping[str, Any]) -> Mapping[str, tuple[str, Shape]]:
    """Dtype and shape of each input by name, as far as the config says."""
    every = layers({"config": {"layers": _own_entries(config)}})
    named = _ends(config, "input_layers")
    if named:
        by_name = {layer.name: layer for layer in every}
        return {name: _input(by_name[name].config) for name in named if name in by_name}
    first = next(iter(every), None)
    if first is None:
        return _built_inputs(config)
    name = first.name if first.class_name == "InputLayer" else f"{first.name}_input"
    return {name: _input(first.config)}


def build_shape(config: Mapping[str, Any]) -> Any:
    """The shape that a model was built with: a list of numbers and None, or lists or a dict of these; else None."""
    inner = config.get("config")
    described = config.get("build_config")
    found = described.get("input_shape") if isinstance(described, Mapping) else None
    if found is None and isinstance(inner, Mapping):
        found = inner.get("build_input_shape")
    return found if _is_shape_tree(found) else None


def build_dtype(config: Mapping[str, Any]) -> str:
    """The dtype of what a subclassed model was built with, where its file says so, else an empty string.

    Keras notes shapes alone. A model whose own dtype is float64 takes no other floats without a loss.
    """
    inner = config.get("config")
    policy = inner.get("dtype") if isinstance(inner, Mapping) else None
    if isinstance(policy, Mapping):
        settings = policy.get("config")
        policy = settings.get("name") if isinstance(settings, Mapping) else None
    return "float64" if policy == "float64" else ""


def is_subclassed(config: Mapping[str, Any]) -> bool:
    """Whether a model is of a class of the user's, whose config need not say what its layers are."""
    return config.get("class_name") not in ("Functional", "Model", "Sequential")


def is_unbuilt(config: Mapping[str, Any]) -> bool:
    """Whether a config says neither what its model takes nor what it was built with.

    A class of the user's may make its inputs in Python; Keras then notes that it was built, and not with what.
    """
    known = [shape for _, shape in inputs(config).values()]
    if config.get("class_name") == "Sequential":
        return not any(shape is not None for shape in known) and build_shape(config) is None
    return not known and "build_config" not in config


def _is_shape_tree(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(key, str) and _is_shape_tree(inner) for key, inner in value.items())
    if not isinstance(value, list) or not value:
        return False
    return is_shape(value) or all(map(_is_shape_tree, value))


def is_shape(value: Any) -> bool:
    """Whether a part of a build shape is one tensor's shape."""
    return isinstance(value, list) and all(
        d is None or (isinstance(d, int) and not isinstance(d, bool) and d >= 0) for d in value
    )


def _built_inputs(config: Mapping[str, Any]) -> Mapping[str, tuple[str, Shape]]:
    """The inputs of a model of a class of the user's, named as Keras names them in a SavedModel."""
    shape = build_shape(config)
    if isinstance(shape, Mapping) and all(map(is_shape, shape.values())):
        parts = dict(sorted(shape.items()))
    elif is_shape(shape):
        parts = {"input_1": shape}
    elif isinstance(shape, list) and all(map(is_shape, shape)):
        parts = {f"input_{number + 1}": part for number, part in enumerate(shape)}
    else:
        return {}
    return {name: (build_dtype(config) or BUILD_DTYPES[0], (None, *part[1:])) for name, part in parts.items()}


def outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the outputs, which are those of the layers that give them."""
    named = _ends(config, "output_layers")
    if named:
        return named
    entries = [e for e in _own_entries(config) if isinstance(e, Mapping)]
    last = entries[-1].get("config") if entries else None
    return (str(last["name"]),) if isinstance(last, Mapping) and last.get("name") else ()


def unnamed_outputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Outputs whose layer keeps no name in its config, so that Keras makes one up at each load.

    Returns:
      What each was called when the model was saved, or the layer's class where that is not known.
    """
    inner = config.get("config")
    ends = inner.get("output_layers") if isinstance(inner, Mapping) else None
    if isinstance(ends, Mapping):
        return ()  # The names are the keys.
    entries = [entry for entry in _own_entries(config) if isinstance(entry, Mapping)]
    if ends is None:
        entries = entries[-1:]  # A Sequential gives what its last layer gives.
    named = outputs(config) if ends is not None else tuple(map(_entry_name, entries))
    unnamed = {_entry_name(entry) for entry in entries if not _settings(entry).get("name")}
    return tuple(name for name in named if name in unnamed)


def _entry_name(entry: Mapping[str, Any]) -> str:
    return str(_settings(entry).get("name") or entry.get("name") or entry.get("class_name") or "")


def _settings(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    own = entry.get("config")
    return own if isinstance(own, Mapping) else {}


def _own_entries(config: Mapping[str, Any]) -> list[Any]:
    inner = config.get("config")
    entries = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    return entries if isinstance(entries, list) else []


def _ends(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    inner = config.get("config")
    return tuple(_names(inner.get(key))) if isinstance(inner, Mapping) else ()


def _names(value: Any) -> Iterator[str]:
    """Layer names in `[["a", 0, 0], ["b", 0, 0]]`, `["a", 0, 0]` (one alone) or a dict of these."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list) and value and isinstance(value[0], str):
        yield value[0]
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _input(settings: Mapping[str, Any]) -> tuple[str, Shape]:
    shape = settings.get("batch_input_shape", settings.get("batch_shape"))
    dtype = settings.get("dtype")
    if not isinstance(dtype, str):
        dtype = settings.get("input_dtype") or "float32"
    dims = tuple(d if isinstance(d, int) else None for d in shape) if isinstance(shape, list) else None
    return str(dtype), dims

"""Whether stored weights are those of an architecture, as far as a config says what its layers hold.

Keras itself says so when it loads the model; audit starts no Keras. A layer of a class that is not listed here is
believed, and so is all that only its place among such layers would tell.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from migrate.checks.keras_shapes import LayerWeights, expected_layers
from migrate.errors import first_few
from migrate.records import Finding, Severity, Shape, refusal
from migrate.sources.hdf5 import StoredTensor
from migrate.sources.keras_source import KerasSource, Weights

_NUMBERED = re.compile(r"layer_with_weights-(\d+)/")
_LAYER = re.compile(r"layer(_with_weights)?-\d+/")
_ATTRIBUTE = re.compile(r"(?:cell/)?(\w+)/\.ATTRIBUTES/VARIABLE_VALUE")
_FOLDERS = ("layers", "_layer_checkpoint_dependencies")
_PLACE = re.compile(rf"(?:{'|'.join(_FOLDERS)})/(\w+)/")
_VARIABLE = re.compile(rf"(?:{'|'.join(_FOLDERS)})/(\w+)/(?:cell/)?vars/(\d+)")
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_LISTED = 4
# Weights that settings of a layer leave out.
_OPTIONAL = ("bias", "beta", "gamma")
# What a layer's weights are called in TF1; the names of what an optimizer keeps go on after them.
_OF_LAYERS = frozenset(
    {"kernel", "bias", "beta", "gamma", "embeddings", "moving_mean", "moving_variance", "recurrent_kernel"}
    | {"depthwise_kernel", "pointwise_kernel"}
)


def find_misfits(source: KerasSource, custom_objects: Collection[str]) -> Iterator[Finding]:
    """Refuses weights that Keras would not take for the architecture, and names the first that do not fit.

    Args:
      source: as it is on the disk.
      custom_objects: the user's `module:Name` entries; what the weights of such a class are is not known.
    """
    expected = expected_layers(source.config, frozenset(entry.partition(":")[2] for entry in custom_objects))
    # A whole model in one file is of one piece.
    if expected is None or not source.weights or source.files.architecture == source.files.weights:
        return
    misfits: list[tuple[str, str]] = []
    if source.form is Weights.OBJECTS and source.root is not None:
        where = f"{source.root}/" if source.root else ""
        misfits = list(_by_number(_below_root(source), expected, where, complete=True))
    elif source.form is Weights.HDF5_V3:
        misfits = list(_by_class(_by_name_of(source.weights), expected, ""))
    elif source.form is Weights.NAMES:
        stored = _stored(source.weights, [layer.name for layer in expected])
        misfits = list(_by_name(stored, expected, complete=True))
    elif source.form is Weights.HDF5:
        stored = _stored(source.weights, source.groups or [layer.name for layer in expected])
        if source.groups and all(layer.has_weights is not None for layer in expected):
            wanted = [layer.name for layer in expected if layer.has_weights]
            if len(wanted) != len(stored):
                yield _refused(
                    source,
                    (),
                    f"of {len(stored)} layers with weights ({first_few(sorted(stored), _LISTED)}), and the "
                    f"architecture has {len(wanted)} ({first_few(wanted, _LISTED)})",
                )
                return
        if not stored.keys() <= {layer.name for layer in expected}:
            return  # With other names Keras goes by the order, which says nothing without Keras.
        misfits = list(_by_name(stored, expected, complete=False))
    if misfits:
        more = f", and {len(misfits) - 1} more" if len(misfits) > 1 else ""
        nodes = tuple(name for name, _ in misfits if name)
        yield _refused(source, nodes, f"of another architecture: {misfits[0][1]}{more}")


def outside_layers(source: KerasSource) -> tuple[StoredTensor, ...]:
    """Tensors of a checkpoint by object that the model has and no layer of it: what Keras restores to nothing."""
    tensors = _below_root(source) if source.form is Weights.OBJECTS and source.root is not None else {}
    if not any(map(_LAYER.match, tensors)):
        return ()
    return tuple(tensor for key, tensor in tensors.items() if not _LAYER.match(key))


def find_unused(source: KerasSource) -> Iterator[Finding]:
    """Says which tensors of a checkpoint are of no layer, where each layer's own are told apart."""
    unused = [tensor.name for tensor in outside_layers(source)]
    if source.form is Weights.NAMES:
        names = _all_names(expected_layers(source.config, ()) or ())
        own = {tensor.name for tensors in _stored(source.weights, names).values() for tensor in tensors.values()}
        others = [tensor.name for tensor in source.weights if tensor.name not in own]
        unused = [name for name in others if names and name.rpartition("/")[2] in _OF_LAYERS]
    if unused:
        told = _told(unused, "of no layer of the architecture, and left out")
        message = f"{os.path.basename(source.files.weights)}: {told}"
        yield Finding("keras-weights-unused", Severity.WARNING, message, tuple(unused))


def _all_names(layers: Sequence[LayerWeights]) -> list[str]:
    return [name for layer in layers for name in (layer.name, *_all_names(layer.inner or ()))]


def _told(names: Sequence[str], what: str) -> str:
    return f"{len(names)} tensor{'s are' if len(names) > 1 else ' is'} {what} ({first_few(bare(names), 2)})"


def bare(keys: Sequence[str]) -> list[str]:
    """Keys of a checkpoint by object without what each of them ends with."""
    return [key.removesuffix(_SUFFIX) for key in keys]


def _refused(source: KerasSource, names: tuple[str, ...], message: str) -> Finding:
    return refusal(
        "keras-weights-differ",
        f"{os.path.basename(source.files.weights)}: weights {message}",
        names,
        "put the architecture of these weights beside them, or name it with --architecture=FILE",
    )


def _below_root(source: KerasSource) -> dict[str, StoredTensor]:
    """Tensors by their path from the model on."""
    below = f"{source.root}/" if source.root else ""
    return {tensor.name.removeprefix(below): tensor for tensor in source.weights}


def _by_number(
    tensors: Mapping[str, StoredTensor], expected: Sequence[LayerWeights], where: str, complete: bool
) -> Iterator[tuple[str, str]]:
    """What does not fit of a model's layers, which Keras 2 numbers where they have weights.

    Args:
      tensors: by their path from the model on.
      expected: the model's layers.
      where: path of the model in the checkpoint.
      complete: whether each weight must be there.
    """
    stored: dict[int, dict[str, StoredTensor]] = {}
    for path, tensor in tensors.items():
        match = _NUMBERED.match(path)
        if match:
            stored.setdefault(int(match[1]), {})[path[match.end() :]] = tensor
    unused: list[str] = []
    number = 0
    # It may have weights or none: what comes after such a layer may have any number.
    certain = all(layer.has_weights is not None for layer in expected)
    for layer in expected:
        if layer.has_weights is None:
            break
        if not layer.has_weights:
            continue
        own, place = stored.get(number, {}), f"{where}layer_with_weights-{number}"
        if layer.inner is not None:
            # The key of a weight that is in several places is the shortest path, which may lead past this model.
            yield from _by_number(own, layer.inner, f"{place}/", complete=False)
        elif layer.weights is not None:
            attributes = {match[1]: t for path, t in own.items() if (match := _ATTRIBUTE.fullmatch(path))}
            yield from _compared(place, layer, attributes, complete)
            unused += [t.name for name, t in attributes.items() if name in _OPTIONAL and name not in layer.weights]
        number += 1
    most = number if certain else sum(layer.has_weights is not False for layer in expected)
    unused += [tensor.name for place in sorted(stored) if place >= most for tensor in stored[place].values()]
    if unused:
        yield "", _told(sorted(unused), "of no layer of this one")


def _by_name_of(tensors: Sequence[StoredTensor]) -> dict[str, StoredTensor]:
    return {tensor.name: tensor for tensor in tensors}


def _by_class(
    tensors: Mapping[str, StoredTensor], expected: Sequence[LayerWeights], where: str
) -> Iterator[tuple[str, str]]:
    """Keras 3 stores the layers of each class under its name and a number (saving_lib.py, _save_container_state).

    Args:
      tensors: by their path from the model on.
      expected: the model's layers.
      where: path of the model in the file: empty, or one that ends with a slash.
    """
    stored: dict[str, dict[str, StoredTensor]] = {}
    for path, tensor in tensors.items():
        match = _VARIABLE.fullmatch(path)
        if match:
            stored.setdefault(match[1], {})[match[2]] = tensor
    seen: dict[str, int] = {}
    places = set()
    for layer in expected:
        name = _snake_case("Functional" if layer.class_name == "Model" else layer.class_name.rpartition(">")[2])
        number = seen[name] = seen.get(name, -1) + 1
        key = f"{name}_{number}" if number else name
        places.add(key)
        if layer.weights:
            numbered = {str(place): shape for place, shape in enumerate(layer.weights.values())}
            of_numbers = dataclasses.replace(layer, weights=numbered)
            # A layer that is in several models is stored in one of them.
            yield from _compared(f"{where}{key}", of_numbers, stored.get(key, {}), complete=not where)
        elif layer.inner is not None:
            begins = [f"{folder}/{key}/" for folder in _FOLDERS]
            own = {path[len(b) :]: t for path, t in tensors.items() for b in begins if path.startswith(b)}
            yield from _by_class(own, layer.inner, f"{where}{key}/")
    # The class of a layer that is not known may be stored under a name that says nothing of it.
    every = all(layer.has_weights is not None for layer in expected)
    unused = [
        tensor.name
        for path, tensor in tensors.items()
        if (match := _PLACE.match(path))
        and match[1] not in places
        and (every or re.sub(r"_\d+$", "", match[1]) in seen)
    ]
    if unused:
        yield "", _told(sorted(unused), "of no layer of this one")


def _snake_case(class_name: str) -> str:
    """As Keras does it (keras/src/utils/naming.py)."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _by_name(
    stored: Mapping[str, Mapping[str, StoredTensor]], expected: Sequence[LayerWeights], complete: bool
) -> Iterator[tuple[str, str]]:
    for layer in expected:
        if layer.weights:
            yield from _compared(layer.name, layer, stored.get(layer.name, {}), complete)


def _compared(
    where: str, layer: LayerWeights, stored: Mapping[str, StoredTensor], complete: bool
) -> Iterator[tuple[str, str]]:
    """The weights of one layer that are stored with another shape or not at all, each with what is said of it."""
    assert layer.weights is not None
    for attribute, shape in layer.weights.items():
        tensor = stored.get(attribute)
        if tensor is None:
            if complete or layer.weights.keys() & stored.keys():  # Else of names that are not known here.
                yield layer.name, f"it has no {where}/{attribute}, which the layer {layer.name!r} needs"
        elif not _fits(tensor.shape, shape):
            wanted = ", ".join("?" if d is None else str(d) for d in shape or ())
            yield (
                layer.name,
                f"{bare([tensor.name])[0]} has the shape {list(tensor.shape)}, the layer {layer.name!r} [{wanted}]",
            )


def _fits(stored: tuple[int, ...], wanted: Shape) -> bool:
    if wanted is None:
        return True
    return len(stored) == len(wanted) and all(w in (None, s) for s, w in zip(stored, wanted, strict=True))


def _stored(tensors: Sequence[StoredTensor], layers: Collection[str]) -> dict[str, dict[str, StoredTensor]]:
    """Stored weights of some layers by layer and by attribute: `hidden/hidden/kernel:0`, `conv1/bn/gamma`.

    Layers may be called `conv1` and `conv1/bn`. A weight is that of the longest name that its own begins with.
    """
    names = frozenset(layers)
    lengths = sorted({len(name) for name in names}, reverse=True)
    found: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        stored = tensor.name
        begins = (stored[:length] for length in lengths if stored[length : length + 1] == "/")
        layer = next((begin for begin in begins if begin in names), None)
        if layer is not None:
            found.setdefault(layer, {})[stored.rpartition("/")[2].partition(":")[0]] = tensor
    return found

"""The recurrent layers of Keras 2 that run on NVIDIA GPUs only, and the layers that compute the same anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from migrate.records import Finding, Severity, refusal
from migrate.sources.keras_source import KerasSource, Runtime, Weights

CUDNN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "CuDNNGRU": (
        "GRU",
        {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True},
    ),
    "CuDNNLSTM": ("LSTM", {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}),
}
"""Class of each such layer -> the class that computes the same, and the settings with which it does.

Keras reorders the stored weights of the one for the other when it loads an HDF5 file (hdf5_format.py,
_convert_rnn_weights).
"""


def cudnn_layers(source: KerasSource, custom_objects: Collection[str]) -> tuple[str, ...]:
    """Classes of the layers in a config, at any depth, that need cuDNN and that the user gives no class for."""
    if source.runtime is not Runtime.TF_KERAS:
        return ()
    given = {entry.partition(":")[2] for entry in custom_objects}
    return tuple(sorted({name for name in _classes(source.config) if name in CUDNN and name not in given}))


def find_cudnn(source: KerasSource, custom_objects: Collection[str]) -> Iterator[Finding]:
    """Says what becomes of such layers."""
    found = cudnn_layers(source, custom_objects)
    if not found:
        return
    if source.form not in (Weights.HDF5, Weights.MISSING):
        yield refusal(
            "keras-cudnn",
            f"{', '.join(found)}: Keras reorders the weights of these layers only where they are stored as HDF5",
            found,
            "load the model where there is a GPU and save its weights with save_weights('weights.h5')",
        )
        return
    instead = [f"{name} becomes {CUDNN[name][0]}" for name in found]
    message = f"{', '.join(instead)}, which computes the same without a GPU, up to rounding"
    yield Finding("keras-cudnn", Severity.NOTE, message, found)


def _classes(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("class_name"), str):
            yield value["class_name"]
        for inner in value.values():
            yield from _classes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _classes(inner)

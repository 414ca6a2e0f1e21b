"""Writes migrate/checks/keras_classes.json: the classes and functions that Keras itself has, by package.

    python tools/make_keras_classes.py

A config names classes; one that is not in the table is the user's. The table holds what the public namespaces offer
and, by its own name, every layer, operation and initializer of the package, since configs name those too (`Functional`,
`TFOpLambda`, `GetItem`). Layers that run foreign code or load another file are left out on purpose.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
import pkgutil

TABLE = pathlib.Path(__file__).parents[1] / "migrate" / "checks" / "keras_classes.json"
NAMESPACES = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "optimizers",
    "optimizers.legacy",
    "optimizers.schedules",
    "regularizers",
)
# A config may name a function of these only: `models` has some that load files.
FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
HELPERS = {"get", "serialize", "deserialize"}
BASES = ("Layer", "Operation", "Initializer", "Optimizer", "Loss", "Metric", "Regularizer", "Constraint")
# They unpickle, unmarshal or load another model: none of them is harmless because Keras knows it.
FOREIGN = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "ModuleWrapper"}


def public_names(package: str) -> set[str]:
    """What a package's public namespaces offer, and the real names of it."""
    found = set()
    for namespace in NAMESPACES:
        try:
            module = importlib.import_module(f"{package}.{namespace}")
        except ImportError:
            continue
        for name, value in vars(module).items():
            function = inspect.isfunction(value) and namespace in FUNCTIONS and name not in HELPERS
            if not name.startswith("_") and (inspect.isclass(value) or function):
                found |= {name, value.__name__}
    return found


def class_names(package: str) -> set[str]:
    """Names of all classes in a package that a config may name."""
    root = importlib.import_module(package)
    found = set()
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if "test" in info.name.rsplit(".", 1)[-1] or ".applications" in info.name:
            continue
        try:
            module = importlib.import_module(info.name)
        except Exception:  # A backend that is not installed.
            continue
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__.startswith(f"{package}.")
            if own and not name.startswith("_") and {base.__name__ for base in value.__mro__} & set(BASES):
                found.add(value.__name__)
    return found


def former_names() -> set[str]:
    """Class names of earlier releases that tf_keras still takes, and `Custom>Adam`, as it calls its own optimizers."""
    from tf_keras.src.layers import serialization
    from tf_keras.src.saving import object_registration

    serialization.populate_deserializable_objects()
    own = {name for name, value in serialization.LOCAL.ALL_OBJECTS.items() if inspect.isclass(value)}
    return own | set(object_registration._GLOBAL_CUSTOM_OBJECTS)


def main() -> None:
    """Writes the table for the installed packages."""
    table = {}
    for package in ("tf_keras", "keras"):
        names = public_names(package) | class_names(f"{package}.src")
        names |= former_names() if package == "tf_keras" else set()
        kept = (name for name in names if name.removeprefix("Custom>").isidentifier() and name not in FOREIGN)
        table[package] = sorted(kept)
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()

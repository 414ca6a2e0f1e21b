"""Writes migrate/checks/keras_classes.json: the classes and functions that Keras itself has, by package.

    python tools/make_keras_classes.py

A config names classes; one that is not in the table is the user's. The table holds what the public namespaces offer
and, by its own name, every layer, operation and initializer of the package, since configs name those too (`Functional`,
`TFOpLambda`, `GetItem`), and the other names under which each package itself looks them up (`mse`). Layers that run
foreign code or load another file are left out on purpose. An argument that may be the name of a file stops the script
until somebody has read what the class does with it.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from migrate.checks.keras_needs import FILE_SETTINGS

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
FOREIGN = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "ModuleWrapper", "ReloadedLayer"}
# Packages whose `ALL_OBJECTS_DICT` or `LOCAL.ALL_OBJECTS` says by what names their `get` finds a class or function.
LOOKED_UP = ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers")
FILE_LIKE = re.compile("file|path|(^|_)dir|folder|url|vocab|asset|ckpt|checkpoint")
# Arguments that are no names of files although they look so: a dtype, a number, how many beams.
NO_FILES = {"vocabulary_dtype", "vocabulary_size", "top_paths"}


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


def looked_up_names(package: str) -> set[str]:
    """Names that the package's own `get` functions take."""
    found: set[str] = set()
    for name in LOOKED_UP:
        module = importlib.import_module(f"{package}.src.{name}")
        found |= set(getattr(module, "ALL_OBJECTS_DICT", {}))
        if hasattr(module, "LOCAL"):
            module.get("zeros")  # Fills LOCAL.
            found |= set(module.LOCAL.ALL_OBJECTS)
    return found


def tensorflow_activations() -> set[str]:
    """Functions of TensorFlow that tf_keras takes for activations beside its own: `relu6` of MobileNet is one."""
    from tf_keras.src import activations

    functions = {name: value for name, value in vars(activations).items() if inspect.isfunction(value)}
    return {n for n, f in functions.items() if f.__module__.startswith("tensorflow.python.ops.nn")} - HELPERS


def file_arguments(package: str, names: set[str]) -> dict[str, set[str]]:
    """Arguments that may name a file, each with the classes of the table that take it."""
    root = importlib.import_module(f"{package}.src")
    found: dict[str, set[str]] = {}
    for info in pkgutil.walk_packages(root.__path__, f"{package}.src."):
        for name, value in vars(sys.modules.get(info.name, root)).items():
            if name not in names or not inspect.isclass(value):
                continue
            for base in value.__mro__:
                try:
                    parameters = inspect.signature(base.__init__).parameters
                except (TypeError, ValueError):
                    continue
                for argument in filter(FILE_LIKE.search, parameters):
                    found.setdefault(argument, set()).add(name)
    return found


def main() -> None:
    """Writes the table for the installed packages."""
    table = {}
    for package in ("tf_keras", "keras"):
        names = public_names(package) | class_names(f"{package}.src")
        names |= former_names() | tensorflow_activations() if package == "tf_keras" else set()
        names |= looked_up_names(package)
        kept = {name for name in names if name.removeprefix("Custom>").isidentifier() and name not in FOREIGN}
        unknown = {a: c for a, c in file_arguments(package, kept).items() if a not in (*FILE_SETTINGS, *NO_FILES)}
        if unknown:
            raise SystemExit(f"{package}: arguments that may name a file, which nobody has judged: {unknown}")
        # tf_keras looks a function up in `builtins`, too.
        table[package] = sorted(kept - set(dir(builtins)))
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()

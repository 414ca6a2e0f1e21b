"""What the inputs and outputs of a signature are called in the functions that carry them.

A SignatureDef, which Session and model server clients read, carries any name. A Python function does not: while
TensorFlow exports, an argument must be an identifier; in a loaded function it may be any text but a Python keyword,
once the files say so (`patch.py`).
"""

from __future__ import annotations

import dataclasses
import keyword
import re
from collections.abc import Iterable, Mapping

from migrate.records import Signature, TensorSpec

SPARSE_PARTS = ("indices", "values", "dense_shape")
"""A SparseTensor's dense parts, in the order of `tf.SparseTensor`."""


@dataclasses.dataclass(frozen=True)
class Names:
    """The names of one signature.

    Attributes:
      arguments: input name -> argument name of the loaded function, or for a sparse input part -> argument name.
      results: the same for outputs.
      exported: argument name of the loaded function -> its name while TensorFlow exports.
    """

    arguments: Mapping[str, str | Mapping[str, str]]
    results: Mapping[str, str | Mapping[str, str]]
    exported: Mapping[str, str]


def name_all(signature: Signature) -> Names:
    """Chooses the names of a signature's function: the source's own wherever they can be had."""
    arguments = _spread(signature.inputs, {name: _callable(name, signature.inputs) for name in signature.inputs})
    final = flat(arguments)
    exported = {name: name for name in final}
    if not all(map(_is_identifier, final)):
        # TensorFlow orders a function's inputs by name, before the renaming and after it, so the order must not change.
        exported = {name: f"argument_{position:05d}" for position, name in enumerate(sorted(final))}
    return Names(arguments, _spread(signature.outputs, {name: name for name in signature.outputs}), exported)


def flat(names: Mapping[str, str | Mapping[str, str]]) -> list[str]:
    """Argument or result names in the order of a run's tensors."""
    return [n for name in names.values() for n in ([name] if isinstance(name, str) else name.values())]


def _spread(specs: Mapping[str, TensorSpec], own: Mapping[str, str]) -> dict[str, str | Mapping[str, str]]:
    taken = {own[name] for name, spec in specs.items() if spec.encoding != "coo_sparse"}
    found: dict[str, str | Mapping[str, str]] = {}
    for name, spec in specs.items():
        if spec.encoding != "coo_sparse":
            found[name] = own[name]
            continue
        parts = {}
        for part in SPARSE_PARTS:
            parts[part] = _free(f"{name}_{part}", taken)
            taken.add(parts[part])
        found[name] = parts
    return found


def _callable(name: str, others: Iterable[str]) -> str:
    """`name`, if `loaded.signatures[key](**{name: value})` can work, else one like it.

    TensorFlow's FunctionType takes no Python keyword for a parameter (function_type.py), and `self` is the concrete
    function itself.
    """
    if not keyword.iskeyword(name) and name != "self":
        return name
    return _free(f"input_{name}", others)


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _is_identifier(name: str) -> bool:
    # TensorFlow renames what is not ASCII.
    return re.fullmatch(r"[A-Za-z_]\w*", name, flags=re.ASCII) is not None and not keyword.iskeyword(name)

"""Which signature input names a loaded function can be called with."""

from __future__ import annotations

import keyword


def callable_name(name: str) -> bool:
    """Whether `loaded.signatures[key](**{name: value})` can work.

    TensorFlow's FunctionType takes no Python keyword for a parameter (function_type.py), and `self` is the concrete
    function itself. The SignatureDef, which Session and model server clients read, carries any name.
    """
    return not keyword.iskeyword(name) and name != "self"

"""Frozen dataclasses that are cheap to define."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        """Replaces typing's, which is there from Python 3.11 on and does nothing when it runs."""
        return lambda function: function


Made = TypeVar("Made")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[Made]) -> type[Made]:
    """Makes a class what `dataclasses.dataclass(frozen=True)` makes of it, at a quarter of the cost.

    dataclasses compiles six methods for a class. Here `__init__` is compiled, and all classes share the others. A
    method that a class brings along stays. Unlike in dataclasses a subclass is frozen as well, and fields cannot leave
    comparison or text.
    """
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    made = dataclasses.dataclass(init=False, eq=False, repr=False)(cls)
    made._frozen_values = _getter(_names(made))  # type: ignore[attr-defined]
    made.__init__ = _init(made)  # type: ignore[method-assign]
    return made


_MADE = object()
"""What a parameter holds that was not given, whose value is made anew for each object."""


def _init(cls: Any) -> Callable[..., None]:
    """The `__init__` that dataclasses gives a class, which does not ask `__setattr__` for each field."""
    fields = dataclasses.fields(cls)
    names: dict[str, object] = {"_made": _MADE}  # No field begins so.
    parameters, lines = ["self"], ["_held = self.__dict__"]
    for number, field in enumerate(fields):
        value = field.name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{number}"] = field.default
            parameters.append(f"{field.name}=_default_{number}")
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{number}"] = field.default_factory
            parameters.append(f"{field.name}=_made")
            value = f"_make_{number}() if {field.name} is _made else {field.name}"
        else:
            parameters.append(field.name)
        lines.append(f"_held[{field.name!r}] = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n ".join(lines)
    exec(f"def __init__({', '.join(parameters)}):\n {body}", names)  # As dataclasses does.
    made: Any = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return made  # type: ignore[no-any-return]


def _names(cls: Any) -> list[str]:
    """Its fields. A ClassVar is none: it is the class's own, and a subclass may have another value of it."""
    return [field.name for field in dataclasses.fields(cls)]


def _getter(names: Sequence[str]) -> Callable[[object], tuple[object, ...]]:
    """Gives a function of a record that returns the tuple of its values."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple([getattr(record, name) for name in names])


def _eq(self: Any, other: Any) -> bool:
    cls = self.__class__
    return bool(cls._frozen_values(self) == cls._frozen_values(other)) if other.__class__ is cls else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__class__._frozen_values(self))


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in _names(type(self)))
    return f"{type(self).__qualname__}({fields})"


def _setattr(self: Any, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {"__eq__": _eq, "__hash__": _hash, "__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr}

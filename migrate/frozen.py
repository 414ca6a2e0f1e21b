"""Frozen dataclasses that are cheap to define."""

from __future__ import annotations

import dataclasses
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

    dataclasses compiles six methods for a class, which for all the classes of an audit was a third of its time. Here
    it compiles `__init__`, and the others are functions that all classes share. A method that a class brings along
    stays. Unlike in dataclasses a subclass is frozen as well, and fields cannot leave comparison or text.
    """
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return dataclasses.dataclass(eq=False, repr=False)(cls)


def _values(self: Any) -> tuple[object, ...]:
    return tuple([getattr(self, name) for name in self.__dataclass_fields__])


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
    return f"{type(self).__qualname__}({fields})"


def _setattr(self: Any, name: str, value: object) -> None:
    held = self.__dict__
    if name in held or name not in self.__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    held[name] = value  # By `__init__`, which alone meets an object without its values.


def _delattr(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {"__eq__": _eq, "__hash__": _hash, "__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr}

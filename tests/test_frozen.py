"""`frozen` against what it stands for: `dataclasses.dataclass(frozen=True)`."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.frozen import frozen


def _pair(decorate: Callable[[type], type]) -> tuple[type, type]:
    @decorate
    class Base:
        """A class with all that the house uses."""

        name: str
        size: object = 0
        parts: Mapping[str, int] = dataclasses.field(default_factory=dict)
        kind: ClassVar[str] = "base"

        @property
        def double(self) -> Any:
            return self.size * 2

    class Derived(Base):
        """One that adds no field, as outcomes do."""

        kind = "derived"

    return Base, Derived


OURS = _pair(frozen)
THEIRS = _pair(dataclasses.dataclass(frozen=True))


@frozen
class Pickled:
    """Pickle finds only what stands in a module."""

    name: str
    size: int = 0


VALUES = st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.tuples(st.integers()), st.lists(st.integers()))


def _outcome(do: Callable[[], object]) -> object:
    try:
        return do()
    except Exception as error:
        return type(error), str(error).replace("Base.", "")


@given(st.integers(0, 1), st.integers(0, 1), st.text(), VALUES, st.text(), VALUES)
def test_comparison_hash_and_text_are_those_of_dataclasses(
    first: int, second: int, name: str, size: object, other_name: str, other_size: object
) -> None:
    answers = []
    for classes in (OURS, THEIRS):
        a, b = classes[first](name, size), classes[second](other_name, other_size)
        hashable = classes[first](name, size, ())
        answers.append(
            [
                a == b,
                a != b,
                a == copy.copy(a),
                a == (name, size, {}),
                repr(a),
                _outcome(lambda a=a: hash(a)),
                _outcome(lambda hashable=hashable: hash(hashable)),
                dataclasses.asdict(a),
                repr(dataclasses.replace(a, name=other_name)),
            ]
        )
    # NaN in two objects: the same in both, so equal texts stand for equal answers.
    assert repr(answers[0]) == repr(answers[1])


@pytest.mark.parametrize(
    "do",
    [
        lambda cls: cls(),
        lambda cls: cls("a", 1, {}, 2),
        lambda cls: cls("a", other=1),
        lambda cls: cls("a", name="b"),
        lambda cls: setattr(cls("a"), "name", "b"),
        lambda cls: setattr(cls("a"), "double", 1),
        lambda cls: setattr(cls("a"), "other", 1),
        lambda cls: delattr(cls("a"), "name"),
    ],
)
def test_what_dataclasses_refuses_is_refused_with_its_words(do: Callable[[type], object]) -> None:
    ours, theirs = (_outcome(lambda cls=classes[0]: do(cls)) for classes in (OURS, THEIRS))
    assert ours == theirs
    assert isinstance(ours, tuple)
    assert issubclass(ours[0], (TypeError, AttributeError))


def test_each_object_has_a_default_of_its_own() -> None:
    assert OURS[0]("a").parts is not OURS[0]("a").parts


def test_a_subclass_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OURS[1]("a").name = "b"


def test_pickled_and_copied_objects_are_equal_and_frozen() -> None:
    made = Pickled("a", 1)
    for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert other == made
        assert hash(other) == hash(made)
        with pytest.raises(dataclasses.FrozenInstanceError):
            other.size = 2


def test_a_method_that_a_class_brings_along_stays() -> None:
    @frozen
    class Same:
        name: str
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    made = Same("a")
    assert made != Same("a")
    assert {made} == {made}
    assert repr(made).endswith("Same(name='a')")


@pytest.mark.parametrize("names", [(), ("size",), ("size", "other")])
def test_records_of_any_number_of_fields_are_compared_by_all_of_them(names: tuple[str, ...]) -> None:
    def record(decorate: Callable[[type], type]) -> type:
        return decorate(type("Record", (), {"__annotations__": dict.fromkeys(names, "int")}))

    ours, theirs = record(frozen), record(dataclasses.dataclass(frozen=True))
    values = tuple(range(len(names)))
    assert ours(*values) == ours(*values)
    assert hash(ours(*values)) == hash(theirs(*values)) == hash(values)
    for at in range(len(names)):
        assert ours(*values) != ours(*values[:at], -1, *values[at + 1 :])
    assert ours(*values) != record(frozen)(*values), "of another class"


def test_a_field_may_have_any_name() -> None:
    @frozen
    class Record:
        """Names that the methods of a record have for other things."""

        held: int
        value: object = None
        made: list[int] = dataclasses.field(default_factory=list)
        cls: int = 3

    record = Record(1, 2)
    assert (record.held, record.value, record.made, record.cls) == (1, 2, [], 3)
    assert Record(1).made is not Record(1).made


@pytest.mark.parametrize("number", [0, 1])
def test_a_class_variable_is_no_field_and_is_the_subclass_own(number: int) -> None:
    ours, theirs = OURS[number]("a"), THEIRS[number]("a")
    assert vars(ours) == vars(theirs) == {"name": "a", "size": 0, "parts": {}}
    assert ours.kind == theirs.kind == ("base", "derived")[number]
    assert inspect.signature(OURS[number]).parameters.keys() == inspect.signature(THEIRS[number]).parameters.keys()

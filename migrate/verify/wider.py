"""Makes calls with values that an ordinary request does not have, from calls that the source has accepted."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from migrate.frozen import frozen
from migrate.records import Shape
from migrate.verify import payloads
from migrate.verify.call_rows import inner_shapes, joined_rows, repeated_rows, row_count, row_size, rows_between
from migrate.verify.calls import Array, Call, SparseValue, Value, Wider
from migrate.verify.images import HIGH_PARTS, PARTS
from migrate.verify.uses import Uses
from migrate.verify.wider_values import (
    NO_TEXTS,
    TEXTS,
    as_strings,
    edges,
    evenly_spread,
    filled,
    float_range,
    for_all,
    in_parts,
    range_of,
    with_first,
)

MOST_ROWS = 1 << 15
"""Of one call, whatever it costs."""
_MANY = 65
"""No multiple of what a graph might work in blocks of."""
_FEW = (4, 5, 8)
_MOST_VALUES = 1 << 20
_MOST_ALONE = 8
_LENGTH = re.compile(r"(^|[/_.])(seq(uence)?_?)?(len(gth)?s?|seq_len\w*)($|[/_.:])", re.IGNORECASE)


@frozen
class Facts:
    """What is known of an input.

    Attributes:
      tensor: its name; two inputs on one tensor have one value.
      shapes: alternatives; a dimension that is open is None. An unknown rank has several.
      uses: what the graph does with its values.
      words: what a string is looked up in, or empty.
      is_text: a string without a form of its own.
      always: whether it has one value in every ordinary call.
    """

    tensor: str
    shapes: tuple[Shape, ...]
    uses: Uses = Uses()
    words: tuple[bytes, ...] = ()
    is_text: bool = False
    always: bool = False

    def dimensions(self, rank: int) -> tuple[int | None, ...]:
        """The shape of a rank, by which dimensions are open."""
        known = [shape for shape in self.shapes if shape is not None and len(shape) == rank]
        return known[0] if known else (None,) * rank


class _Seed:
    """The accepted calls as rows, of which calls of any number of rows are made."""

    def __init__(self, calls: Sequence[Call], facts: Mapping[str, Facts], most_rows: int) -> None:
        self.first = calls[0]
        self.facts = facts
        self.open = [name for name, value in self.first.inputs.items() if _is_open(value, facts[name])]
        sizes = {row_count(self.first.inputs[name]) for name in self.open}
        # Inputs of different first dimensions have no rows in common.
        if len(sizes) != 1:
            self.open = []
        self.batch = sizes.pop() if len(sizes) == 1 else 0
        self.most_rows = max(1, most_rows)
        alike = [call for call in calls if inner_shapes(call, self.open) == inner_shapes(self.first, self.open)]
        self._pool = {name: joined_rows([call.inputs[name] for call in alike]) for name in self.open}
        batches = [row_count(call.inputs[self.open[0]]) for call in calls] if self.open else []
        self.unit = math.gcd(*batches) if batches else 1

    def count(self, wanted: int) -> int:
        """How many rows a call gets of which so many are wanted."""
        if not self.open:
            return self.batch
        most = self.most_rows // self.unit * self.unit
        return max(self.unit, min(-(-wanted // self.unit) * self.unit, most))

    def call(self, rows: int, given: Mapping[str, Value] | None = None) -> Call:
        """A call of so many ordinary rows, but for the inputs that are given."""
        inputs: dict[str, Value] = {}
        by_tensor = {self.facts[name].tensor: value for name, value in (given or {}).items()}
        for name, value in self.first.inputs.items():
            if self.facts[name].tensor in by_tensor:
                inputs[name] = by_tensor[self.facts[name].tensor]
            elif name in self.open:
                inputs[name] = repeated_rows(self._pool[name], rows)
            else:
                inputs[name] = value
        return Call(self.first.signature, inputs)

    def halves(self, call: Call) -> tuple[Call, ...]:
        """A call's first rows and its last ones; nothing where it has no rows that can be parted."""
        rows = row_count(call.inputs[self.open[0]]) if self.open else 0
        middle = max(self.unit, rows // 2 // self.unit * self.unit)
        if rows <= middle:
            return ()
        return tuple(
            Call(call.signature, {n: rows_between(v, *part) if n in self.open else v for n, v in call.inputs.items()})
            for part in ((0, middle), (middle, rows))
        )

    def shape(self, name: str, rows: int) -> tuple[int, ...]:
        """The shape of a dense input in a call of so many rows."""
        value = self.first.inputs[name]
        assert not isinstance(value, SparseValue)
        return (rows, *value.shape[1:]) if name in self.open else value.shape

    def ordinary(self, name: str, rows: int) -> Array:
        """The input's values in an ordinary call."""
        value = self._pool[name] if name in self.open else self.first.inputs[name]
        found = repeated_rows(value, rows) if name in self.open else value
        assert not isinstance(found, SparseValue)
        return found

    def dense(self, kinds: str, is_free: bool = True) -> list[str]:
        """Names of the dense inputs whose values may be chosen, by numpy's letters for kinds of dtypes."""
        return [
            name
            for name, value in self.first.inputs.items()
            if not isinstance(value, SparseValue)
            and value.dtype.kind in kinds
            and value.size
            and not (is_free and (self.facts[name].always or self.is_length(name)))
        ]

    def is_length(self, name: str) -> bool:
        """Whether an input says how much of another one counts."""
        return is_length(name, self.first.inputs[name], self.facts[name].uses)


def wider(facts: Mapping[str, Facts]) -> Callable[[Sequence[Call], int], Iterator[Wider]]:
    """Makes the function that makes the calls; the same arguments give the same calls in every process.

    Args:
      facts: of each input, by name.
    """

    def make(calls: Sequence[Call], most_rows: int) -> Iterator[Wider]:
        if not calls or not calls[0].inputs:
            return
        seed = _Seed(calls, facts, most_rows)
        for kind in _KINDS:
            yield from kind(seed)

    return make


# Kinds of calls, each a function of what is accepted


def _batches(seed: _Seed) -> Iterator[Wider]:
    """No row, and two."""
    if seed.open:
        yield Wider("batch of 0", seed.call(0))
        yield Wider("batch of 2", seed.call(2), (seed.call(2 * seed.unit),) if seed.unit not in (1, 2) else ())


def _edges(seed: _Seed) -> Iterator[Wider]:
    """Values about the numbers with which the graph compares its inputs; other finite ones."""
    names = [name for name in seed.dense("fiub") if name in seed.open or not seed.open]
    values = {name: edges(_dtype(seed, name), seed.facts[name].uses) for name in names}
    longest = max((len(v) for v in values.values()), default=0)
    if longest:

        def call(rows: int) -> Call:
            return seed.call(rows, {n: filled(v, seed.shape(n, rows)) for n, v in values.items()})

        rows = seed.count(next((size for size in (*_FEW, _MANY) if size >= longest), _MANY))
        fewer = seed.count(min(rows, longest))
        yield Wider("edges", call(rows), (call(fewer),) if fewer < rows else (), apart=seed.halves)
    for name in seed.dense("fiu"):
        uses = seed.facts[name].uses
        # A sum of several values, or one value for all rows: a row of its own does not show what is beyond.
        if uses.constants and (uses.reduced or name not in seed.open):
            rows = seed.count(1)
            for value in for_all(_dtype(seed, name), uses, math.prod(seed.shape(name, rows))):
                yield Wider("a number that the graph compares with", seed.call(rows, {name: _full(seed, name, value)}))


def _many(seed: _Seed) -> Iterator[Wider]:
    """Many rows: all ids and all words where they fit, else those that are evenly spread, the last one included."""
    if not seed.open:
        given = _spread(seed, seed.batch)
        if given:
            yield Wider("spread", seed.call(seed.batch, given))
        return
    wanted = _MANY
    for name in seed.open:
        value = seed.first.inputs[name]
        choices = _choices(seed, name)
        width = max(1, value.size // max(1, seed.batch)) if not isinstance(value, SparseValue) else 1
        if choices and math.ceil(choices / width) <= MOST_ROWS:
            wanted = max(wanted, math.ceil(choices / width))
    wanted = seed.count(wanted)
    while wanted > _MANY and any(
        row_size(seed.first.inputs[name], seed.batch) * wanted > _MOST_VALUES for name in seed.open
    ):
        wanted = seed.count(wanted // 2)
    yield Wider("many rows", seed.call(wanted, _spread(seed, wanted)), apart=seed.halves)


def _sizes(seed: _Seed) -> Iterator[Wider]:
    """Another size of the inner dimensions that are open."""
    given: dict[str, Value] = {}
    rows = seed.count(5)
    for name, value in seed.first.inputs.items():
        if isinstance(value, SparseValue) or value.ndim < 2 or not value.size:
            continue
        dims = seed.facts[name].dimensions(value.ndim)
        if None in dims[1:]:
            other = [
                2 * s + 1 if d is None and axis else s
                for axis, (s, d) in enumerate(zip(value.shape, dims, strict=True))
            ]
            given[name] = np.resize(value, (rows if name in seed.open else value.shape[0], *other[1:]))
    if given:
        yield Wider("another inner size", seed.call(rows, given))


def _lengths(seed: _Seed) -> Iterator[Wider]:
    """Lengths from nothing to all of what they are about."""
    names = [name for name in seed.first.inputs if seed.is_length(name)]
    time = time_of(seed.first, names)
    if names and time is not None:
        rows = seed.count(4)
        lengths = np.array([time, 0, 1, time - 1, time // 2])
        given: dict[str, Value] = {}
        for name in names:
            given[name] = np.resize(lengths, seed.shape(name, rows)).astype(_dtype(seed, name))
        yield Wider("lengths", seed.call(rows, given), apart=seed.halves)


def is_length(name: str, value: Value, uses: Uses) -> bool:
    """Whether an input says how much of another one counts, by what the graph does with it or by its name."""
    if isinstance(value, SparseValue) or value.dtype.kind not in "iu" or value.ndim > 1:
        return False
    return uses.is_length or bool(_LENGTH.search(name))


def time_of(call: Call, lengths: Iterable[str]) -> int | None:
    """The second dimension that the inputs have in common which lengths may be about; None where there is none."""
    apart = set(lengths)
    times = [
        value.shape[1]
        for name, value in call.inputs.items()
        if name not in apart and not isinstance(value, SparseValue) and value.ndim >= 2 and value.shape[1]
    ]
    return min(times, default=None)


def _text(seed: _Seed) -> Iterator[Wider]:
    """Strings that are empty, long, not English, no UTF-8."""
    names = [name for name in seed.dense("O") if seed.facts[name].is_text]
    if not names:
        return

    def call(texts: Sequence[bytes]) -> Call:
        rows = seed.count(len(texts))
        return seed.call(rows, {name: filled(as_strings(texts), seed.shape(name, rows)) for name in names})

    room = min(math.prod(seed.shape(name, seed.count(len(TEXTS) + len(NO_TEXTS)))) for name in names)
    for texts in in_parts((*TEXTS, *NO_TEXTS), room):
        valid = tuple(text for text in texts if text in TEXTS)
        others = [call((text,)) for text in texts if text not in TEXTS] if valid else []
        yield Wider("text", call(texts), (call(valid), *others) if others else ())


def _payloads(seed: _Seed) -> Iterator[Wider]:
    """Images in every format; examples without a feature."""
    for name in seed.dense("O"):
        if seed.facts[name].is_text:
            continue
        strings = [bytes(text) for text in seed.ordinary(name, min(8, seed.most_rows)).ravel().tolist()]
        for kind, others in payloads.others(strings[0]).items() if strings else ():

            def call(texts: Sequence[bytes], name: str = name) -> Call:
                rows = seed.count(len(texts))
                return seed.call(rows, {name: filled(as_strings(texts), seed.shape(name, rows))})

            room = math.prod(seed.shape(name, seed.count(min(len(others), _MANY))))
            for part in in_parts(others, room):
                alone = tuple(call((text,)) for text in part[:_MOST_ALONE])
                is_border = kind.startswith((PARTS, HIGH_PARTS))
                yield Wider(kind, call(part), alone if len(part) > 1 else (), is_border=is_border)


def _columns(seed: _Seed) -> Iterator[Wider]:
    """Sparse rows of several values, and of none."""
    given: dict[str, Value] = {}
    rows = seed.count(4)
    for name, value in seed.first.inputs.items():
        if not isinstance(value, SparseValue) or len(value.dense_shape) < 2 or not value.values.size:
            continue
        shape = value.dense_shape.copy()
        if name in seed.open:
            shape[0] = rows
        dims = seed.facts[name].dimensions(len(shape))
        if dims[1] is None:
            shape[1] = max(shape[1], 3)
        # Row 0 has two values, row 1 one in the last column, row 2 none, and so on.
        cells = [
            (row, column)
            for row in range(int(shape[0]))
            for column in ((0, 1) if row % 3 == 0 else (int(shape[1]) - 1,) if row % 3 == 1 else ())
            if column < shape[1]
        ]
        indices = np.zeros((len(cells), len(shape)), np.int64)
        if cells:
            indices[:, :2] = cells
        given[name] = SparseValue(indices, np.resize(value.values, len(cells)), shape)
    if given:
        yield Wider("several values of a sparse row", seed.call(rows, given))


def _flags(seed: _Seed) -> Iterator[Wider]:
    """Bools that have one value in every other call: whether the model is trained."""
    names = [name for name in seed.dense("b", is_free=False) if seed.facts[name].always]
    for name in names:
        value = seed.ordinary(name, seed.batch)
        for rows in (3, 1):
            yield Wider("training", seed.call(seed.count(rows), {name: np.asarray(value == np.False_)}))


def _not_finite(seed: _Seed) -> Iterator[Wider]:
    """NaN, infinities and the largest numbers, each in rows of their own; numbers below the smallest normal one."""
    names = [name for name in seed.dense("f") if not seed.facts[name].uses.is_bounded]
    if not names:
        return
    rows = seed.count(8 if len(names) == 1 else 12)
    given: dict[str, Value] = {}
    alone: list[Call] = []
    for number, name in enumerate(names):
        info = float_range(_dtype(seed, name))
        special = [math.nan, math.inf, -math.inf, info[1], -math.sqrt(info[1])]
        values = np.array(seed.ordinary(name, rows))
        if name not in seed.open or rows < len(special):
            alone += [seed.call(rows, {name: with_first(values, value)}) for value in special]
            flat = values.reshape(-1)
            flat[: len(special)] = np.array(special[: flat.size])
        else:
            for row in range(rows):
                # Of several inputs, every other one is ordinary.
                if row // 6 % 2 == number % 2 and row % 6 < 5:
                    values[row] = special[row % 6]
                elif row % 6 == 5 and values.ndim > 1:
                    values[row].reshape(-1)[row % max(1, values[row].size)] = special[number % 3]
        given[name] = values
    yield Wider("not finite", seed.call(rows, given), tuple(alone), apart=seed.halves)
    rows = seed.count(4)
    small = {}
    for name in names:
        tiny = float_range(_dtype(seed, name))[0]
        small[name] = filled(
            np.array([tiny / 2, -tiny / 4, tiny, -0.0]).astype(_dtype(seed, name)), seed.shape(name, rows)
        )
    yield Wider("subnormal", seed.call(rows, small), apart=seed.halves)


def _beyond(seed: _Seed) -> Iterator[Wider]:
    """Whole numbers that are negative, beyond what they index, over int32."""
    for name in seed.dense("iu"):
        uses, dtype = seed.facts[name].uses, _dtype(seed, name)
        least, most = range_of(dtype)
        wanted = [*uses.rows[-1:], -1, 2**31 + 7, 1001, most, least] if uses.is_index else [1001, -7]
        if uses.is_bounded:
            continue
        values = list(dict.fromkeys(value for value in wanted if least <= value <= most))

        def call(numbers: Sequence[int], name: str = name, dtype: np.dtype[np.generic] = dtype) -> Call:
            rows = seed.count(len(numbers))
            ordinary = np.array(seed.ordinary(name, rows))
            if name in seed.open and rows >= len(numbers):
                # One number of a row, so that the others are looked up as ever.
                ordinary.reshape(rows, -1)[np.arange(len(numbers)), 0] = np.array(numbers, dtype)
            else:
                ordinary.reshape(-1)[: len(numbers)] = np.array(numbers, dtype)[: ordinary.size]
            return seed.call(rows, {name: ordinary})

        yield Wider("whole numbers beyond", call(values), tuple(call((value,)) for value in values[:4]))


def _branches(seed: _Seed) -> Iterator[Wider]:
    """One value for all of an input; one bool the other way; one string for all rows."""
    rows = seed.count(1)
    for name in seed.dense("fiubO", is_free=False):
        uses, dtype = seed.facts[name].uses, _dtype(seed, name)
        values: Sequence[object]
        if seed.is_length(name):
            continue
        if dtype.kind == "b":
            values = [True, False]
        elif dtype.kind == "O":
            values = [b"", *seed.facts[name].words[:4]]
        else:
            numbers = [
                *for_all(dtype, uses, math.prod(seed.shape(name, rows))),
                0,
                1,
                2,
                5,
                100,
                -1,
                -100,
                1e4,
                -1e4,
                1e6,
                -1e6,
            ]
            least, most = range_of(dtype) if dtype.kind in "iu" else (-math.inf, math.inf)
            values = [v for v in numbers if least <= v <= most and (abs(v) <= 100 or not uses.is_bounded)]
        for value in dict.fromkeys(values):
            filled = np.empty(seed.shape(name, rows), dtype)
            filled[...] = value
            yield Wider("a branch", seed.call(rows, {name: filled}), is_for_new=True)


_KINDS: tuple[Callable[[_Seed], Iterator[Wider]], ...] = (
    _batches,
    _edges,
    _many,
    _sizes,
    _lengths,
    _text,
    _payloads,
    _columns,
    _flags,
    _not_finite,
    _beyond,
    _branches,
)
"""What is finite and ordinary comes first."""

UNSETTLING = frozenset({"not finite", "subnormal"})
"""Kinds that are not asked of a model which keeps state: NaN in a variable hides whatever comes after it."""


# Values


def _full(seed: _Seed, name: str, value: float) -> Array:
    return np.full(seed.shape(name, seed.count(1)), value).astype(_dtype(seed, name))


def _choices(seed: _Seed, name: str) -> int:
    """How many ids or words an input may have."""
    facts = seed.facts[name]
    return len(facts.words) if facts.is_text else min(facts.uses.rows, default=0)


def _spread(seed: _Seed, rows: int) -> dict[str, Value]:
    """Ids and words from all over what they are looked up in; floats of every size."""
    given: dict[str, Value] = {}
    for name in seed.dense("fiuO"):
        facts, shape = seed.facts[name], seed.shape(name, rows)
        count, choices = math.prod(shape), _choices(seed, name)
        if count == 0:
            continue
        rng = np.random.default_rng(zlib.crc32(f"{facts.tensor} {rows}".encode()))
        dtype = _dtype(seed, name)
        if dtype.kind == "f":
            scale = 10.0 ** np.resize(np.array([0, 1, -2, 2, 0]), rows).reshape(-1, *[1] * (len(shape) - 1))
            floats = rng.standard_normal(shape)
            given[name] = (floats * scale if name in seed.open else floats).astype(dtype)
        elif choices:
            numbers = np.arange(count) % choices if count >= choices else evenly_spread(count, choices)
            if dtype.kind == "O":
                words = as_strings([facts.words[number] for number in numbers.tolist()])
                given[name] = words.reshape(shape)
            else:
                given[name] = numbers.astype(dtype).reshape(shape)
    return given


def _dtype(seed: _Seed, name: str) -> np.dtype[np.generic]:
    value = seed.first.inputs[name]
    assert not isinstance(value, SparseValue)
    return value.dtype


def _is_open(value: Value, facts: Facts) -> bool:
    if facts.always:
        return False
    rank = len(value.dense_shape) if isinstance(value, SparseValue) else value.ndim
    return rank > 0 and facts.dimensions(rank)[0] is None

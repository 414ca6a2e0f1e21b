"""Faults in data that no ordinary call reaches: rows, keys, lines, variables."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from testdata import calls as testdata_calls
from tools.mutate.candidate import Candidate
from tools.mutate.edits import Edit, at, const, ulp, weight
from tools.mutate.look import Answers, Files, Stored
from tools.mutate.records import Fault

_SERVE = "serving_default"
_X6 = np.random.RandomState(5).uniform(-9, 9, [200, 6]).astype(np.float32)
_fault = functools.partial(Fault, "unreached", blind=True)


def _ids(*values: int, signature: str = _SERVE) -> Answers:
    return Answers([(signature, {"ids": np.array(values, np.int64)})])


def _tokens(*values: bytes) -> Answers:
    return Answers([(_SERVE, {"tokens": np.array(values, object)})])


def _lines(edit: Callable[[list[bytes]], list[bytes]], name: str = "") -> Edit:
    """Changes the lines of an asset."""

    def plant(candidate: Candidate) -> None:
        path = candidate.asset(name)
        path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))

    return plant


def _line(number: int, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [*lines[:number], new, *lines[number + 1 :]]


def _swap(first: int, second: int) -> Callable[[list[bytes]], list[bytes]]:
    def edit(lines: list[bytes]) -> list[bytes]:
        lines[first], lines[second] = lines[second], lines[first]
        return lines

    return edit


def _word(number: int, new: bytes) -> Callable[[np.ndarray], list[bytes]]:
    def edit(value: np.ndarray) -> list[bytes]:
        words = list(value.ravel().tolist())
        words[number] = new
        return words

    return edit


def _ulp_at(*index: int) -> Callable[[np.ndarray], np.ndarray]:
    def edit(value: np.ndarray) -> np.ndarray:
        value[index] = ulp(value[index])
        return value

    return edit


def _swapped_rows(first: int, second: int) -> Callable[[np.ndarray], np.ndarray]:
    def edit(value: np.ndarray) -> np.ndarray:
        value[[first, second]] = value[[second, first]]
        return value

    return edit


def _negative_zero(value: np.ndarray) -> np.ndarray:
    value[3210] = -0.0
    return value


_COLOUR = testdata_calls.example


def _colour(candidate: Candidate) -> None:
    """Whatever holds the vocabulary: a file, or a constant."""
    for function in candidate.functions:
        for node in function.node_def:
            # Looking an attribute up adds it.
            tensor = node.attr["value"].tensor if node.op == "Const" else None
            if tensor is not None and b"green" in tensor.string_val:
                tensor.string_val[list(tensor.string_val).index(b"green")] = b"olive"
                return
    for path in sorted((candidate.path / "assets").iterdir()):
        data = path.read_bytes()
        if b"green\n" in data:
            path.write_bytes(data.replace(b"green\n", b"olive\n"))
            return
    raise LookupError("no vocabulary has green")


FAULTS = (
    _fault(
        "table-value-2900",
        "lookups",
        "A value of a constant table is another one.",
        const("values", at(2900)),
        _ids(8700),
    ),
    _fault(
        "table-value-ulp",
        "lookups",
        "A value of a constant table is one ulp larger.",
        const("values", _ulp_at(4321)),
        _ids(12963),
    ),
    _fault(
        "table-value-last",
        "lookups",
        "The last value of a constant table is another one.",
        const("values", at(4999)),
        _ids(14997),
    ),
    _fault(
        "table-value-first",
        "lookups",
        "The first value of a constant table is another one.",
        const("values", at(0)),
        _ids(0),
    ),
    _fault(
        "table-key-2900",
        "lookups",
        "A key of a constant table is another one.",
        const("keys", at(2900, by=1)),
        _ids(8700, 8701),
    ),
    _fault(
        "table-keys-swapped",
        "lookups",
        "Two keys of a constant table are swapped.",
        const("keys", _swapped_rows(2900, 2901)),
        _ids(8700),
    ),
    _fault(
        "matrix-4321", "lookups", "A row of a constant matrix is another one.", const("matrix", at(4321, 1)), _ids(4321)
    ),
    _fault(
        "matrix-ulp",
        "lookups",
        "A number of a constant matrix is one ulp larger.",
        const("matrix", _ulp_at(4321, 0)),
        _ids(4321),
    ),
    _fault(
        "matrix-row-17",
        "lookups",
        "A low row of a constant matrix is another one.",
        const("matrix", at(17, 0)),
        _ids(17),
    ),
    _fault(
        "matrix-rows-swapped",
        "lookups",
        "Two rows of a constant matrix are swapped.",
        const("matrix", _swapped_rows(3000, 3001)),
        _ids(3000),
    ),
    _fault(
        "embedding-4321", "lookups", "A row of a variable is another one.", weight("embedding", at(4321, 2)), _ids(4321)
    ),
    _fault(
        "embedding-ulp",
        "lookups",
        "A number of a variable is one ulp larger.",
        weight("embedding", _ulp_at(1234, 0)),
        _ids(1234),
    ),
    _fault(
        "embedding-rows-swapped",
        "lookups",
        "Two rows of a variable are swapped.",
        weight("embedding", _swapped_rows(7, 4998)),
        _ids(7),
    ),
    _fault(
        "embedding-nan",
        "lookups",
        "A number of a variable is NaN.",
        weight("embedding", at(4000, 1, by=float("nan"))),
        _ids(4000),
    ),
    _fault(
        "vocabulary-line-3000",
        "words",
        "A line of a vocabulary is another word.",
        _lines(_line(3000, b"other\n")),
        _tokens(b"word3000"),
    ),
    _fault(
        "vocabulary-line-5",
        "words",
        "A low line of a vocabulary is another word.",
        _lines(_line(5, b"other\n")),
        _tokens(b"word5"),
    ),
    _fault(
        "vocabulary-swapped",
        "words",
        "Two lines of a vocabulary are swapped.",
        _lines(_swap(3000, 3001)),
        _tokens(b"word3000"),
    ),
    _fault(
        "vocabulary-last",
        "words",
        "The last line of a vocabulary is another word.",
        _lines(_line(3999, b"other\n")),
        _tokens(b"word3999"),
    ),
    _fault(
        "vocabulary-longer",
        "words",
        "A vocabulary has one more line.",
        _lines(lambda lines: [*lines, b"more\n"]),
        _tokens(b"more", b"another", b"third"),
    ),
    _fault(
        "vocabulary-shorter",
        "words",
        "A vocabulary has one line less.",
        _lines(lambda lines: lines[:-1]),
        _tokens(b"word3999"),
    ),
    _fault(
        "vocabulary-crlf",
        "words",
        "A line of a vocabulary ends as in Windows.",
        _lines(_line(3500, b"word3500\r\n")),
        Files(["assets/tokens.txt"]),
    ),
    _fault(
        "vocabulary-blank",
        "words",
        "A line of a vocabulary ends with a blank.",
        _lines(_line(2900, b"word2900 \n")),
        _tokens(b"word2900"),
    ),
    _fault(
        "vocabulary-no-end",
        "words",
        "The last line of a vocabulary has no end.",
        _lines(lambda lines: [*lines[:-1], lines[-1][:-1]]),
        Files(["assets/tokens.txt"]),
    ),
    _fault(
        "bucket-weight",
        "words",
        "The weight of an unknown word is another one.",
        weight("weight", at(4002)),
        _tokens(*(b"unknown%d" % n for n in range(30))),
    ),
    _fault(
        "weight-3456", "words", "The weight of a word is another one.", weight("weight", at(3456)), _tokens(b"word3456")
    ),
    _fault(
        "label",
        "vocabulary",
        "A label is another word.",
        _lines(_line(1, b"verbs\n"), "vocab.txt_1"),
        _ids(0, 1, 2, signature="labels"),
    ),
    _fault("token", "vocabulary", "A word is another one.", _lines(_line(2, b"sits\n"), "vocab.txt"), _tokens(b"sat")),
    _fault(
        "class-name",
        "network",
        "The name of a class is another one.",
        const("names", _word(1, b"fish")),
        Answers([(_SERVE, {"x": _X6, "scale": np.array(-1.5, np.float32)})]),
    ),
    _fault(
        "class-names-swapped",
        "network",
        "The names of two classes are swapped.",
        const("names", lambda value: value[[0, 2, 1]]),
        Answers([(_SERVE, {"x": _X6, "scale": np.array(-1.5, np.float32)})]),
    ),
    _fault(
        "slice-row",
        "partitioned",
        "A row of the last slice is another one.",
        weight("embedding/part_2", at(2, 3)),
        _ids(9),
    ),
    _fault(
        "colour",
        "estimator_vocabulary_column",
        "A word of a column's vocabulary is another one.",
        _colour,
        Answers(
            [
                (
                    _SERVE,
                    {
                        "inputs": np.array(
                            [_COLOUR(age=[1.0], color=[n]) for n in (b"red", b"green", b"blue", b"mauve")], object
                        )
                    },
                )
            ]
        ),
    ),
    _fault(
        "embedding-of-clicks",
        "examples",
        "The last row of an embedding is another one.",
        weight("embedding", at(63, 2)),
        Stored("session"),
    ),
    _fault(
        "slot-of-optimizer",
        "training_adam",
        "A slot of the optimizer is another one.",
        weight("w/Adam", at(0, 0)),
        Stored("session"),
    ),
    _fault(
        "power-of-optimizer",
        "training_adam",
        "A power of the optimizer is another one.",
        weight("beta1_power", lambda value: value * 0.5),
        Stored("session"),
    ),
    _fault(
        "global-step",
        "training",
        "The global step is another one.",
        weight("global_step", lambda value: value + 1),
        Stored("session"),
    ),
    _fault("moving-mean", "network", "A moving mean is another one.", weight("norm/moving_mean", at(3)), Stored("tf2")),
    _fault("average", "moving_average", "The average is another one.", weight("w", at(0)), Stored("tf2")),
    _fault("zero-is-negative", "words", "A weight is -0.0.", weight("weight", _negative_zero), Stored("session")),
)

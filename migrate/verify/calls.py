"""The plain values that the parts of verifying hand to each other. Frozen, picklable, free of TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from migrate.frozen import frozen

Array = npt.NDArray[np.generic]

SPARSE_PARTS = ("indices", "values", "dense_shape")
"""The dense tensors of a sparse one, as answers and calls name them."""


@frozen
class SparseValue:
    """A sparse tensor, as `TensorInfo.CooSparse` (meta_graph.proto) describes it.

    Attributes:
      indices: int64 [values, rank], in row-major order.
      values: any dtype [values].
      dense_shape: int64 [rank].
    """

    indices: Array
    values: Array
    dense_shape: Array

    @property
    def parts(self) -> Mapping[str, Array]:
        """The three dense tensors by the names that `TensorInfo.CooSparse` has for them."""
        return {part: getattr(self, part) for part in SPARSE_PARTS}


Value = Array | SparseValue


@frozen
class Call:
    """One call of one signature.

    Attributes:
      signature: the signature's key.
      inputs: value by input name; strings are object arrays of bytes.
    """

    signature: str
    inputs: Mapping[str, Value]


@frozen
class CandidateCalls:
    """What may be asked of one signature; the source decides what it accepts.

    Attributes:
      signature: the signature's key.
      families: alternatives, best guess first: each is a set of calls that rests on one guess at what the
        graph leaves open (unknown sizes, content of strings). The first family of which a call succeeds is
        taken.
      derived: inputs that are no placeholders but computed in the graph. The source is asked for their
        natural values first, so that they fit the other inputs; the values in the calls serve where that
        fails.
      reason: why there are no families, or empty.
    """

    signature: str
    families: Iterable[tuple[Call, ...]]
    derived: tuple[str, ...] = ()
    reason: str = ""


@frozen
class Answer:
    """What a model answered to one call.

    Attributes:
      outputs: value by output name; a sparse output `s` is `s/indices`, `s/values` and
        `s/dense_shape`.
      error: class name of the error instead (`InvalidArgumentError`), or empty.
      message: the error's first line, or empty.
    """

    outputs: Mapping[str, Array]
    error: str = ""
    message: str = ""


@frozen
class Fingerprint:
    """A variable's value, by digest, so that golden answers of large models stay small.

    Attributes:
      dtype: TensorFlow's name of the dtype.
      shape: of the whole tensor.
      digest: BLAKE2b over the bytes in row-major order (for strings over lengths and bytes), in hex.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str


@frozen
class Golden:
    """The source's answers, taken before conversion.

    Attributes:
      calls: the sequence that was replayed, every call twice in a row, since a stateful model answers the
        second one differently.
      answers: to each call, from a fresh load.
      again: to each call, from further fresh loads; where it differs from `answers` the model is not
        deterministic.
      skipped: why a signature is not in `calls`, by signature key.
      variables: the source checkpoint's values by variable name.
      loader: `tensorflow` or, where TensorFlow's own loader refused the source, `lenient`.
      tf_version: version of the TensorFlow that answered.
      states: values after the calls of the variables that they may write, by variable name; without those on which the
        source contradicts itself.
    """

    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    again: tuple[Answer, ...]
    skipped: Mapping[str, str]
    variables: Mapping[str, Fingerprint]
    loader: str
    tf_version: str
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)

"""What the children of this package are asked, and what they answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from migrate.errors import first_line
from migrate.export.request import Request
from migrate.frozen import frozen
from migrate.records import Failed, Signature
from migrate.verify.calls import Answer, Call, Fingerprint

OPTIMISED = "tf2, optimised"
"""The path on which the graph optimiser is on; the others are compared bit for bit."""

PATHS = frozenset({"tf2", "session", OPTIMISED})
"""All of them."""


@frozen
class GoldenJob:
    """What the child needs to take golden answers from a source.

    Attributes:
      saved_model: directory that TensorFlow's own SavedModel loader takes, or None.
      meta_graph: the MetaGraphDef, serialized.
      signatures: what the calls call.
      checkpoint: what its restore op is fed with, or None.
      assets_dir: directory of its assets.
      calls: the user's calls; empty means that the child synthesises them.
      variables: (checkpoint key, slice spec or "") by variable name.
      seconds: what the child may spend on finding calls that the source accepts.
      feeds: what is fed in each call beside its inputs: TensorProtos, serialized, by full tensor name.
    """

    saved_model: str | None
    meta_graph: bytes
    signatures: tuple[Signature, ...]
    checkpoint: str | None
    assets_dir: str
    calls: tuple[Call, ...]
    variables: Mapping[str, tuple[str, str]]
    seconds: float
    feeds: Mapping[str, bytes]


@frozen
class KerasGoldenJob:
    """What the child needs to take golden answers from a Keras model.

    Attributes:
      request: what to load.
      inputs: path of the user's calls, or None to synthesise them.
      seconds: what the child may spend on finding calls that the model accepts.
    """

    request: Request
    inputs: str | None
    seconds: float


@frozen
class OptimisedJob:
    """What the child needs to ask a source once more with the graph optimiser on: `source.calls`, in order."""

    source: GoldenJob


@frozen
class CandidateJob:
    """What the child needs to replay calls on a candidate.

    Attributes:
      candidate_path: the TF2 SavedModel's directory.
      calls: in order.
      variables: names of the variables to read from the candidate's checkpoint.
      states: names of the variables to read after the calls.
      side_effects: whether its signatures may have effects outside the process.
      inline: whether a v1 Session runs its ops in the calling thread, see `replay._run`. That thread keeps denormal
        floats, which TensorFlow's own threads, and eager calls, flush to zero: the golden answers must be of that kind.
    """

    candidate_path: str
    calls: tuple[Call, ...]
    variables: tuple[str, ...]
    states: tuple[str, ...] = ()
    side_effects: bool = False
    inline: bool = True


@frozen
class CandidateResult:
    """The candidate's answers.

    Attributes:
      answers: by path (`tf2`, `session`, `OPTIMISED`), one a call.
      variables: values by variable name; None where the candidate does not say which key holds which
        variable.
      states: values of variables after the calls, by variable name; those that the candidate has.
      stale: fields of its fingerprint.pb that are of other bytes; a candidate without that file has none.
    """

    answers: Mapping[str, tuple[Answer, ...]]
    variables: Mapping[str, Fingerprint] | None
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    stale: tuple[str, ...] = ()


def step_failed(error: BaseException, what: str) -> Failed:
    """A `Failed` for an exception: what could not be done, the error's class and its first line."""
    return Failed(f"{what}: {type(error).__name__}: {first_line(error)}")

"""Runs one replay in a child process, and tells a crash, a time-out and a failure from an answer.

The jobs and results pass through pickles in a private temporary directory; nothing else reads or writes them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import migrate
from migrate.records import Crashed, Failed, Signature, TimedOut
from migrate.verify.calls import Answer, Call, Fingerprint

_MODULE = "migrate.verify.replay"
_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
# oneDNN picks its kernels by CPU and shape, and adds in another order than Eigen does: off, on both sides.
_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclasses.dataclass(frozen=True)
class GoldenJob:
    """What the child needs to take golden answers from a source.

    Attributes:
      source_path: the SavedModel's directory.
      tags: the MetaGraphDef's tag set.
      meta_graph: the MetaGraphDef, serialized.
      signatures: what the calls call.
      checkpoint: prefix of the checkpoint.
      calls: the user's calls; empty means that the child synthesises them.
      variables: (checkpoint key, slice spec or "") by variable name.
      seconds: what the child may spend on finding calls that the source accepts.
    """

    source_path: str
    tags: tuple[str, ...]
    meta_graph: bytes
    signatures: tuple[Signature, ...]
    checkpoint: str
    calls: tuple[Call, ...]
    variables: Mapping[str, tuple[str, str]]
    seconds: float


@dataclasses.dataclass(frozen=True)
class CandidateJob:
    """What the child needs to replay calls on a candidate.

    Attributes:
      candidate_path: the TF2 SavedModel's directory.
      calls: in order.
      variables: names of the variables to read from the candidate's checkpoint.
    """

    candidate_path: str
    calls: tuple[Call, ...]
    variables: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class CandidateResult:
    """The candidate's answers.

    Attributes:
      answers: by path (`tf2`, `session`), one a call.
      variables: values by variable name; None where the candidate does not say which key holds which
        variable.
    """

    answers: Mapping[str, tuple[Answer, ...]]
    variables: Mapping[str, Fingerprint] | None


def run_child(
    step: str, job: object, timeout_seconds: float, command: Sequence[str] = (sys.executable, "-m", _MODULE)
) -> Any:
    """Runs a job in a fresh process.

    Args:
      step: name of the step, for the report (`golden`, `candidate`).
      job: a picklable `GoldenJob` or `CandidateJob`.
      timeout_seconds: after which the child, and what it has started, is killed.
      command: the program, to which the path of the job's file is appended.

    Returns:
      what the child has answered (a `Golden`, a `CandidateResult`, or a `Failed` of its own making), or a
      `Crashed` or `TimedOut`. A child that ends well and leaves no result has crashed, too.
    """
    with tempfile.TemporaryDirectory(prefix="migrate-") as directory:
        job_file = os.path.join(directory, "job.pickle")
        with open(job_file, "wb") as file:
            pickle.dump(job, file)
        with open(os.path.join(directory, "stderr"), "w+b") as errors:
            # The output is the report's alone; a session of its own lets the whole family be killed at once.
            process = subprocess.Popen(
                [*command, job_file],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
            )
            try:
                exit_code = process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                return TimedOut(step, timeout_seconds)
            finally:
                _kill(process)
            tail = _tail(errors)
        result_file = job_file + ".result"
        if exit_code != 0 or not os.path.exists(result_file):
            return Crashed(step, exit_code, tail)
        with open(result_file, "rb") as file:
            return pickle.load(file)


def _environment() -> dict[str, str]:
    """The parent's, with this very package on the path (the working directory may be how it was found)."""
    here = os.path.dirname(os.path.dirname(os.path.realpath(migrate.__file__)))
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the child's process group; what it started must not outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(file: Any) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _TAIL_BYTES))
    lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-_TAIL_LINES:])


def step_failed(error: BaseException, what: str) -> Failed:
    """A `Failed` for an exception: what could not be done, the error's class and its first line."""
    return Failed(f"{what}: {type(error).__name__}: {first_line(error)}")


# Lines with which TensorFlow opens a message, and which say nothing about the cause.
_PREAMBLE = (
    "Graph execution error",
    "Detected at node",
    "Node: ",
    "Restoring from checkpoint failed",
    "Original stack",
)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that tells the cause, cut to 300 characters."""
    text = str(getattr(error, "message", "") or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = (line for line in lines if not line.startswith(_PREAMBLE))
    return next(telling, lines[0] if lines else "")[:300]

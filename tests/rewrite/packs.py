"""Several random programs in one model: a job that builds it, takes a v1 Session's answers and saves the conversion.

Most of a case's time goes into what does not depend on its size: processes, their eager contexts, saving and loading.
Each program has signatures, variables and calls of its own, so that nothing of one is in another's run.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.plan.plan import make_plan
from migrate.plan.records import PlanOptions
from tests.rewrite import differential, fresh, programs
from tests.rewrite.programs import Program

SIZE = 5
"""Programs in a model."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Programs to be built, and asked in a v1 Session."""

    programs: Sequence[Program]


@dataclasses.dataclass(frozen=True)
class Convert:
    """What `Source` has given, to be planned and saved at a path."""

    saved: bytes
    path: str


@dataclasses.dataclass(frozen=True)
class Converted:
    """What became of the signatures.

    Attributes:
      refused: codes of refusals by key.
      findings: messages of all findings.
    """

    refused: Mapping[str, str]
    findings: Sequence[str]


def outcomes(pack: Sequence[Program], allowed: frozenset[str]) -> list[str]:
    """Runs both sides of some programs.

    Args:
      pack: the programs.
      allowed: codes of refusals that they may meet.

    Returns:
      For each `equal`, or the code of a refusal.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model")
        source = _run("source", Source(pack))
        converted: Converted = pickle.loads(_run("export", Convert(source, path)))
        assert allowed.issuperset(converted.refused.values()), converted.findings
        saved: differential.Saved = pickle.loads(source)
        codes = [
            next((converted.refused[key] for key in programs.keys(program, number) if key in converted.refused), "")
            for number, program in enumerate(pack)
        ]
        # What a refused signature does to the variables, others of its program would see.
        asked = {
            key for number, program in enumerate(pack) if not codes[number] for key in programs.keys(program, number)
        }
        told = [(call, answer) for call, answer in zip(_calls(pack), saved.answers, strict=True) if call[0] in asked]
        golden = [answer for _, answer in told]
        assert not any(isinstance(answer, type) for answer in golden), golden
        if told:
            found = differential.differences(golden, differential.ask_saved(path, [call for call, _ in told]))
            assert not found, "\n".join(found)
    return [code or "equal" for code in codes]


def _run(step: str, job: Source | Convert) -> bytes:
    """A process for each: functions of the source are known to the one that builds it, by their names."""
    found = differential.nursery().run(step, "tests.rewrite.packs", job, bytes, 600.0)
    assert isinstance(found, bytes), found
    return found


def _calls(pack: Sequence[Program]) -> list[tuple[str, dict[str, Any]]]:
    return [call for number, program in enumerate(pack) for call in programs.calls(program, number)]


def run(job: Source | Convert) -> bytes:
    """A job; see there."""
    gc.disable()  # The process ends when the job does.
    if isinstance(job, Source):
        return pickle.dumps(differential.saved_graph(lambda: programs.build_all(job.programs), _calls(job.programs)))
    saved: differential.Saved = pickle.loads(job.saved)
    plan = make_plan(saved.meta_graph, options=PlanOptions(drop_signatures=True))
    kept = frozenset(signature.signature.key for signature in plan.signatures)
    refused: dict[str, str] = {}
    for key in set(saved.meta_graph.signature_def) - kept:
        refused[key] = min(f.code for f in plan.findings if f.message.startswith(f"signature {key!r} "))
    findings = [f.message for f in plan.findings]
    if kept:
        assert not plan.refused, findings
        fresh.save(plan, "", saved.values, saved.assets, job.path)
    return pickle.dumps(Converted(refused, findings))

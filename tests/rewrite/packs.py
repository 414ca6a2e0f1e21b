"""Several random programs in one model: a job that builds it, takes a v1 Session's answers and saves the conversion.

The conversion is proved as well, by what is on the disk.

Most of a case's time goes into what does not depend on its size: processes, their eager contexts, saving and loading.
Each program has signatures, variables and calls of its own, so that nothing of one is in another's run.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.graph.protos import SavedModel
from migrate.plan.plan import make_plan
from migrate.plan.records import PlanOptions
from migrate.proof.prove import Asked, Files, prove
from migrate.proof.records import NotProved, Proof
from tests.rewrite import differential, fresh, programs
from tests.rewrite.programs import Program

SIZE = 5
"""Programs in a model."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Programs to be built, and asked in a v1 Session.

    Attributes:
      programs: the programs.
      prefix: of the checkpoint that is written.
    """

    programs: Sequence[Program]
    prefix: str


@dataclasses.dataclass(frozen=True)
class Convert:
    """What `Source` has given, to be planned and saved at a path, with functional control flow or TF1's."""

    saved: bytes
    path: str
    functional: bool = False


@dataclasses.dataclass(frozen=True)
class Converted:
    """What became of the signatures.

    Attributes:
      refused: codes of refusals by key.
      findings: messages of all findings.
      codes: their codes.
    """

    refused: Mapping[str, str]
    findings: Sequence[str]
    codes: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one program.

    Attributes:
      code: `equal`, or the code of a refusal.
      outputs: how many outputs it has, with what its calls leave behind as one for each signature.
      not_proved: why some of them are not proved, a reason for each.
    """

    code: str
    outputs: int = 0
    not_proved: Sequence[str] = ()


def outcomes(pack: Sequence[Program], allowed: frozenset[str], functional: bool = False) -> list[Outcome]:
    """Runs both sides of some programs, and proves what is converted.

    Args:
      pack: the programs.
      allowed: codes of refusals that they may meet.
      functional: whether loops and conds become While and If.

    Raises:
      AssertionError: the sides differ, which says what is proved of them all the same; or the proof fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        path, prefix = os.path.join(directory, "model"), os.path.join(directory, "variables")
        source = _run("source", Source(pack, prefix))
        converted: Converted = pickle.loads(_run("export", Convert(source, path, functional)))
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
        if not told:
            return [Outcome(code) for code in codes]
        proof = _proof(saved, path, converted)
        proved = [_proved(proof, programs.keys(program, number)) for number, program in enumerate(pack)]
        found = differential.differences(golden, differential.ask_saved(path, [call for call, _ in told]))
        if found:
            wrong = [number for number, one in enumerate(proved) if not codes[number] and not one.not_proved]
            raise AssertionError("\n".join([*found, f"all of these programs is proved: {wrong}"]))
    return [Outcome(code) if code else one for code, one in zip(codes, proved, strict=True)]


def _proof(saved: differential.Saved, path: str, converted: Converted) -> Proof:
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        candidate = SavedModel.FromString(file.read()).meta_graphs[0]
    files = Files(saved.prefix, saved.assets)
    asked = Asked({}, frozenset(converted.refused), reads_data=True)
    proof = prove(saved.meta_graph, files, candidate, path, asked)
    assert not proof.problem, proof.problem
    return proof


def _proved(proof: Proof, keys: Sequence[str]) -> Outcome:
    """How much of a program is proved: nothing where loading is not, since calls begin with what it leaves."""
    results = [result for name, result in proof.outputs.items() if name.signature in keys]
    results += [proof.effects[key] for key in keys if key in proof.effects]
    if isinstance(proof.loading, NotProved):
        return Outcome("equal", len(results), [_reason(proof.loading)] * len(results))
    return Outcome("equal", len(results), [_reason(result) for result in results if isinstance(result, NotProved)])


def _reason(result: NotProved) -> str:
    """A reason without names and numbers, so that those of a kind can be counted."""
    why = re.sub(r"(\w+): [^:]* in the source, .* in the candidate", r"\1 differs", result.why)
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "...", why))


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
        calls = _calls(job.programs)
        made = differential.saved_graph(lambda: programs.build_all(job.programs), calls, job.prefix)
        return pickle.dumps(dataclasses.replace(made, prefix=job.prefix))
    saved: differential.Saved = pickle.loads(job.saved)
    plan = make_plan(saved.meta_graph, options=PlanOptions(drop_signatures=True, functional=job.functional))
    kept = frozenset(signature.signature.key for signature in plan.signatures)
    refused: dict[str, str] = {}
    for key in set(saved.meta_graph.signature_def) - kept:
        refused[key] = min(f.code for f in plan.findings if f.message.startswith(f"signature {key!r} "))
    findings = [f.message for f in plan.findings]
    if kept:
        assert not plan.refused, findings
        fresh.save(plan, saved.prefix, saved.values, saved.assets, job.path)
    return pickle.dumps(Converted(refused, findings, [f.code for f in plan.findings]))

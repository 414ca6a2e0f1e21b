"""A TF2 SavedModel as the model that gives the golden answers: `validate` compares a copy, or another export, with it.

Its SignatureDefs are asked in a v1 Session, as those of TF1 are; it is never exported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping

from migrate.graph.contract import signatures
from migrate.graph.op_table import added_ops
from migrate.model.file_checks import candidate_read
from migrate.model.proofs import proved
from migrate.model.session_answers import SessionAnswers
from migrate.model.steps import Steps
from migrate.model.tf2_study import TF2
from migrate.processes.forks import Runner
from migrate.records import Failed, Kind, Mismatched, ModelReport, Options, Signature, TensorSpec, Verification
from migrate.sources.files import digest_of
from migrate.sources.location import Location
from migrate.sources.read import read_source
from migrate.sources.source import Source, choose_meta_graph
from migrate.verify import Ending
from migrate.verify.contract import Files, contract_differences
from migrate.verify.model_files import is_copy


def tf2_steps(place: Location, path: str, options: Options, nursery: Runner) -> Steps:
    """How a TF2 SavedModel answers and is compared with.

    Args:
      place: where it is.
      path: what the user calls it.
      options: see `records.Options`.
      nursery: makes the child processes.

    Raises:
      InputError: it cannot be read, or has no such tag set.
    """
    source = read_source(place, path)
    meta_graph = choose_meta_graph(source, options.tags)
    answers = SessionAnswers(source, meta_graph, signatures(meta_graph))
    directory = os.path.dirname(source.file)
    files = Files(source.assets_dir, source.extra_dir, source.path, source.checkpoint)

    def export(staged: str, report: ModelReport, _: object) -> Ending:
        return Failed("a TF2 SavedModel is copied, not exported")

    return Steps(
        path,
        lambda: answers.golden(options, nursery),
        lambda _: contextlib.nullcontext(),
        export,
        lambda golden, candidate: as_copy(answers.replay(golden, candidate, options, nursery), directory, candidate),
        lambda candidate: contract_differences(meta_graph, files, candidate),
        lambda: digest_of(source.file, source.boundary),
        lambda candidate, is_run: proved(source, meta_graph, candidate, is_run),
    )


def as_copy(result: Verification | Ending, source: str, candidate: str) -> Verification | Ending:
    """What calls show of a candidate; without differences of one that is the source's files byte for byte.

    A Session and Python may answer with other bits, each with the same ones every time (so do the three layers of a
    Keras model of TensorFlow 2.3), and a fingerprint may have been stale before the model was copied.

    Args:
      result: of the calls.
      source: the source's directory.
      candidate: the candidate's.
    """
    if isinstance(result, Verification) and result.mismatches and is_copy(source, candidate):
        return dataclasses.replace(result, mismatches=())
    return result


def unsafe(report: ModelReport, options: Options) -> Failed | None:
    """Says that a TF2 SavedModel is not run, where it can do more than compute and the user has not allowed that.

    Args:
      report: audit's, of the model.
      options: see `records.Options`.
    """
    given = added_ops()  # The user has given their library.
    risky = [found for found in report.dangerous_ops if found.reached and not found.standard and found.op not in given]
    if not risky or options.allow_side_effects:
        return None
    ops = ", ".join(dict.fromkeys(f"{found.op} ({found.effect})" for found in risky))
    return Failed(f"not run: it has ops that can do more than compute: {ops}; allow it with --allow_side_effects")


def signatures_of(place: Location, path: str, options: Options) -> Mapping[str, Signature]:
    """The signatures of a SavedModel by their keys.

    Raises:
      InputError: it cannot be read, or has no such tag set.
    """
    return _signatures(read_source(place, path), options)


def differing_names(wanted: Mapping[str, Signature], kind: Kind, candidate: str, options: Options) -> Mismatched | None:
    """Compares what a source and a candidate call their signatures, inputs and outputs, before either is run.

    Args:
      wanted: the source's signatures.
      kind: what the source is.
      candidate: directory of the other one.
      options: see `records.Options`.

    Raises:
      InputError: the candidate cannot be read, takes more than it may, or has no such tag set.
    """
    with candidate_read(candidate, options) as read:
        found = _signatures(read, options)
    if kind in TF2 and read.kind not in TF2:
        return Mismatched(
            "the sides are swapped: the candidate is a model of TensorFlow 1 and its source one of TensorFlow 2; the "
            "new model comes first, and --against names the old one"
        )
    told = []
    for key, signature in wanted.items():
        if key not in found:
            told.append(f"the candidate has no signature {key!r} (it has {_listed(found)})")
            continue
        told += [
            f"{key!r} {verb} {_listed(theirs)}, and the candidate's {_listed(own)}"
            for verb, theirs, own in _sides(signature, found[key])
            if theirs.keys() != own.keys()
        ]
    return Mismatched(f"the signatures differ: {'; '.join(told)}") if told else None


def _signatures(source: Source, options: Options) -> Mapping[str, Signature]:
    return {s.key: s for s in signatures(choose_meta_graph(source, options.tags))}


def _sides(
    source: Signature, candidate: Signature
) -> tuple[tuple[str, Mapping[str, TensorSpec], Mapping[str, TensorSpec]], ...]:
    return (("takes", source.inputs, candidate.inputs), ("gives", source.outputs, candidate.outputs))


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "nothing"

"""How a TF1 graph answers, becomes a TF2 SavedModel, and is compared with one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.errors import InputError
from migrate.export.graph_job import Exported, ExportJob, checkpoint_in
from migrate.export.provenance import digest, provenance
from migrate.export.weights import Done, check_room, put, take_over
from migrate.export.weights import run as carry_weights
from migrate.graph.contract import assets
from migrate.graph.graph import canonical
from migrate.graph.nodes import locate
from migrate.graph.op_table import NETWORKS, unavailable
from migrate.graph.protos import MetaGraphDef
from migrate.levels import NONE
from migrate.model import confined_steps
from migrate.model.graph_study import StudiedGraph, plan_options
from migrate.model.proofs import Wanted, proved
from migrate.model.session_answers import SessionAnswers
from migrate.model.steps import DRAWN, UNORDERED, Steps, Taking
from migrate.plan.plan import make_plan, needed_nodes
from migrate.plan.records import Plan, SignaturePlan
from migrate.plan.resource_kinds import READ_WHEN_PLANNING, VECTOR_MAKERS
from migrate.processes.forks import Runner
from migrate.records import Crashed, Failed, Mismatch, ModelReport, Options
from migrate.signature_flag import to_copy
from migrate.sources.bundle import index_file
from migrate.sources.copies import copy_tree
from migrate.sources.files import digest_of
from migrate.sources.sniff import is_v1_checkpoint
from migrate.sources.source import Source
from migrate.sources.tensor_values import TensorValues
from migrate.verify import Ending
from migrate.verify.calls import SPARSE_PARTS
from migrate.verify.contract import Asked, Candidate, Files, contract_differences
from migrate.verify.messages import Training

_WEIGHTS = "weights"
"""Directory beside the staged model, for data files whose names are not known yet."""

_MOST_DATA_FILES = 99_999  # Their names have five digits (tensor_bundle, naming.cc).


def graph_steps(studied: StudiedGraph, path: str, options: Options, nursery: Runner, is_listed: bool = False) -> Steps:
    """The steps of a TF1 graph.

    Args:
      studied: the graph and its plan.
      path: what the user calls it.
      options: see `records.Options`.
      nursery: makes the child processes.
      is_listed: whether all that it does is on the list of what may be run without being asked for.
    """

    def export(staged: str, report: ModelReport, taking: Taking | None) -> ModelReport | Ending:
        assert taking is not None  # That is what `begin` gives.
        exported = _export(studied, staged, taking, options, nursery)
        return report if isinstance(exported, Exported) else exported

    kept = {s.signature.key for s in studied.plan.signatures}
    dropped = frozenset(studied.judged.signature_def.keys() - kept)

    def contract(candidate: Candidate) -> tuple[Mismatch, ...]:
        asked = Asked(
            options.drop_signatures,
            dropped,
            options.keep_tensor_names,
            frozenset(t for f in studied.plan.findings if f.code == "tensor-name-not-kept" for t in f.nodes),
            studied.feeds,
            studied.train,
            options.variables,
        )
        files = Files(
            studied.source.assets_dir, studied.source.extra_dir, studied.source.path, studied.source.checkpoint
        )
        return contract_differences(studied.judged, files, candidate, asked)

    wanted = Wanted(studied.feeds, dropped if options.drop_signatures else frozenset(), studied.train)
    answers = _session_answers(studied, is_listed)
    return Steps(
        path,
        lambda: answers.golden(options, nursery),
        lambda staged: _taking(studied, staged, options, nursery),
        export,
        lambda golden, candidate: answers.replay(golden, candidate, options, nursery),
        contract,
        lambda: digest_of(studied.source.file, studied.source.boundary),
        lambda candidate, is_run: proved(studied.source, studied.judged, candidate, is_run, wanted),
        {"file": os.path.basename(studied.source.file), "tags": list(studied.plan.tags)},
        answers.undefined,
        answers.unasked(options),
    )


def _session_answers(studied: StudiedGraph, is_listed: bool) -> SessionAnswers:
    plan = studied.plan
    undefined = {
        (s.signature.key, part): why
        for s in plan.signatures
        for names, why in ((s.drawn, DRAWN), ([name for name, _ in s.unordered], UNORDERED))
        for name in names
        for part in _parts(s, name)
    }
    return SessionAnswers(
        studied.source,
        studied.judged,
        [s.signature for s in plan.signatures],
        undefined,
        studied.feeds,
        {s.signature.key for s in plan.signatures if s.fails},
        _training(studied),
        _kept(plan),
        True,
        is_listed,
        _lacking(studied),
    )


def _lacking(studied: StudiedGraph) -> tuple[str, ...]:
    """The ops that the source runs and TensorFlow 2 does not have, or has for a GPU alone."""
    library = studied.judged.graph_def.library
    functions = {function.signature.name for function in library.function}
    ops = {located.node.op for located in locate(needed_nodes(studied.plan), library)}
    found = {op for op in ops - functions if getattr(unavailable(op), "code", "") == "unknown-op"}
    found |= NETWORKS & ops
    if studied.plan.nodes is None:  # Another graph is planned, which has something else in the place of these.
        found |= (READ_WHEN_PLANNING | VECTOR_MAKERS.keys()) & {node.op for node in studied.judged.graph_def.node}
    return tuple(sorted(found))


def _training(studied: StudiedGraph) -> Training | None:
    plan = studied.plan
    if plan.training is None:
        return None
    has_call = plan.training.call is not None and studied.train is not None
    graph = studied.train if has_call and studied.train is not None else studied.judged
    left_out = any(finding.code == "training-loss-left-out" for finding in plan.findings)
    return Training(graph.SerializeToString(), has_call, not left_out)


def _kept(plan: Plan) -> dict[str, frozenset[str]]:
    """What a client must feed to fetch a tensor by name, by the names that the new main graph has."""
    fed = {
        s.signature.key: frozenset(
            canonical(tensor)
            for name, spec in s.signature.inputs.items()
            if name not in s.defaults
            for tensor in spec.tensors
        )
        for s in plan.signatures
    }
    return {t: frozenset() if k.given_by is None else fed[k.given_by.signature] for t, k in plan.kept.items()}


def _parts(plan: SignaturePlan, output: str) -> tuple[str, ...]:
    """The names by which an answer has an output: a sparse one's in three parts (`verify.calls.Answer`)."""
    dense = plan.signature.outputs[output].encoding == "dense"
    return (output,) if dense else tuple(f"{output}/{part}" for part in SPARSE_PARTS)


@contextlib.contextmanager
def _taking(studied: StudiedGraph, staged: str, options: Options, nursery: Runner) -> Iterator[Taking]:
    """Takes the weights over beside the steps that need TensorFlow."""
    check = options.verify != NONE or options.checkpoint != "link"
    directory = os.path.join(os.path.dirname(staged), _WEIGHTS)
    weights = take_over(
        studied.plan, studied.source.checkpoint or "", directory, options.checkpoint, check, studied.source.boundary
    )
    if not weights.job.moves:
        yield Taking(weights, None)
        return
    check_room(weights.job)
    if weights.job.is_little:
        done = carry_weights(weights.job)
        if isinstance(done, Failed):
            raise InputError(done.reason)
        yield Taking(weights, None)
        return
    running = nursery.begin("weights", "migrate.export.weights", weights.job, Done | Failed, options.timeout)
    try:
        yield Taking(weights, running)
    finally:
        running.stop()


def _export(studied: StudiedGraph, staged: str, taking: Taking, options: Options, nursery: Runner) -> Exported | Ending:
    source = studied.source
    file_digest = digest_of(source.file, source.boundary)
    job = ExportJob(
        dataclasses.replace(_carried_out(studied, options), source_file=source.file),
        source.checkpoint,
        source.assets_dir,
        staged,
        taking.weights.taken,
        _provenance(studied, options, file_digest),
        _digest(source, studied.meta_graph, options, file_digest),
    )
    exporting = confined_steps.exporting(nursery, source, staged)
    if os.path.isdir(source.extra_dir):  # Here, because a confined process may set neither modes nor times.
        copy_tree(source.extra_dir, os.path.join(staged, "assets.extra"), source.boundary)
    result: Exported | Ending = exporting.run(
        "export", "migrate.export.graph_job", job, Exported | Failed, options.timeout
    )
    if not isinstance(result, Exported):
        return result
    if taking.running is not None:
        done: Done | Ending = taking.running.result()
        if not isinstance(done, Done):
            return done
    if not len(taking.weights.files) <= result.data_files <= _MOST_DATA_FILES:
        return Crashed("export", 0, f"{result.data_files:,} data files make no sense")
    # The directory is known here; a process that has run TensorFlow is not asked for it.
    put(taking.weights, checkpoint_in(staged), result.data_files)
    return result


def _carried_out(studied: StudiedGraph, options: Options) -> Plan:
    """The plan as the new model has it."""
    if not options.plain_gradients:
        return studied.plan
    named = frozenset() if options.keep_tensor_names else frozenset(studied.plan.kept)
    # Audit's has the nodes whose gradients are lost, since it speaks of them.
    source = studied.source
    read = TensorValues(source.checkpoint, source.boundary).read
    return make_plan(studied.meta_graph, studied.train, plan_options(source.kind, options, named), read)


def _digest(source: Source, meta_graph: MetaGraphDef, options: Options, file_digest: str) -> str:
    """What tells what a source's graph, weights and assets become from any other model, wherever they are."""
    files: list[str] = []
    if source.checkpoint is not None and is_v1_checkpoint(source.checkpoint):
        from migrate.sources.v1_checkpoint import read_v1_checkpoint

        files += read_v1_checkpoint(source.checkpoint, source.boundary).files
    elif source.checkpoint is not None:
        files.append(index_file(source.checkpoint))  # Which has a checksum of each tensor.
    files += sorted(os.path.join(source.assets_dir, file) for _, file in assets(meta_graph))
    parts = [digest_of(file, source.boundary) if os.path.isfile(file) else "" for file in files]
    return digest([*sorted(meta_graph.meta_info_def.tags), file_digest, *parts], options)


def _provenance(studied: StudiedGraph, options: Options, file_digest: str) -> Mapping[str, Any]:
    source = studied.source
    described = {
        "path": os.path.abspath(source.path),
        "file": os.path.basename(source.file),
        "sha256": file_digest,
        "tags": list(studied.plan.tags),
    }
    proposed = None if studied.proposed is None else to_copy(studied.proposed)
    return {**provenance(described, options), "proposed_signature": proposed}

"""Several random programs of loops and conds in one model: its source, both conversions, answers, gradients, proofs."""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from migrate.graph.protos import MetaGraphDef
from tests.rewrite import differential, flow_programs, packs
from tests.rewrite.flow_programs import Program

SIZE = 5
"""Programs in a model: what importing, loading and a Session take grows faster than a model."""
BOUND = 1e-9
"""How far a gradient may be from TF1's, of the largest value of it: sums of gradients have no order."""
KEPT = frozenset({"control-flow-kept", "tensor-array-kept"})
"""Codes of findings that say that control flow stays as it is."""
OVER = ("x", *(f"w{n}" for n in range(flow_programs.WEIGHTS)))
"""Over what there are gradients."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Programs to be built, saved at a prefix, and asked in a v1 Session, for gradients as well."""

    programs: Sequence[Program]
    prefix: str


@dataclasses.dataclass(frozen=True)
class Tape:
    """A conversion that is asked under a GradientTape, but for programs with a reason to skip them."""

    path: str
    programs: Sequence[Program]
    skipped: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a source says: as a `Saved` with answers, and the gradients of its calls (None where there are none)."""

    saved: differential.Saved
    gradients: list[Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one program.

    Attributes:
      code: `equal`, or the code of a refusal.
      kept: codes of findings about control flow of it that stays.
      gradients: how many gradients are equal; 0 where TensorFlow 1 has none.
      not_proved: by form, the reasons why outputs are not proved.
      outputs: how many are looked at by the proof, in each form.
    """

    code: str
    kept: Sequence[str] = ()
    gradients: int = 0
    not_proved: Sequence[str] = ()
    outputs: int = 0


def outcomes(pack: Sequence[Program], both: bool = True) -> list[Outcome]:
    """Compares a source with its conversions.

    Args:
      pack: the programs.
      both: whether TF1's form of control flow is one of them, as functional control flow is.

    Raises:
      AssertionError: they differ.
    """
    with tempfile.TemporaryDirectory() as directory:
        prefix = os.path.join(directory, "variables")
        told = _run("source", Source(pack, prefix))
        asked: Asked = pickle.loads(told)
        found: dict[bool, tuple[packs.Converted, str]] = {}
        for functional in (False, True) if both else (True,):
            path = os.path.join(directory, "functional" if functional else "v1")
            job = packs.Convert(pickle.dumps(asked.saved), path, functional)
            found[functional] = (pickle.loads(packs._run("export", job)), path)
        refused = [
            next((c.refused[k] for c, _ in found.values() for k in _keys(n) if k in c.refused), "")
            for n in range(len(pack))
        ]
        calls = [call for number, program in enumerate(pack) for call in flow_programs.calls(program, number)]
        chosen = [n for n, (name, _) in enumerate(calls) if not refused[_number(name)]]
        if not chosen:
            return [Outcome(code) for code in refused]
        golden = [asked.saved.answers[n] for n in chosen]
        assert not any(isinstance(answer, type) for answer in golden), golden
        not_proved: list[list[str]] = [[] for _ in pack]
        outputs = [0] * len(pack)
        for functional, (converted, path) in found.items():
            form = "functional" if functional else "v1"
            differs = differential.differences(golden, differential.ask_saved(path, [calls[n] for n in chosen]))
            assert not differs, "\n".join([form, *differs])
            proof = packs._proof(asked.saved, path, converted)
            for number in range(len(pack)):
                one = packs._proved(proof, _keys(number))
                outputs[number] += one.outputs
                not_proved[number] += [f"{form}: {why}" for why in one.not_proved]
        converted, path = found[True]
        kept = [_kept(converted, number) for number in range(len(pack))]
        # Where control flow is kept TensorFlow has no gradients, as the finding says.
        skipped = [code or ",".join(codes) for code, codes in zip(refused, kept, strict=True)]
        taped = pickle.loads(_run("gradients", Tape(path, pack, skipped)))
        counts = _compare_gradients(pack, skipped, asked, taped)
    return [
        Outcome(code) if code else Outcome("equal", kept[n], counts[n], not_proved[n], outputs[n])
        for n, code in enumerate(refused)
    ]


def _kept(converted: packs.Converted, number: int) -> list[str]:
    """The codes of findings that say of a program that control flow of it stays."""
    starts = tuple(f"signature {key!r}: " for key in _keys(number))
    found = zip(converted.codes, converted.findings, strict=True)
    return sorted({code for code, message in found if code in KEPT and message.startswith(starts)})


def _compare_gradients(pack: Sequence[Program], skipped: Sequence[str], asked: Asked, taped: Any) -> list[int]:
    counts = [0] * len(pack)
    answers, gradients = iter(asked.saved.answers), iter(asked.gradients)
    for number, program in enumerate(pack):
        for call, _ in enumerate(program.calls):
            answer, expected = next(answers), next(gradients)
            if skipped[number]:
                continue
            outputs, given = taped[number][call]
            where = f"gradients of program {number}, call {call}"
            differs = differential.differences([answer], [outputs])
            assert not differs, f"{where}: {differs}"
            for name, one in expected.items():
                other = given[name]
                if isinstance(other, str):
                    raise AssertionError(f"{where}, {name}: {other}; expected {one}")
                if (one is None or not np.any(one)) and other is None:
                    continue
                one = np.zeros(2) if one is None else one
                other = np.zeros(2) if other is None else other
                bound = BOUND * max(1.0, float(np.abs(one).max()))
                assert np.allclose(one, other, rtol=0.0, atol=bound, equal_nan=True), f"{where}, {name}: {one} {other}"
                counts[number] += 1
        next(answers), next(gradients)
    return counts


def _keys(number: int) -> list[str]:
    return [flow_programs.key(number), f"{flow_programs.key(number)}_state"]


def _number(name: str) -> int:
    return int(name.removeprefix("p").removesuffix("_state"))


def _run(step: str, job: Source | Tape) -> bytes:
    found = differential.nursery().run(step, "tests.rewrite.flow_packs", job, bytes, 600.0)
    assert isinstance(found, bytes), found
    return found


def run(job: Source | Tape) -> bytes:
    """A job; see there."""
    gc.disable()  # The process ends when the job does.
    return pickle.dumps(_source(job) if isinstance(job, Source) else _taped(job))


def _source(job: Source) -> Asked:
    import tensorflow as tf

    v1 = tf.compat.v1
    named: dict[str, Any] = {}

    def build() -> dict[str, Any]:
        named.update(flow_programs.build_all(job.programs))
        return {key: (inputs, outputs) for key, (inputs, outputs, _) in named.items()}

    graph, signatures = differential.build_in_tf1(build)
    with graph.as_default(), v1.Session(graph=graph, config=differential.CONFIG) as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        saver = v1.train.Saver(v1.global_variables())
        saver.save(session, job.prefix, write_meta_graph=False)
        meta_graph = MetaGraphDef.FromString(
            v1.train.export_meta_graph(saver_def=saver.saver_def, graph=graph).SerializeToString()
        )
        for key, (inputs, outputs) in signatures.items():
            differential.define(meta_graph, key, inputs, outputs)
        # What differentiates a loop adds to it, so the graph is written before.
        gradients = {}
        for key, (_, outputs, over) in named.items():
            loss = [tf.reduce_sum(one) for one in outputs.values()]
            try:
                made = v1.gradients(tf.add_n(loss), over) if over else []
            except AttributeError:  # TensorFlow 1's Python fails on some loops in loops.
                made = []
            gradients[key] = dict(zip(OVER, made, strict=False))
        answers, found = [], []
        for number, program in enumerate(job.programs):
            for key, fed in flow_programs.calls(program, number):
                inputs, outputs = signatures[key]
                feeds = {inputs[name]: value for name, value in fed.items()}
                there = {name: one for name, one in gradients[key].items() if one is not None}
                answer, values = session.run([dict(outputs), there], feeds)
                answers.append(answer)
                found.append({name: values.get(name) for name in gradients[key]})
    saved = differential.Saved(meta_graph, job.prefix, answers, {}, "")
    return Asked(saved, found)


def _taped(job: Tape) -> list[Any]:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    loaded = tf.saved_model.load(job.path)
    result: list[Any] = []
    for number, program in enumerate(job.programs):
        result.append([])
        if job.skipped[number]:
            continue
        signature = loaded.signatures[flow_programs.key(number)]
        weights = _weights(loaded, number)
        for fed in program.calls:
            x = tf.constant(fed, tf.float64)
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = signature(x=x)
                loss = tf.add_n([tf.reduce_sum(one) for one in outputs.values()])
            try:
                made = tape.gradient(loss, [x, *weights])
                values = {name: _dense(one) for name, one in zip(OVER, made, strict=True)}
            except Exception as error:
                values = dict.fromkeys(OVER, f"{type(error).__name__}: {error}")
            result[-1].append(({name: one.numpy() for name, one in outputs.items()}, values))
    return result


def _weights(loaded: Any, number: int) -> list[Any]:
    """Those of a program; one that nothing reads is not in the new model, and is another's."""
    import tensorflow as tf

    by_name = {variable.name.partition(":")[0]: variable for variable in loaded.variables}
    return [
        by_name.get(f"p{number}/w{n}", tf.Variable([0.0, 0.0], dtype=tf.float64)) for n in range(flow_programs.WEIGHTS)
    ]


def _dense(value: Any) -> Any:
    import tensorflow as tf

    return None if value is None else tf.convert_to_tensor(value).numpy()

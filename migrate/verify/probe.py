"""Finds the calls that a source accepts."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef
from migrate.processes.forks import count
from migrate.records import Coverage, Shape, Signature, TensorSpec
from migrate.verify.arrays import plain
from migrate.verify.calls import (
    REFUSALS,
    Array,
    Call,
    CandidateCalls,
    SparseValue,
    Value,
)
from migrate.verify.coverage import Needed, Trace, coverage_of, needed_nodes, trace_of
from migrate.verify.load_source import fixed_feeds
from migrate.verify.loads import Loads
from migrate.verify.losses import GIVEN_UP, Attempts
from migrate.verify.messages import GoldenJob
from migrate.verify.requests import key_of as _key
from migrate.verify.requests import synthesise
from migrate.verify.sessions import answer_to, feeds_of, fetches_of, run_session
from migrate.verify.watch import watched
from migrate.verify.wider import UNSETTLING

# Another input will not help against these: no kernel, no value in a variable, no permission, no answer in time.
_HOPELESS = re.compile(
    "NotFoundError|UnimplementedError|PermissionDeniedError|DeadlineExceededError"
    f"|No OpKernel was registered|You must feed a value for placeholder|{GIVEN_UP}"
)

_VALUELESS = re.compile("FailedPreconditionError")
"""Another shape will not help against a variable without a value, but a call that takes another branch may."""

# How many calls of a family must fail before the next family is tried.
_TRIED_PER_FAMILY = 3

# How many more families are tried once one is accepted in part.
_PATIENCE = 6

MORE_RUNS = 3
"""How many more runs a model gets that has state or contradicts itself."""

REPLAYS = 2 * (2 + MORE_RUNS)
"""How often an accepted call is made again at most: twice in each run."""

_CHEAP_WORK = 10_000_000
"""What the wider calls of a model may cost in any case, see `Trace.work`: some milliseconds."""

_WIDER_SHARE = 0.5
"""What the wider calls of a signature may cost beside its ordinary ones, which are made twice as often."""

_WIDER_SECONDS = 60.0
"""How long a wider call may be tried at most, which is chosen to cost little: some kernels never end for NaN."""

_PARTS = 3
"""How many calls of the largest size must fit."""

_MOST_PARTS = 24
"""How many calls are tried of one, which is cut in halves as long as the source refuses it."""

_MOST_REFUSALS = 4
"""How many calls of a signature end in an error, each by an op of its own."""

_MOST_BORDERS = 16
"""How many more do so of calls that are to show which ones an op accepts, see `Wider.is_border`."""

Attempt = tuple[Call | None, str]


@frozen
class Accepted:
    """The calls that a source is compared by.

    Attributes:
      calls: ordinary ones, which it accepts.
      wider: further ones, see `wider.py`, in the order in which they are made; the source may refuse some of them.
      skipped: why no call of a signature was found, by its key.
      coverage: what the accepted calls have executed, or None where that was not measured.
    """

    calls: tuple[Call, ...]
    wider: tuple[Call, ...] = ()
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    coverage: Coverage | None = None


class Asked(Protocol):
    """A loaded source that calls are tried on."""

    @property
    def ops(self) -> Mapping[str, str]:
        """Its graph's ops by name of the node."""

    def shape(self, tensor: str) -> Shape:
        """The static shape of a tensor of its graph."""

    def run(self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float) -> Mapping[str, Array]:
        """One run; arguments as in `sessions.run_session`."""

    def traced(
        self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float
    ) -> tuple[Mapping[str, Array], Any]:
        """The same, with a StepStats proto of what was executed."""


class _InSession:
    """A source in a v1 Session. An `Asked`."""

    def __init__(self, tf: Any, session: Any) -> None:
        self._tf = tf
        self._session = session
        self.ops: Mapping[str, str] = {operation.name: operation.type for operation in session.graph.get_operations()}

    def shape(self, tensor: str) -> Shape:
        """See `Asked.shape`."""
        shape = self._session.graph.get_tensor_by_name(tensor).shape
        return None if shape.rank is None else tuple(shape.as_list())

    def run(self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float) -> Mapping[str, Array]:
        """See `Asked.run`."""
        return run_session(self._tf, self._session, fetches, feeds, seconds)

    def traced(
        self, fetches: Mapping[str, str], feeds: Mapping[str, Array], seconds: float
    ) -> tuple[Mapping[str, Array], Any]:
        """See `Asked.traced`."""
        metadata = self._tf.compat.v1.RunMetadata()
        found = run_session(self._tf, self._session, fetches, feeds, seconds, metadata=metadata)
        return found, metadata.step_stats


def accepted_calls(tf: Any, job: GoldenJob, loads: Loads, attempts: Attempts) -> Accepted:
    """Finds calls."""
    with loads.session() as session:
        return calls_of(_InSession(tf, session), job, fixed_feeds(tf, session, job), attempts)


def calls_of(asked: Asked, job: GoldenJob, fixed: Mapping[str, Array], attempts: Attempts) -> Accepted:
    """Finds calls that a loaded source accepts.

    Args:
      asked: the source.
      job: what is called.
      fixed: what each call feeds beside its inputs.
      attempts: numbers the calls that are tried.
    """
    accepted: list[Call] = []
    skipped: dict[str, str] = {}
    signatures = {s.key: s for s in job.signatures}
    deadline = time.monotonic() + job.seconds
    meta_graph = MetaGraphDef.FromString(job.meta_graph)
    shaped = [_shaped(asked, signature) for signature in job.signatures]
    prober = _Prober(asked, fixed, attempts)

    def find(candidates: CandidateCalls) -> None:
        if candidates.reason:
            skipped[candidates.signature] = candidates.reason
            return
        signature, derived = signatures[candidates.signature], candidates.derived

        def attempt(call: Call, left: float) -> Attempt:
            return prober.attempt(signature, derived, call, left)

        calls, reason = probe(candidates, deadline, attempt)
        accepted.extend(calls)
        skipped.pop(candidates.signature, None)
        if not calls:
            skipped[candidates.signature] = reason

    synthesised = synthesise(meta_graph, shaped, job.assets_dir)
    for candidates in synthesised:
        find(candidates)
    if accepted:
        # The calls that were accepted may have given the variables values that these lacked.
        for candidates in synthesised:
            if _VALUELESS.search(skipped.get(candidates.signature, "")):
                find(candidates)
    needed = needed_nodes(meta_graph, job.signatures)
    finder = _Wider(prober, needed, deadline)
    answered = {call.signature for call in accepted}
    for candidates in synthesised:
        if candidates.signature in answered:
            calls = [call for call in accepted if call.signature == candidates.signature]
            finder.find(signatures[candidates.signature], candidates, calls, len(answered))
    coverage = coverage_of(needed, finder.executed)
    count(0, 0)
    return Accepted(tuple(accepted), tuple(finder.calls), skipped, coverage)


class _Prober:
    """Makes calls to a source, and remembers what each accepted one has executed."""

    def __init__(self, asked: Asked, fixed: Mapping[str, Array], attempts: Attempts) -> None:
        self._asked = asked
        self._fixed = fixed
        self._attempts = attempts
        self._traces: dict[int, tuple[Call, Trace]] = {}
        self.refusal: BaseException | None = None
        """Why the last call was not accepted."""

    def trace(self, call: Call) -> Trace:
        """What an accepted call has executed."""
        return self._traces[id(call)][1]

    def attempt(self, signature: Signature, derived: Sequence[str], synthesised: Call, seconds: float) -> Attempt:
        """The call in the form in which the source accepts it, or None and why not."""
        self.refusal = None
        error = self._attempts.refuses(synthesised)
        if error:
            return None, error
        for call in self._natural(signature, derived, synthesised, seconds):
            answer = answer_to(lambda asked: self._ask(signature, asked, seconds), call)
            if not answer.error:
                return call, ""
            error = error or f"no synthesised call is accepted: {answer.error}: {answer.message}"
        return None, error

    def _ask(self, signature: Signature, call: Call, seconds: float) -> Mapping[str, Array]:
        fetches, feeds = fetches_of(signature.outputs), {**self._fixed, **feeds_of(call.inputs, signature.inputs)}
        try:
            found, step_stats = self._asked.traced(fetches, feeds, seconds / 2)
        except Exception as error:
            self.refusal = error
            raise
        # With the call, so that no other one takes its place in memory.
        self._traces[id(call)] = call, trace_of(step_stats, self._asked.ops)
        return found

    def _natural(self, signature: Signature, derived: Sequence[str], call: Call, seconds: float) -> Iterable[Call]:
        """The call with the graph's own values for the inputs that the graph computes, then the call as it is.

        The rows of the natural values are turned by one: a candidate that ignored such an input, and computed it
        anew, would be found out.
        """
        if derived:
            roots = {name: value for name, value in call.inputs.items() if name not in derived}
            specs = {name: signature.inputs[name] for name in derived}
            with contextlib.suppress(Exception):
                feeds = {**self._fixed, **feeds_of(roots, signature.inputs)}
                with watched():
                    found = self._asked.run(fetches_of(specs), feeds, seconds / 2)
                values = {name: _assemble(name, spec, found) for name, spec in specs.items()}
                by_tensor = {spec.tensors: values[name] for name, spec in specs.items()}
                yield Call(call.signature, {**roots, **{n: by_tensor[specs[n].tensors] for n in specs}})
        yield call


class _Wider:
    """Chooses among wider calls: as many as cost little beside the ordinary ones.

    Attributes:
      calls: those that are chosen.
      executed: names of the nodes that all accepted calls have executed, by the key of their signature.
    """

    def __init__(self, prober: _Prober, needed: Needed, deadline: float) -> None:
        self.calls: list[Call] = []
        self.executed: dict[str, set[str]] = {}
        self._prober = prober
        self._needed = needed
        self._deadline = deadline

    def find(self, signature: Signature, candidates: CandidateCalls, ordinary: Sequence[Call], share: int) -> None:
        """Chooses calls of one signature.

        Args:
          signature: which.
          candidates: what makes them.
          ordinary: the calls that are accepted already.
          share: how many signatures there are to choose for.
        """
        key = signature.key
        executed = self.executed.setdefault(key, set())
        work = [self._prober.trace(call).work for call in ordinary]
        for call in ordinary:
            executed |= self._prober.trace(call).nodes
        budget = max(_CHEAP_WORK // share, int(sum(work) * _WIDER_SHARE))
        once, each = _per_row([call.rows for call in ordinary], work)
        most_rows = max(1, int((budget // _PARTS - once) / max(each, 1.0)))
        known = {_key(call) for call in ordinary}
        refusals: set[str] = set()
        borders = 0
        settled = key not in self._needed.keeps_state
        for wider in candidates.wider(ordinary, most_rows):
            if wider.is_for_new and not self._needed.by_signature[key] - executed:
                break
            if not settled and wider.kind in UNSETTLING:
                continue
            queue, others, tried = collections.deque([wider.call]), wider.instead, 0
            while queue and tried < _MOST_PARTS:
                call = queue.popleft()
                left = self._deadline - time.monotonic()
                cost = once + each * call.rows
                if left <= 0 or cost > budget or _key(call) in known:
                    queue.extend(others)
                    others = ()
                    continue
                known.add(_key(call))
                tried += 1
                seconds = min(left, _WIDER_SECONDS)
                found, _ = self._prober.attempt(signature, candidates.derived, call, seconds)
                if found is not None:
                    trace = self._prober.trace(found)
                    if not wider.is_for_new or (trace.nodes - executed) & self._needed.by_signature[key]:
                        budget -= trace.work
                        executed |= trace.nodes
                        self.calls.append(found)
                    continue
                place = _refusing_op(self._prober.refusal)
                is_kept = settled and not candidates.derived and not wider.is_for_new
                is_border = wider.is_border and borders < _MOST_BORDERS
                is_new = place not in refusals and len(refusals) < _MOST_REFUSALS
                if is_kept and place is not None and (is_border or is_new):
                    borders += is_border
                    refusals |= set() if is_border else {place}
                    self.calls.append(call)
                queue.extend(others or (wider.apart(call) if place is not None else ()))
                others = ()


def _per_row(rows: Sequence[int], work: Sequence[int]) -> tuple[float, float]:
    """What a call costs in any case, and what each of its rows adds, by what some calls have cost."""
    least, most = min(rows), max(rows)
    if least == most:
        return 0.0, max(work) / max(1, most)
    low, high = (max(w for r, w in zip(rows, work, strict=True) if r == size) for size in (least, most))
    each = max(0.0, (high - low) / (most - least))
    return max(0.0, high - each * most), each


def _refusing_op(error: BaseException | None) -> str | None:
    """The node that refuses a call's input, or None where it is no op that does so."""
    if type(error).__name__ not in REFUSALS or _HOPELESS.search(str(error)):
        return None
    return str(getattr(getattr(error, "op", None), "name", None) or getattr(error, "node_def", None) or "")


def _shaped(asked: Asked, signature: Signature) -> Signature:
    """The signature with the shapes that TensorFlow has inferred for inputs of which the signature says none."""

    def known(spec: TensorSpec) -> TensorSpec:
        if spec.encoding != "dense" or spec.shape is not None:
            return spec
        return dataclasses.replace(spec, shape=asked.shape(canonical(spec.name)))

    return dataclasses.replace(signature, inputs={name: known(spec) for name, spec in signature.inputs.items()})


def probe(
    candidates: CandidateCalls, deadline: float, attempt: Callable[[Call, float], Attempt]
) -> tuple[tuple[Call, ...], str]:
    """The accepted calls of the family that is accepted best, or none and why.

    A family of which some calls are accepted may be beaten by one of the next few. A model that takes long is given no
    more calls than can be replayed in the time that is left, but one.

    Args:
      candidates: the families of one signature's calls.
      deadline: on the monotonic clock.
      attempt: makes a call within some seconds; gives the call in the form in which it is accepted, or None and why
        not.
    """
    reason, patience = "", _PATIENCE
    best: tuple[Call, ...] = ()
    for family in candidates.families:
        accepted: list[Call] = []
        spent = 0.0
        valueless = False
        for number, synthesised in enumerate(family):
            if number >= _TRIED_PER_FAMILY and not accepted and not valueless:
                break
            start = time.monotonic()
            left = deadline - start
            if accepted and (spent + spent / len(accepted)) * REPLAYS > left:
                return max(best, tuple(accepted), key=len), reason
            if left <= 0:
                return best, reason or "no time was left to find a call that the source accepts"
            call, error = attempt(synthesised, left)
            reason = reason or error
            if call is not None:
                accepted.append(call)
                spent += time.monotonic() - start
            elif not best and not accepted and _HOPELESS.search(error):
                return (), reason
            else:
                valueless = valueless or bool(_VALUELESS.search(error))
        if valueless and not best and not accepted:
            return (), reason
        if len(accepted) > len(best):
            best = tuple(accepted)
        if len(accepted) == len(family) or (best and patience == 0):
            break
        patience -= 1 if best else 0
    return best, reason


def _assemble(name: str, spec: TensorSpec, found: Mapping[str, Array]) -> Value:
    if spec.encoding == "coo_sparse":
        values = plain(found[f"{name}/values"])
        return SparseValue(found[f"{name}/indices"], np.roll(values, 1), found[f"{name}/dense_shape"])
    value = plain(found[name])
    return np.roll(value, 1, axis=0) if value.ndim else value

"""Plants, proves and validates faults, several at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import pathlib
import pickle
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from migrate.fleet.worker import ask
from migrate.model.messages import PRELOAD, ValidateJob
from migrate.processes.nursery import Nursery
from migrate.records import ModelReport, Validated, outcome_name
from tools.mutate.bases import ROOT, conversions, options_of, source_of
from tools.mutate.jobs import Job
from tools.mutate.records import Ended, Fault

_LOOK_SECONDS = 180.0
_JOBS = "tools.mutate.jobs"


@dataclasses.dataclass(frozen=True)
class Untouched:
    """What `migrate validate` says of a conversion without a fault.

    Attributes:
      outcome: the outcome's name; anything but `validated` is a false alarm.
      told: the differences and findings in words, by code.
    """

    outcome: str
    told: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The first of the words."""
        return next(iter(self.told.values()), "")

    @property
    def is_alarm(self) -> bool:
        """Whether the checker says that something differs where nothing does."""
        return self.outcome not in ("validated", "unverified")


def run(
    faults: Iterable[Fault],
    cache: pathlib.Path,
    jobs: int,
    tell: Callable[[Ended], None],
    warn: Callable[[str], None],
    proofs_alone: bool = False,
) -> tuple[dict[str, Untouched], list[Ended]]:
    """Plants every fault in a copy of its base's conversion.

    Args:
      faults: which.
      cache: where conversions are kept.
      jobs: how many at a time.
      tell: told each as it ends.
      warn: told of each untouched conversion that is said to differ, before any fault is planted.
      proofs_alone: whether nothing is validated: for who writes faults.

    Returns:
      What became of the untouched conversions, by base, and of the faults, in their order.
    """
    chosen = list(faults)
    with (
        tempfile.TemporaryDirectory(dir=cache) as scratch,
        Nursery((*PRELOAD, _JOBS), path=(ROOT,)) as nursery,
        concurrent.futures.ThreadPoolExecutor(jobs) as pool,
    ):
        made = conversions([fault.base for fault in chosen], cache, jobs, nursery)
        planter = Planter(made, cache, pathlib.Path(scratch), nursery)
        untouched = {} if proofs_alone else dict(zip(made, pool.map(planter.untouched, made), strict=True))
        for base, found in untouched.items():
            if found.is_alarm:
                warn(f"{base}: {found.outcome}: {' '.join(found.reason.split())}")
        ended = pool.map(lambda fault: planter.ended(fault, untouched.get(fault.base), tell), chosen)
        return untouched, list(ended)


class Planter:
    """What the threads share."""

    def __init__(self, made: Mapping[str, str], cache: pathlib.Path, scratch: pathlib.Path, nursery: Nursery) -> None:
        self._made = made
        self._cache = cache
        self._scratch = scratch
        self._nursery = nursery
        self._seen: dict[str, str] = {}
        self._lock = threading.Lock()

    def untouched(self, base: str) -> Untouched:
        """Validates a conversion as it is; in another place, as the planted ones are."""
        with self._copy(base, f"untouched-{base}") as place:
            return _told(self._validated(base, place))

    def ended(self, fault: Fault, untouched: Untouched | None, tell: Callable[[Ended], None]) -> Ended:
        """Plants and proves one fault, and validates what it is planted in where the untouched one was validated."""
        with self._copy(fault.base, fault.full_name.replace("/", "-")) as place:
            proof = self.proof(fault, place)
            if proof:
                found = Ended(fault.full_name, proof, "unproved")
            elif untouched is None:
                found = Ended(fault.full_name, "", "proved")
            else:
                began = time.monotonic()
                report = self._validated(fault.base, place)
                found = judged(fault, report, untouched, time.monotonic() - began)
        tell(found)
        return found

    def proof(self, fault: Fault, place: str) -> str:
        """Plants it; "" where a client sees another thing than before, else why it counts for nothing."""
        before = self._look(fault, self._made[fault.base])
        if isinstance(before, _Lost):
            return f"a look at the untouched conversion fails: {before.why}"
        planted = self._child(fault, place, plant=True)
        if isinstance(planted, _Lost):
            return f"cannot be planted: {planted.why}"
        after = self._child(fault, place, plant=False)
        if isinstance(after, _Lost):
            return f"a look at it fails: {after.why}"
        if after == before:
            return "a client sees no difference"
        if self._child(fault, self._made[fault.base], plant=False) != before:
            return "two looks at the untouched conversion differ"
        return ""

    def _look(self, fault: Fault, place: str) -> str | _Lost:
        """A look at an untouched conversion, which is taken once for all faults that are shown by it."""
        key = hashlib.sha256(pickle.dumps((fault.base, fault.look))).hexdigest()
        with self._lock:
            seen = self._seen.get(key)
        if seen is not None:
            return seen
        found = self._child(fault, place, plant=False)
        if isinstance(found, str):
            with self._lock:
                self._seen[key] = found
        return found

    def _child(self, fault: Fault, place: str, plant: bool) -> str | _Lost:
        job = Job(fault.full_name, place, plant)
        found = self._nursery.run("plant" if plant else "look", _JOBS, job, str, _LOOK_SECONDS)
        return found if isinstance(found, str) else _Lost(" ".join(str(found).split())[-300:])

    def _validated(self, base: str, place: str) -> object:
        job = ValidateJob(place, source_of(base, self._cache), options_of(base))
        return ask(self._nursery, "validate", job, lambda _: None)

    @contextlib.contextmanager
    def _copy(self, base: str, name: str) -> Iterator[str]:
        place = self._scratch / name
        shutil.copytree(self._made[base], place)
        try:
            yield str(place)
        finally:
            shutil.rmtree(place)


@dataclasses.dataclass(frozen=True)
class _Lost:
    """A child that gave no answer."""

    why: str


def _told(report: object) -> Untouched:
    """Of a report, or of how the validation ended without one."""
    if not isinstance(report, ModelReport):
        return Untouched(outcome_name(report), {outcome_name(report): str(report)})
    told: dict[str, str] = {}
    for finding in report.findings:
        told.setdefault(finding.code, finding.message)
    for mismatch in () if report.verification is None else report.verification.mismatches:
        told.setdefault(mismatch.code, f"{mismatch.signature}/{mismatch.output}, {mismatch.path}: {mismatch.reason}")
    for name, why in {} if report.verification is None else report.verification.unverified.items():
        told.setdefault("unverified", f"{name}: {why}")
    name = outcome_name(report.outcome)
    if name != "validated":
        told.setdefault(name, str(report.outcome))
    return Untouched(name, told)


def judged(fault: Fault, report: object, untouched: Untouched, seconds: float) -> Ended:
    """What became of a fault, by what was said of what it was planted in, and of the untouched conversion."""
    told = _told(report)
    new = tuple(sorted(code for code in told.told if code not in untouched.told))
    validated = isinstance(report, ModelReport) and isinstance(report.outcome, Validated)
    if not validated and (told.outcome != untouched.outcome or new):
        verdict = "caught"
    elif new:
        verdict = "told"
    else:
        verdict = "missed" if validated else "unverified"
    reason = "" if not new else " ".join(told.told[new[0]].split())[:300]
    return Ended(fault.full_name, "", verdict, told.outcome, new, reason, round(seconds, 2))

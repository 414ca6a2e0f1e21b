"""THE CATALOGUE: every fault that can be planted, by its full name, in the order of its kinds."""

from __future__ import annotations

from tools.mutate.faults import (
    contract,
    files,
    functions,
    keras,
    loading,
    other,
    rare,
    state,
    structure,
    surface,
    unreached,
    vouched,
)
from tools.mutate.records import KINDS, Fault

_TABLES = (
    contract.FAULTS,
    vouched.FAULTS,
    unreached.FAULTS,
    rare.FAULTS,
    state.FAULTS,
    surface.FAULTS,
    files.FAULTS,
    keras.FAULTS,
    structure.FAULTS,
    functions.FAULTS,
    other.FAULTS,
    loading.FAULTS,
)


def _by_name() -> dict[str, Fault]:
    found: dict[str, Fault] = {}
    for fault in (fault for table in _TABLES for fault in table):
        if fault.full_name in found or fault.kind not in KINDS:
            raise ValueError(f"{fault.full_name}: twice in the catalogue, or of no kind")
        found[fault.full_name] = fault
    return found


FAULTS = _by_name()

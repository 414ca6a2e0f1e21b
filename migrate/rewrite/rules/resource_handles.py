"""Tables, queues, readers and accumulators: a string-ref handle becomes a DT_RESOURCE handle."""

from __future__ import annotations

from migrate.rewrite.op_facts import Gives, Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import with_twin

_MAKERS = (
    "HashTable",
    "MutableHashTable",
    "MutableHashTableOfTensors",
    "FIFOQueue",
    "PaddingFIFOQueue",
    "PriorityQueue",
    "RandomShuffleQueue",
    "FixedLengthRecordReader",
    "IdentityReader",
    "TextLineReader",
    "TFRecordReader",
    "WholeFileReader",
)
_USERS = (
    "InitializeTable",
    "InitializeTableFromTextFile",
    "LookupTableExport",
    "LookupTableFind",
    "LookupTableInsert",
    "LookupTableSize",
    "QueueClose",
    "QueueDequeue",
    "QueueDequeueMany",
    "QueueDequeueUpTo",
    "QueueEnqueue",
    "QueueEnqueueMany",
    "QueueIsClosed",
    "QueueSize",
    "ReaderNumRecordsProduced",
    "ReaderNumWorkUnitsCompleted",
    "ReaderReset",
    "ReaderRestoreState",
    "ReaderSerializeState",
)
_ACCUMULATOR_USERS = (
    "AccumulatorApplyGradient",
    "AccumulatorNumAccumulated",
    "AccumulatorSetGlobalStep",
    "AccumulatorTakeGradient",
)


def _maker(twin: str) -> Op:
    return Op(twin, fewest=0, gives=Gives.RESOURCE)


HANDLE = Rule(
    "handle",
    {name: _maker(f"{name}V2") for name in _MAKERS}
    | {"ConditionalAccumulator": _maker("ResourceConditionalAccumulator")},
    with_twin,
)
"""Ops that give a string-ref handle to a resource."""

USER = Rule(
    "handle_user",
    {name: Op(f"{name}V2", refs=range(1)) for name in _USERS}
    | {name: Op(f"Resource{name}", refs=range(1)) for name in _ACCUMULATOR_USERS}
    | {
        "LookupTableImport": Op("LookupTableImportV2", fewest=3, refs=range(1)),
        # They take records from a queue.
        "ReaderRead": Op("ReaderReadV2", fewest=2, refs=range(2)),
        "ReaderReadUpTo": Op("ReaderReadUpToV2", fewest=2, refs=range(2)),
    },
    with_twin,
)
"""Ops that take such a handle."""

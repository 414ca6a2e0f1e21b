"""How much memory and time the study of a model may take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from migrate.errors import InputError
from migrate.records import ModelReport, Options
from migrate.sources.source import Source
from migrate.sources.watch import OWN_BYTES, Watch

_VALUES_A_SIGNATURE, _VALUES_A_TENSOR = 5, 7
"""What `_values` counts of a signature without tensors, and of a tensor of unknown shape, at least."""
_REPORT_BYTES = 600
"""Of each value in a report, once it is written as JSON (measured: 450 to 520)."""


def watch_over(options: Options, is_whole: bool = False) -> Watch:
    """The watch over an audit, which begins."""
    changes = options.feed or options.variables or options.plain_gradients or options.keep_tensor_names
    return Watch(
        options.graph_memory_bytes, options.audit_seconds, options.unpacked_bytes, not changes, is_whole=is_whole
    )


def check_report(report: ModelReport, watch: Watch) -> None:
    """Sees to it that what is said of a model takes no more memory than reading it may.

    Raises:
      InputError: it takes more.
    """
    _check_values(_values(report), report.source, watch)


def check_signatures(source: Source, watch: Watch) -> None:
    """Refuses signatures whose report would be refused, before each of them is planned.

    Raises:
      InputError: they are too many.
    """
    found = 0
    for meta_graph in source.meta_graphs:
        for definition in meta_graph.signature_def.values():
            found += _VALUES_A_SIGNATURE + _VALUES_A_TENSOR * (len(definition.inputs) + len(definition.outputs))
    _check_values(found, source.path, watch)


def _check_values(values: int, path: str, watch: Watch) -> None:
    taken = _REPORT_BYTES * values
    if taken > watch.bytes_allowed - OWN_BYTES:
        raise InputError(f"{path}: {watch.memory_message(f'at least {taken >> 20:,} MB for its report')}")


def _values(report: ModelReport) -> int:
    """How many values a report has; a long text counts as several."""
    found = 0
    pending: list[object] = [report]
    while pending:
        value = pending.pop()
        found += 1
        if isinstance(value, str):
            found += len(value) >> 6
        elif isinstance(value, (tuple, frozenset)):
            pending += value
        elif value is None or isinstance(value, (int, float)):
            continue  # As most are, and to ask for a Mapping takes long.
        elif dataclasses.is_dataclass(value):
            pending += vars(value).values()
        elif isinstance(value, Mapping):
            found += len(value)
            pending += value.values()
    return found

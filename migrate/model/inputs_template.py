"""A file with calls to begin with, for one model on the disk. Starts no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.errors import InputError
from migrate.model.study import Studied, study
from migrate.records import ModelReport, Options, Unreadable
from migrate.verify.template import template


def template_of(path: str, options: Options) -> tuple[str, Mapping[str, str]]:
    """Makes the file; see `verify.template.template`.

    Raises:
      InputError: the model cannot be read or has no signature that could be called.
    """
    with study(path, options) as studied:
        report = studied.report
        if isinstance(report.outcome, Unreadable):
            raise InputError(report.outcome.reason)
        text, left_out = calls_of(studied, report)
    if not text:
        refusal = next(iter(report.refusals), None)
        why = refusal.message if refusal is not None else "; ".join(left_out.values())
        hint = f" ({refusal.hint})" if refusal is not None and refusal.hint else ""
        raise InputError(f"{path}: has no signature that could be called: {why or 'it has none'}{hint}")
    return text, left_out


def calls_of(studied: Studied, report: ModelReport) -> tuple[str, Mapping[str, str]]:
    """Makes the file for a model that has been read.

    Args:
      studied: the model.
      report: what is known of it by now.

    Returns:
      See `verify.template.template`.
    """
    if studied.graph is not None:
        signatures = tuple(part.signature for part in studied.graph.plan.signatures)
        return template(signatures, studied.graph.judged, studied.graph.source.assets_dir)
    if report.meta_graphs:
        return template(report.meta_graphs[0].signatures)
    if report.keras is not None and report.keras.signature is not None:
        return template((report.keras.signature,))
    return "", {}

"""A file with calls to begin with, for one model on the disk. Starts no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.errors import InputError
from migrate.model.study import study
from migrate.records import Options, Unreadable
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
        if studied.graph is not None:
            signatures = tuple(part.signature for part in studied.graph.plan.signatures)
            text, left_out = template(signatures, studied.graph.judged, studied.graph.source.assets_dir)
        elif report.meta_graphs:
            text, left_out = template(report.meta_graphs[0].signatures)
        elif report.keras is not None and report.keras.signature is not None:
            text, left_out = template((report.keras.signature,))
        else:
            text, left_out = "", {}
    if not text:
        refusal = next(iter(report.refusals), None)
        why = refusal.message if refusal is not None else "; ".join(left_out.values())
        hint = f" ({refusal.hint})" if refusal is not None and refusal.hint else ""
        raise InputError(f"{path}: has no signature that could be called: {why or 'it has none'}{hint}")
    return text, left_out

"""What audit says of a TF2 SavedModel, which is copied as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrate.checks.facts import facts
from migrate.model.graph_study import dangerous_ops
from migrate.records import AlreadyTF2, Finding, Kind, ModelReport, Options, Refused, Severity, refusal
from migrate.sources.source import Source

TF2 = frozenset({Kind.TF2_SAVED_MODEL, Kind.KERAS_SAVED_MODEL})
"""The kinds of models that are."""


def study_tf2(source: Source, copied: Sequence[Finding], options: Options) -> ModelReport:
    """Describes a TF2 SavedModel.

    Args:
      source: its files.
      copied: what is said of links among the files that are copied whole.
      options: see `records.Options`.
    """
    findings = (*copied, *_signatures(source, options))
    return ModelReport(
        source.path,
        None,
        source.kind,
        Refused() if any(finding.severity is Severity.REFUSAL for finding in findings) else AlreadyTF2(),
        findings,
        meta_graphs=tuple(facts(m, {n.name for n in m.graph_def.node}) for m in source.meta_graphs),
        dangerous_ops=dangerous_ops(source.meta_graphs),
    )


def _signatures(source: Source, options: Options) -> Iterator[Finding]:
    """Refuses `--signature` for what is copied as it is."""
    if not options.signature:
        return
    keys = tuple(signature.key for signature in options.signature)
    message = "a TF2 SavedModel is copied as it is, and --signature names tensors of a graph, which its functions hide"
    hint = (
        "in Python: model = tf.saved_model.load(PATH); tf.saved_model.save(model, NEW, signatures={**model.signatures, "
        "NAME: a tf.function with an input_signature that calls what the model has})"
    )
    if source.kind is Kind.KERAS_SAVED_MODEL:
        hint = (
            "in Python: model = tf_keras.models.load_model(PATH); tf_keras.Model(model.inputs, "
            'model.get_layer(LAYER).output).save(NEW, save_format="tf") is a model of what a layer gives'
        )
    yield refusal("tf2-signature", message, keys, hint)

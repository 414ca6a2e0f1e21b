"""Keras files on their way through the house: the part of `study` and `jobs` that has no graph to work on."""

from __future__ import annotations

from migrate.children import Nursery
from migrate.records import Kind, ModelReport, Options, Refused, refusal
from migrate.sources.discover import Place
from migrate.sources.keras import kind_of


def study_keras(place: Place, path: str, options: Options) -> ModelReport:
    """Says what a Keras file is and whether `convert_keras` would convert it.

    Args:
      place: where it lies; one of `sources.read.KERAS_FORMS`.
      path: what the user calls it.
      options: see `records.Options`.

    Returns:
      The report, with the outcome `Convertible` or `Refused`.

    Raises:
      InputError: it cannot be read.
    """
    del options
    kind = kind_of(place)
    if kind is Kind.KERAS_H5_WEIGHTS:
        message = "weights without the model that they belong to; the configuration (JSON) is missing"
        return ModelReport(path, None, kind, Refused(), (refusal("keras-weights-alone", message),))
    return ModelReport(path, None, kind, Refused(), (refusal("keras-file", "Keras files are not converted yet"),))


def convert_keras(
    place: Place, report: ModelReport, destination: str, options: Options, nursery: Nursery
) -> ModelReport:
    """Converts a Keras file that `study_keras` has found convertible.

    Args:
      place: where it lies.
      report: what `study_keras` has said of it.
      destination: directory that the new model is to have.
      options: see `records.Options`.
      nursery: makes the child processes.
    """
    del place, destination, options, nursery
    return report

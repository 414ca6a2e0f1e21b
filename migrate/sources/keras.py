"""What a Keras file is, without Keras."""

from __future__ import annotations

from migrate.errors import InputError
from migrate.records import Kind
from migrate.sources.discover import Place
from migrate.sources.files import check_regular
from migrate.sources.sniff import Form


def kind_of(place: Place) -> Kind:
    """The kind of a Keras file.

    Raises:
      InputError: an HDF5 file that is not Keras's, or that cannot be read.
    """
    if place.form is Form.KERAS_V3:
        return Kind.KERAS_V3
    if place.form is Form.KERAS_JSON:
        return Kind.KERAS_JSON
    try:
        check_regular(place.file)
        with open(place.file, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise InputError(f"{place.file}: cannot be read ({error.strerror})") from error
    # Names of attributes of the file's root (keras/src/legacy/saving/legacy_h5_format.py).
    if b"model_config" in data:
        return Kind.KERAS_H5_MODEL
    if b"layer_names" in data:
        return Kind.KERAS_H5_WEIGHTS
    raise InputError(f"{place.file}: an HDF5 file that is not Keras's")

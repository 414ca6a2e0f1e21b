"""Whether a SavedModel's `fingerprint.pb` is of the files beside it. TensorFlow starts here."""

from __future__ import annotations

import os

from google.protobuf.message import DecodeError

_FILE_HASHES = ("saved_model_checksum", "checkpoint_hash")
"""Fields of a FingerprintDef that are of a file's bytes alone."""
_PARTS = ("graph_def_program_hash", "signature_def_hash", "saved_object_graph_hash")
"""Fields that depend on the release, too, which says what of a graph does not matter."""
_WHOLE = ("the file",)


def stale_fields(path: str, release: str) -> tuple[str, ...]:
    """Fields of a SavedModel's fingerprint.pb that are not of the files beside it.

    Args:
      path: the SavedModel's directory.
      release: of TensorFlow, that wrote the model.
    """
    import tensorflow as tf

    # Private: nothing public works out a fingerprint anew.
    from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    try:
        with open(os.path.join(path, "fingerprint.pb"), "rb") as file:
            written = FingerprintDef.FromString(file.read())
    except FileNotFoundError:
        return ()
    except DecodeError:
        return _WHOLE
    now = FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(path))
    fields = (*_FILE_HASHES, *(_PARTS if release == tf.__version__ else ()))
    return tuple(field for field in fields if getattr(written, field) != getattr(now, field))

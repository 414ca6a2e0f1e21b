"""What TensorFlow gives back, as arrays whose bytes can be compared."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from migrate.verify import dtypes
from migrate.verify.calls import Array, Fingerprint


def as_array(value: Any) -> Array:
    """A tensor's value as an array; a scalar string comes as bytes, whose trailing zeros numpy would cut."""
    if isinstance(value, (bytes, str)):
        scalar = np.empty((), dtype=object)
        scalar[()] = value
        return scalar
    return np.asarray(value)


def plain(value: Array) -> Array:
    """A copy in which strings are objects of type bytes, as `Answer` wants them."""
    value = np.array(value)
    if value.dtype.kind not in "OSU":
        return value
    plain = np.empty(value.shape, dtype=object)
    for index in np.ndindex(value.shape):
        item = value[index]
        plain[index] = item.encode() if isinstance(item, str) else bytes(item)
    return plain


def fingerprint(array: Array) -> Fingerprint:
    """The digest of an array; strings as length and bytes, one after the other."""
    digest = hashlib.blake2b(digest_size=16)
    if array.dtype.kind in "OSU":
        for item in plain(array).ravel().tolist():
            digest.update(len(item).to_bytes(8, "little") + item)
    else:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return Fingerprint(dtypes.tf_name(array), array.shape, digest.hexdigest())

"""What TensorFlow gives back, as arrays whose bytes can be compared."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from migrate.verify import dtypes
from migrate.verify.calls import Array, Fingerprint

UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""What has the bits of a value of so many bytes."""
EXPONENTS = {"bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF0000000000000}
"""The bits of the exponent. Of these dtypes the threads of TensorFlow take a value below the smallest normal number for
zero, and others do not (tsl/platform/denormal.h): which thread runs an op is chance. Halves are never taken so."""


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


def without_subnormals(array: Array) -> Array:
    """An array in which each value below the smallest normal number is a zero of the same sign.

    Given:
      array: any dtype.

    Result:
      the same shape and dtype; `array` itself if TensorFlow's threads do not flush values of its dtype.
    """
    exponent = EXPONENTS.get(array.dtype.name)
    if exponent is None or not array.size:
        return array
    unsigned = UNSIGNED[array.dtype.itemsize]
    bits = np.ascontiguousarray(array).view(unsigned)
    sign = unsigned(1 << (8 * array.dtype.itemsize - 1))
    flushed: Array = np.where(bits & unsigned(exponent), bits, bits & sign).view(array.dtype)
    return flushed

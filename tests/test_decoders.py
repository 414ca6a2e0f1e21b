"""Values as data, whatever releases of Python and NumPy call their types."""

from __future__ import annotations

import types

import numpy as np
import numpy.typing as npt
import pytest

from migrate import decoders


class _Alias:
    """What `type NDArray[T] = numpy.ndarray[Any, numpy.dtype[T]]` makes, which Python 3.10 cannot write."""

    __module__ = "numpy._typing"
    __value__ = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


@pytest.mark.parametrize(
    "kind",
    [np.ndarray, npt.NDArray[np.generic], types.GenericAlias(_Alias(), (np.generic,))],
    ids=["plain", "own", "2.5"],
)
def test_arrays_of_any_numpy_are_arrays(kind):
    assert decoders.is_array(kind)


@pytest.mark.parametrize(
    "kind", [dict, list[int], types.GenericAlias(types.SimpleNamespace(__value__=list[int]), (int,))]
)
def test_what_is_no_array_is_none(kind):
    assert not decoders.is_array(kind)

"""Memory of a child that loads a model with large constants: what is given back between two loads.

TensorFlow holds a constant once for each function and each graph that can reach it, some ten times in all.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migrate.graph.large_constants import constant_bytes
from migrate.graph.protos import MetaGraphDef
from migrate.verify.calls import Call

LARGE = 1 << 25
"""Bytes of constants from which memory is worth the milliseconds that it costs to give it back."""


def is_large(meta_graph: MetaGraphDef) -> bool:
    """Whether the constants of a MetaGraphDef, those in functions included, are large."""
    return constant_bytes(meta_graph) >= LARGE


@contextlib.contextmanager
def kernels_apart(is_worth: bool) -> Iterator[None]:
    """Gives back what TensorFlow has made to run functions, before other settings and after them: each has its own.

    An op that keeps something in its kernel, as one that draws does, then begins anew.
    """
    if not is_worth:
        yield
        return
    let_go(True)
    try:
        yield
    finally:
        let_go(True)


def asked_apart(ask: Callable[[Call], Mapping[str, Any]]) -> Callable[[Call], Mapping[str, Any]]:
    """Makes calls without what other functions have in memory."""

    def alone(call: Call) -> Mapping[str, Any]:
        with kernels_apart(True):
            return ask(call)

    return alone


def let_go(is_worth: bool, is_eager: bool = True) -> None:
    """Gives back what loaded objects have taken that nobody asks any more: they hold each other.

    Args:
      is_worth: whether that is large.
      is_eager: whether functions were called outside of Sessions.
    """
    if is_worth:
        gc.collect()
        if is_eager:
            _forget_kernels()


def _forget_kernels() -> None:
    """Has TensorFlow forget what it has made to run functions."""
    # Private: nothing public gives it back as long as a function is there.
    from tensorflow.python.eager import context

    context.context().clear_kernel_cache()

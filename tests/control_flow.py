"""Which control flow TensorFlow makes of loops and conds while a test builds a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def control_flow(functional: bool = False) -> Iterator[None]:
    """TF1's within it, or While and If; after it what there was before."""
    import tensorflow as tf

    switch = {True: tf.compat.v1.enable_control_flow_v2, False: tf.compat.v1.disable_control_flow_v2}
    before = tf.compat.v1.control_flow_v2_enabled()
    switch[functional]()
    try:
        yield
    finally:
        switch[before]()

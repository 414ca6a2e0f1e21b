"""Paths in an installed runtime, which are those in the wheel."""

from __future__ import annotations

FRAMEWORK = "tensorflow_core/libtensorflow_framework.so.1"
"""The ops' and kernels' base, which every other library needs."""
RUNTIME = "tensorflow_core/python/_pywrap_tensorflow_internal.so"
"""TensorFlow itself with the C API."""

"""TensorFlow 1.15.5 itself: installs its runtime, and runs graphs in it through TensorFlow's C API.

The wheel for CPython 3.7 holds the whole runtime in one shared library that exports the C API. Nothing that the C API
calls uses Python, so one copy serves every interpreter. It runs in a child process only, never beside another
TensorFlow: both have the same global symbols.
"""

"""Tests of the whole product show the graphs that were rewritten in them, as those of `rewrite` do."""

from tests.rewrite.conftest import pytest_runtest_makereport, rewritten

__all__ = ["pytest_runtest_makereport", "rewritten"]

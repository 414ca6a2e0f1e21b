"""These tests are about servers of their own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _own_servers(cold: None) -> None:
    """None is kept for them."""

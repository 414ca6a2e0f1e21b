"""Fixtures of this folder."""

from __future__ import annotations

from tests.cli.fake_api import calls as calls

"""What audit promises, convert does: over all models of the repository (test_corpus.py has those of the corpus)."""

from __future__ import annotations

import pytest

from migrate.records import Options
from tests import conversions, law

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(1500)]


@pytest.mark.parametrize("tree", ["forms", "keras", "models"])
@pytest.mark.parametrize("options", [Options(take_proposals=True)], ids=["take_proposals"])
def test_what_audit_promises_convert_does(tree, options, tmp_path):
    assert not law.broken(str(conversions.ROOT / "testdata" / tree), str(tmp_path / "new"), options)

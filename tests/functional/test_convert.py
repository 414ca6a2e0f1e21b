"""What becomes of v1 control flow, as text before and after; what each line means is in pairs.py."""

from __future__ import annotations

import pytest

from tests.functional.pairs import FILES, result
from tests.rewrite.pairs import Pair, read

PAIRS = [(path.stem, pair) for path in FILES for pair in read(path)]


@pytest.mark.parametrize(("file", "pair"), PAIRS, ids=[f"{file}: {pair.title}" for file, pair in PAIRS])
def test_pair(file: str, pair: Pair) -> None:
    assert result(pair.before) == pair.after
    is_kept = "\ncontrol-flow-kept: " in pair.after
    assert is_kept == (file == "kept")
    assert ("\ntensor-array-kept: " in pair.after) == (file == "kept_arrays")
    if not is_kept:
        assert not any(f" = {op}(" in pair.after for op in ("Switch", "Merge", "Enter", "Exit", "NextIteration"))

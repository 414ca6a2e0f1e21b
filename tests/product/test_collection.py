"""Files that need not be imported: their tests are left out, and no other is."""

from __future__ import annotations

import pytest

from tests.collection import left_out, marks_of_all


@pytest.mark.parametrize(
    ("expression", "marks"),
    [
        ("", set()),
        ("slow", set()),
        ("not slow", {"slow"}),
        ("not (tensorflow or process or slow)", {"tensorflow", "process", "slow"}),
        ("(tensorflow or process) and not slow", {"slow"}),
        ("not (tensorflow and slow)", set()),
        ("not slow or process", set()),
        ("not not slow", set()),
    ],
)
def test_a_mark_that_leaves_a_test_out_whatever_else_it_has(expression, marks):
    assert left_out(expression) == marks


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("x = 1", set()),
        ("pytestmark = pytest.mark.slow", {"slow"}),
        ("pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]", {"slow", "timeout"}),
        ('TEXT = """\npytestmark = pytest.mark.slow\n"""', set()),
        ("def test():\n    pytestmark = pytest.mark.slow", set()),
        ("pytestmark = [pytest.mark.skipif(pytest.mark.slow is None)]", {"skipif"}),
        ("pytestmark = SOME if pytest.mark.slow else []", set()),
    ],
)
def test_marks_of_a_file(source, marks):
    assert marks_of_all(source) == marks

"""Kernels that never end for some values, and that no time limit stops: such calls are left out."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

import migrate  # noqa: E402
from migrate.records import Converted, Options  # noqa: E402

v1 = tf.compat.v1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("judge", ["tf2", "tf1"])
def test_a_rate_that_is_not_a_number(judge, tmp_path, monkeypatch, request):
    """Of NaN, RandomPoissonV2 accepts no number that it draws (core/kernels/random_poisson_op.cc)."""
    with v1.Graph().as_default(), v1.Session() as session:
        rate = v1.placeholder(tf.float32, [None], "rate")
        weight = v1.get_variable("weight", [1], initializer=v1.ones_initializer(), use_resource=False)
        drawn = tf.random.poisson([3], rate * weight, seed=3)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"rate": rate}, {"drawn": drawn})
    if judge == "tf1":
        monkeypatch.setenv("XDG_CACHE_HOME", request.getfixturevalue("tf1_cache"))
    options = Options(timeout=40, judge=judge)
    (report,) = migrate.convert(str(tmp_path / "old"), str(tmp_path / "new"), options).models
    assert isinstance(report.outcome, Converted), report
    assert report.verification.calls > 10

"""What is imported before a fork, and that jobs travel between processes as they are. No TensorFlow."""

from __future__ import annotations

import importlib.util
import pickle

import pytest

from migrate.model.messages import EXPORTING, JOBS, PRELOAD, VERIFYING, AuditJob, ConvertJob, ValidateJob
from migrate.records import Options

_OPTIONS = Options(tags="serve", feed={"keep_prob": 1.0}, max_ulps=3)


@pytest.mark.parametrize("name", PRELOAD)
def test_what_is_preloaded_is_there(name):
    assert importlib.util.find_spec(name) is not None


def test_each_step_has_what_the_one_before_it_has():
    assert set(EXPORTING) < set(VERIFYING) < set(PRELOAD)
    assert JOBS in PRELOAD and JOBS not in VERIFYING


@pytest.mark.parametrize(
    "job",
    [
        AuditJob("old", _OPTIONS),
        ValidateJob("new", "old", _OPTIONS),
        ConvertJob("old", "new", _OPTIONS),
        ConvertJob("old", "new", _OPTIONS, replace=True, identity="1"),
    ],
)
def test_a_job_travels(job):
    assert pickle.loads(pickle.dumps(job)) == job

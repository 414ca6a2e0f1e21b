from __future__ import annotations

import json
import pathlib
import time

import pytest

from migrate.checks import op_table
from migrate.checks.op_table import load_op_table, unavailable

TABLE = json.loads(pathlib.Path(op_table.TABLE_FILE).read_text())


def test_facts():
    table = load_op_table()
    assert table["Add"].on_cpu == table["Add"].registered == ("2.15", "2.21")
    assert (table["Assign"].has_ref, table["Assign"].is_stateful) == (True, False)
    assert table["VarHandleOp"].is_stateful
    assert table["DecodeWebP"].registered == ("2.21",)
    assert table["CudnnRNN"].on_other_device == ("2.15", "2.21")
    assert (table["TopK"].deprecated_since, table["TopK"].deprecation) == (7, "Use TopKV2 instead")
    # As many ops take or give a ref as TensorFlow's registry has.
    assert sum(info.has_ref for info in table.values()) == 134


def test_reasons():
    assert unavailable("MatMul") is None
    gone = unavailable("TRTEngineOp")
    assert gone is not None
    assert (gone.code, gone.reason) == ("unknown-op", "is gone since TensorFlow 2.15")


def test_loading_is_quick():
    seconds = []
    for _ in range(5):
        op_table.load_op_table.cache_clear()
        op_table._columns.cache_clear()
        start = time.perf_counter()
        load_op_table()
        seconds.append(time.perf_counter() - start)
    # 8 ms on the machine it was written on; what the bound guards against is a table ten times as slow.
    assert min(seconds) < 0.05


@pytest.mark.tensorflow
@pytest.mark.private_api
def test_the_table_is_what_its_script_would_write(monkeypatch):
    import tensorflow as tf

    release = ".".join(tf.__version__.split(".")[:2])
    if release not in TABLE:
        pytest.skip(f"the table has no column for {release}")
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2] / "tools"))
    import make_op_table

    made = make_op_table.column()
    assert made["deprecated"] == TABLE[release]["deprecated"]
    assert made["ops"] == TABLE[release]["ops"], "run tools/make_op_table.py"

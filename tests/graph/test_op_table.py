from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from migrate.given import GivenOp
from migrate.graph import op_table
from migrate.graph.op_table import EFFECTS, SHARES, load_op_table, newest_release, unavailable
from tests.waiting import steps

TOOLS = pathlib.Path(__file__).parents[2] / "tools"


@pytest.fixture
def maker(monkeypatch):
    """The script that writes the table; importing it starts no TensorFlow."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import make_op_table

    return make_op_table


def test_facts():
    table = load_op_table()
    assert newest_release() == "2.21"
    assert table["Add"].on_cpu == table["Add"].registered == ("2.15", "2.21")
    assert (table["Assign"].has_ref, table["Assign"].is_stateful) == (True, False)
    assert table["VarHandleOp"].is_stateful
    assert table["DecodeWebP"].registered == ("2.21",)
    assert table["CudnnRNN"].on_other_device == ("2.15", "2.21")
    assert (table["TopK"].deprecated_since, table["TopK"].deprecation) == (7, "Use TopKV2 instead")
    assert table["Unique"].outputs == (("y", ""), ("idx", ""))
    assert table["ParseSingleExample"].outputs[0] == ("sparse_indices", "num_sparse")
    assert table["Add"].outputs == (("z", ""),)
    assert table["Split"].outputs == (("output", "num_split"),)
    assert table["NoOp"].outputs == ()
    # As many ops take or give a ref as TensorFlow's registry has.
    assert sum(info.has_ref for info in table.values()) == len(op_table.load_ref_ops()) == 134


def test_classes():
    table = load_op_table()
    assert (table["MatMul"].effect, table["MatMul"].copies) == ("pure", True)
    assert (table["Identity"].effect, table["Identity"].copies) == ("pure", False)
    assert table["InplaceAdd"].writes == (0,)
    assert table["Abort"].effect == "process"
    assert table["MatMul"].kernel.startswith("core/kernels/")


def test_every_op_is_classed_and_what_is_known_names_its_kernel():
    for name, info in load_op_table().items():
        assert info.effect in EFFECTS, name
        assert info.kernel or (info.effect == "unread" and not info.copies), name


def test_the_table_has_the_classes_of_its_source(maker):
    classes = maker.read_classes((TOOLS / "op_classes.tsv").read_text())
    table = load_op_table()
    assert classes.keys() == table.keys()
    for name, row in classes.items():
        info = table[name]
        written = ",".join(map(str, info.writes)) or "-"
        made = (info.effect, written, SHARES[0 if info.copies else 1], info.kernel or "-")
        assert made == tuple(row[c] for c in maker.CLASS_COLUMNS), f"{name}: run tools/make_op_table.py"


def _registry(*ops: str) -> dict[str, dict[str, str]]:
    return {op: {"facts": "rc", "dtypes": "float32", "outputs": "", "deprecated": "", "calls": ""} for op in ops}


def _classes(*ops: str) -> dict[str, dict[str, str]]:
    return {op: {"op": op, "effect": "pure", "writes": "-", "shares": "may", "kernel": "k.cc"} for op in ops}


def test_an_op_without_a_class_is_named(maker):
    with pytest.raises(maker.StaleClassesError, match=r"no row for New, Newer$"):
        maker.join("2.21", _registry("Add", "Newer", "New"), _classes("Add"), {})


def test_an_op_that_takes_functions_is_none_that_only_computes(maker):
    registry = _registry("Add", "Map")
    registry["Map"]["calls"] = "yes"
    with pytest.raises(maker.StaleClassesError, match=r"call none: Map$"):
        maker.join("2.21", registry, _classes("Add", "Map"), {})


def test_a_class_without_an_op_is_named_once_all_releases_are_known(maker):
    columns, rows = maker.join("2.15", _registry("Add", "Old"), _classes("Add", "Old", "New"), {})
    assert (columns[:3], list(rows)) == (("op", "2.15", "2.21"), ["Add", "Old"])
    _, rows = maker.join("2.21", _registry("Add", "New"), _classes("Add", "Old", "New"), rows)
    assert {op: (row["2.15"], row["2.21"]) for op, row in rows.items()} == {
        "Add": ("rc", "rc"),
        "New": ("", "rc"),
        "Old": ("rc", ""),
    }
    with pytest.raises(maker.StaleClassesError, match=r"no op of 2\.15, 2\.21: Gone$"):
        maker.join("2.21", _registry("Add", "New"), _classes("Add", "Gone", "Old", "New"), rows)


def test_how_many_ops_are_on_which_side(maker):
    rows = maker.known_rows()
    copies = sum(info.copies for info in load_op_table().values())
    assert f"; {copies} are known to copy, {len(rows) - copies} may share a buffer" in maker.counted(rows)
    # Most ops of real graphs are known to copy; what nobody has read is on the other side.
    assert copies > 700
    assert not any(info.copies for info in load_op_table().values() if info.effect == "unread")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("B\tpure\t-\tmay\tk\nA\tpure\t-\tmay\tk", "not sorted"),
        ("A\tpure\t-\tmay\tk\nA\tpure\t-\tmay\tk", "two rows for A"),
        ("A\tharmless\t-\tmay\tk", "no such effect"),
        ("A\tpure\t-\tnever\tk", "none of copies, may"),
        ("A\tpure\tx\tmay\tk", "no positions"),
        ("A\tpure\t-\tmay\t-", "no kernel"),
        ("A\tunread\t-\tcopies\t-", "no kernel"),
    ],
)
def test_a_row_that_cannot_be_right(maker, rows, why):
    with pytest.raises(maker.StaleClassesError, match=why):
        maker.read_classes(f"op\teffect\twrites\tshares\tkernel\n{rows}\n")


def test_reasons():
    assert unavailable("MatMul") is None
    gone = unavailable("TRTEngineOp")
    assert gone is not None
    assert (gone.code, gone.reason) == ("unknown-op", "is gone since TensorFlow 2.15")


def test_loading_is_quick():
    op_table._table.cache_clear()
    # Two for each op; what the bound guards against is a table that is parsed in full.
    assert steps(load_op_table) < 5 * len(load_op_table())


@pytest.mark.tensorflow
@pytest.mark.private_api
def test_the_table_is_what_its_script_would_write(maker):
    import tensorflow as tf

    release = ".".join(tf.__version__.split(".")[:2])
    if release not in maker.RELEASES:
        pytest.skip(f"the table has no column for {release}")
    # In a process of its own: another test may have had TensorFlow load more ops or kernels.
    program = "import json, make_op_table; print(json.dumps(make_op_table.read_registry()))"
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    asked = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True, timeout=240
    )
    registry = json.loads(asked.stdout.splitlines()[-1])
    classes = maker.read_classes((TOOLS / "op_classes.tsv").read_text())
    columns, rows = maker.join(release, registry, classes, maker.known_rows())
    assert maker.written(columns, rows) == maker.TABLE.read_text(), "run tools/make_op_table.py"


def _given(name="Mine", **facts):
    base = GivenOp(name, False, False, False, True, False, "float32|N*@T", (("y", ""), ("z", "N")))
    return dataclasses.replace(base, **facts)


def test_ops_of_given_libraries_are_in_the_table_for_as_long_as_they_are_given():
    before = len(load_op_table())
    assert "Mine" not in load_op_table() and op_table.may_call("Mine")
    with op_table.with_ops([_given(), _given("Kept", is_stateful=True), _given("Calls", calls=True)]):
        table = load_op_table()
        assert len(table) == before + 3 and {"Mine", "Add"} <= {*table}
        assert (table["Mine"].effect, table["Mine"].copies, table["Mine"].writes) == ("pure", False, ())
        assert (table["Kept"].effect, table["Calls"].effect) == ("state", "calls")
        assert table.get("Absent") is None and table["Add"] is op_table.of_tensorflow()["Add"]
        assert not op_table.may_call("Mine") and op_table.may_call("Calls")
        assert op_table.may_share("Mine") and op_table.may_keep("Kept") and not op_table.may_keep("Mine")
        assert unavailable("Mine") is None
    assert len(load_op_table()) == before and op_table.may_call("Mine")


def test_a_given_op_that_takes_a_ref_is_one_of_the_ref_ops():
    with op_table.with_ops([_given(has_ref=True)]):
        assert "Mine" in op_table.load_ref_ops()
    assert "Mine" not in op_table.load_ref_ops()


def test_other_threads_have_no_library_of_this_one():
    found = []
    with op_table.with_ops([_given()]):
        thread = threading.Thread(target=lambda: found.append("Mine" in load_op_table()))
        thread.start()
        thread.join()
    assert found == [False]

"""What servers load beside TensorFlow. No TensorFlow."""

from __future__ import annotations

import sys
import types

from migrate.processes.keep_warm import Wanted
from migrate.processes.preloaded import TENSORFLOW, entry, load_all, loads, preloading, with_given

_MINE, _OTHER = entry("a.loader", "op_library=/x:y.so"), entry("a.loader", "import_module=m")


def test_what_is_given_is_for_servers_with_tensorflow_alone():
    assert with_given(TENSORFLOW) == TENSORFLOW
    with preloading([_MINE, _OTHER]):
        assert with_given((*TENSORFLOW, "json")) == (*TENSORFLOW, "json", _MINE, _OTHER)
        assert with_given(("json",)) == ("json",)
        with preloading(()):
            assert with_given(TENSORFLOW) == TENSORFLOW
    assert with_given(TENSORFLOW) == TENSORFLOW


def test_a_server_with_other_libraries_does_not_do():
    plain, mine = Wanted(TENSORFLOW, (), ()), Wanted((*TENSORFLOW, _MINE), (), ())
    both = Wanted((*TENSORFLOW, _OTHER, _MINE), (), ())
    assert plain.covers(plain) and mine.covers(mine) and mine.covers(Wanted((_MINE, *TENSORFLOW), (), ()))
    assert not mine.covers(plain) and not plain.covers(mine) and not both.covers(mine) and not mine.covers(both)
    assert mine.covers(Wanted((), mine.preload, ()))


def test_an_entry_is_loaded_with_all_that_follows_its_module(monkeypatch):
    found = []
    module = types.ModuleType("a_loader")
    module.load = found.append
    monkeypatch.setitem(sys.modules, "a_loader", module)
    load_all([entry("a_loader", "op_library=/x:y.so"), "a_loader"])
    assert found == ["op_library=/x:y.so"]
    assert loads(["json", _MINE]) == {_MINE}


def test_modules_of_this_package_are_prepared_once_all_are_imported(monkeypatch):
    found = []
    for name in ("migrate.one", "another", "migrate.two"):
        module = types.ModuleType(name)
        module.load = lambda _, name=name: found.append(f"{name} loaded")
        module.prepare = lambda name=name: found.append(f"{name} prepared")
        monkeypatch.setitem(sys.modules, name, module)
    load_all(["migrate.one", "another", entry("migrate.two", "x")])
    assert found == ["migrate.two loaded", "migrate.one prepared", "migrate.two prepared"]

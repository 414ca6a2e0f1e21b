"""Flags become one frozen Options."""

from __future__ import annotations

import pytest

from migrate.records import (
    Options,
)
from tests.cli.fake_api import run


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("audit a", ("audit", (["a"],), Options())),
        ("audit a b --tags=serve,gpu", ("audit", (["a", "b"],), Options(tags=frozenset({"serve", "gpu"})))),
        ("audit --tags= a", ("audit", (["a"],), Options(tags=frozenset()))),
        ("audit -- --odd", ("audit", (["--odd"],), Options())),
        ("convert a b", ("convert", ("a", "b"), Options())),
        ("convert a --noverify b", ("convert", ("a", "b"), Options(verify=False))),
        (
            "convert a b --drop_signatures --overwrite --inputs=calls.npz --allow_side_effects"
            " --max_ulps=4 --timeout=60 --tags serve --verify=false",
            (
                "convert",
                ("a", "b"),
                Options(
                    tags=frozenset({"serve"}),
                    verify=False,
                    drop_signatures=True,
                    overwrite=True,
                    inputs="calls.npz",
                    allow_side_effects=True,
                    max_ulps=4,
                    timeout=60.0,
                ),
            ),
        ),
        ("validate b --against=a --max_ulps=1", ("validate", ("b",), Options(max_ulps=1))),
        (
            "validate b --against=a --variables --keep_tensor_names --drop_signatures --feed=k:0=1 "
            "--signature=f:inputs=x=x:0;outputs=y=y:0",
            (
                "validate",
                ("b",),
                Options(
                    variables=True,
                    keep_tensor_names=True,
                    drop_signatures=True,
                    feed=("k:0=1",),
                    signature="f:inputs=x=x:0;outputs=y=y:0",
                ),
            ),
        ),
        ("convert a b --drop-signatures -j4", ("convert", ("a", "b"), Options(drop_signatures=True, jobs=4))),
        ("convert a b --max-ulps 2 -j 4", ("convert", ("a", "b"), Options(max_ulps=2, jobs=4))),
        ("convert -j=4 --no-verify a b", ("convert", ("a", "b"), Options(jobs=4, verify=False))),
        ("convert a b --verify", ("convert", ("a", "b"), Options(verify="full", given={"verify"}))),
        ("convert --verify a b", ("convert", ("a", "b"), Options(verify="full", given={"verify"}))),
        ("convert a b --verify=replay", ("convert", ("a", "b"), Options(verify="replay"))),
        ("convert a b --verify=none", ("convert", ("a", "b"), Options(verify=False))),
        ("validate b --against=a --verify=replay", ("validate", ("b",), Options(verify="replay"))),
        ("audit a --checkpoint-root --drop-this", ("audit", (["a"],), Options(checkpoint_root="--drop-this"))),
        ("audit -- --follow-links", ("audit", (["--follow-links"],), Options())),
    ],
)
def test_flags_become_options(line, call, calls):
    assert run(line) == 0
    ((verb, operands, settings),) = calls
    assert (verb, operands, settings["options"]) == call
    assert (settings["progress"] is None) == (verb == "audit")
    assert settings.get("against") == ("a" if verb == "validate" else None)


def test_each_run_starts_from_the_defaults(calls):
    run("convert a b --overwrite")
    run("convert a b")
    assert [settings["options"].overwrite for _, _, settings in calls] == [True, False]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("convert a b --tags=serve --all_tags", "give one of the two"),
        ("convert a b --metadata=x", "--metadata=x: expected KEY=VALUE"),
        ("convert a b --metadata=x=1 --metadata=x=2", "--metadata gives 'x' two values"),
        ("convert a b --feed=x:0=1 --feed=x:0=2", "--feed gives 'x:0' two values"),
        ("audit a --signature=f:outputs=y=y:0 --signature=f:outputs=z=z:0", "--signature names 'f' twice"),
        ("audit a --architecture=no/such/file", "--architecture=no/such/file: no such file"),
        ("convert a b --beam_options='x", "--beam_options='x: No closing quotation"),
        ("audit a --custom_objects=x", "x"),
    ],
)
def test_values_that_make_no_sense_are_said(line, said, calls, capsys):
    assert run(line) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not calls


def test_a_default_that_somebody_asks_for_is_known(calls):
    run("convert a b --max_ulps=0 --verify")
    assert calls[0][2]["options"].given == {"max_ulps", "verify"}

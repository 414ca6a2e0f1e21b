"""Writes docs/ref-ops.md: what becomes of each ref op, and the test that proves it.

    python tools/make_ref_ops.py

The ops come from migrate/graph/ops.tsv, their fates from migrate/rewrite, the tests from tests/rewrite, and the
property test's counts from docs/fuzz.json, which `make fuzz` writes.
"""

from __future__ import annotations

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ref-ops.md"
COUNTS = ROOT / "docs" / "fuzz.json"
sys.path.insert(0, str(ROOT))

from migrate.finding_codes import meaning  # noqa: E402
from migrate.graph.op_table import load_op_table  # noqa: E402
from migrate.rewrite.ops import OPS, REF_CONTROL_FLOW  # noqa: E402
from migrate.rewrite.refusals import MADE_BY, REFUSED, TEST_OPS  # noqa: E402
from migrate.rewrite.rules.table import RULED_OPS  # noqa: E402

FACTS = frozenset({"again", "equal", "graphs", "next_seed", "programs", "proof", "tensorflow"})
"""Keys of docs/fuzz.json that are no code of a refusal."""

OWN = {
    "AccumulateNV2": "AddN, and + 0 (a v1 Session begins with zeros)",
    "DestroyTemporaryVariable": "Identity of what was last written",
    "FakeQueue": "Identity of the queue's resource",
    "IsVariableInitialized": "VarIsInitializedOp; in the init op, where the answer is known from the graph, a Const",
    "RefSelect": "a Switch for each ref, of which one is alive, and a Merge, on resources",
    "SdcaShrinkL1": "ReadVariableOp, sign(w) * max(|w| - l1 / l2, 0), AssignVariableOp, for each weight",
    "Stack": "StackV2 without a bound",
    "TemporaryVariable": "dataflow: each write becomes the value that it makes; anything but a straight line of "
    "Assign, AssignAdd, AssignSub and DestroyTemporaryVariable is refused",
    "TensorArray": "TensorArrayV3",
    "TensorArrayGrad": "TensorArrayGradV3",
    "TensorArrayPack": "TensorArrayGatherV3 of all indices",
    "TensorArrayUnpack": "TensorArrayScatterV3 to all indices",
    "Variable": "VarHandleOp, its shared_name the variable's identity",
    "VariableV2": "VarHandleOp, its shared_name the variable's identity",
}
"""What becomes of an op that has no one twin."""

GRAPH_CODES = (
    "aliased-buffer-undecided",
    "reshape-in-control-flow",
    "ref-loop-variable",
    "ref-is-fed",
    "handle-as-value",
    "ref-in-function",
    "initialized-undecided",
    "scatter-div-by-zero",
    "variable-without-value",
)
"""Refusals that are about a graph, not about an op."""


FOUND = (
    ("snapshot", "Snapshot copies a variable's buffer, and was taken for an op that passes it on"),
    ("sparse_reorder", "SparseReorder, MatrixBandPart and others give their input's buffer when nothing is to do"),
    ("inplace_add", "InplaceAdd writes the buffer of a variable that was read without arithmetic"),
    ("reshapes_of_one_name_in_two_scopes", "two reshapes of one name made two nodes of one name"),
    ("is_variable_initialized_in_the_init_op", "an init op that asks found its variables initialised, with zeros"),
    ("a_variable_node_in_a_branch", "a variable's node in a branch or loop: reads of its handle ran outside, always"),
    ("a_tf_function_in_a_loop", "a NoOp that waited for a variable's node in a loop was left outside of the loop"),
    ("FixedLengthRecordReader", "no v1 Session runs it: its kernel asks for an attribute that the op does not have"),
)
"""What the differential tests have found: part of a test's name, and what it was."""


def becomes(op: str) -> str:
    """What the rewrite makes of an op, in words."""
    if op in OWN:
        return OWN[op]
    known = OPS[op]
    if known.carried:
        return f"{known.twin}; where its output is used, the handle once it ran"
    return f"{known.twin} of the resource" if op in REF_CONTROL_FLOW else known.twin


def fates(tests: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Table rows of the rewritten ops, the refused ones and the test ops."""
    rewritten, refused, for_tests = [], [], []
    names = {name for name, info in load_op_table().items() if info.has_ref} | {"AccumulateNV2"}
    for op in sorted(names):
        if op in TEST_OPS:
            for_tests.append(f"`{op}`")
        elif op in RULED_OPS:
            rewritten.append(f"| {op} | {becomes(op)} | `{tests[op]}` |")
        else:
            maker = MADE_BY.get(op, op)
            reason = REFUSED[maker].reason if maker == op else f"it works on a {maker}"
            refused.append(f"| {op} | {reason} | `test_refused[{op}]` |")
    return rewritten, refused, for_tests


def _differed(seeds: list[int]) -> str:
    """What docs/fuzz.json says of programs that gave other answers, and were not drawn again since with equal ones."""
    return f"the programs of these seeds differ: {', '.join(map(str, seeds))}" if seeds else "none differs"


def page() -> str:
    """The whole page."""
    from tests.product import test_fuzz, test_ref_ops
    from tests.product.test_lowered import RACES

    tests: dict[str, str] = {}
    for op, name in test_ref_ops.PROOFS:
        tests.setdefault(op, f"test_ref_op[{op}-{name}]")
    tests |= test_ref_ops.ELSEWHERE
    rewritten, refused, for_tests = fates(tests)
    refs = len(rewritten) - 1  # AccumulateNV2 has no ref, and is in the page for what it becomes.
    counts = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.is_file() else {}
    lines = [
        "# What becomes of each ref op",
        "",
        "Written by `python tools/make_ref_ops.py`; do not edit.",
        "",
        f"{refs + len(refused)} ops of TensorFlow take or give a ref: {refs} are rewritten, {len(refused)} refused.",
        f"Its registry has {len(for_tests)} more, which exist for TensorFlow's own tests only. The tests",
        "named here are in `tests/product/test_ref_ops.py`: a v1 Session answers several calls, and the converted",
        "model must give the same bits. `tests/rewrite/test_aliases.py` does so for every way in which a tensor shares",
        "a variable's buffer, `tests/plan/test_training.py` for the optimizers of `tf.compat.v1.train`.",
        "",
        "## Rewritten",
        "",
        "| op | becomes | test |",
        "|---|---|---|",
        *rewritten,
        "",
        "A read of a variable stands where TF1 looked into its buffer: at the op that computes with it, or once at the",
        "source where nothing that the signature runs writes the variable.",
        "",
        "## Refused",
        "",
        "| op | why | test |",
        "|---|---|---|",
        *refused,
        "",
        "Some graphs are refused although each of their ops could be rewritten:",
        "",
        "| code | when |",
        "|---|---|",
        *(f"| `{code}` | {meaning(code)} |" for code in GRAPH_CODES),
        "",
        "`ref-in-function` concerns graphs that TensorFlow's own Python makes only of `tf.raw_ops`. Asked for a ref op",
        "in the functions of an If, Case or While, TensorFlow 1.15.5 and 2.21.0 say",
        "(`testdata/ask_functional_refs.py`):",
        "",
        "| asked for, with `enable_control_flow_v2` | answer |",
        "|---|---|",
        "| an assignment in `tf.cond`, `tf.while_loop`, a `Defun` | TypeError: a function takes values, not refs |",
        "| a new variable in `tf.cond` or a `Defun` | the same TypeError: the variable is made outside |",
        "| a read in `tf.cond` | no ref op in the function: the value is its argument |",
        "| `tf.raw_ops.VariableV2` in `tf.cond`, `tf.switch_case`, `tf.while_loop` | ref ops in the function |",
        "",
        "A v1 Session runs such graphs (`testdata/ask_ref_bodies.py`, TensorFlow",
        "1.15.5). Without `_lower_using_switch_merge` a body runs under the names that it has: a variable without a",
        "shared_name is one with those of that name in the graph and at other call sites, keeps its value between",
        "calls, and is filled by the main graph's Assign. Lowered, it is another one for each call site, named",
        "`call/then/_0/v` after a count of the graph's nodes, which nothing in the graph can initialise; only a body",
        "that sets it first, or a shared_name that the graph has too, gives an answer. All of these are converted, and",
        "answer as TensorFlow 1.15.5 does (`tests/rewrite/test_branches.py`). Refused are a variable that nothing sets",
        "(`variable-without-value`: a v1 Session fails, too), and as `ref-in-function` a body that calls another",
        "function, or that holds a queue, a table, a resource variable or v1 control flow, and one that takes or gives",
        "a resource or a variant. No TensorFlow 1.15.5 Session runs a function with an argument of a ref type: it says",
        "InvalidArgument, with or without its optimiser, whatever calls the function.",
        "",
        "## Reads and writes that no edge orders",
        "",
        "TF1 gives such a read no defined answer, and neither does the new model: `unordered-access` names it, and",
        "verification compares the output that depends on it on name, dtype and shape only. Functional control flow",
        "beside a write is the hard case. A v1 Session lowers an If, Case or While of its main graph to Switch and",
        "Merge, so that an output waits for what its own value needs, and a kernel (without",
        "`_lower_using_switch_merge`) gives all its outputs at once. TensorFlow 1.15.5 was asked, with its optimiser",
        "on and off, the read slow and the write slow. In the graphs of this table it gave two answers for the kinds",
        "that are named, and one for the others; audit says so for exactly these (`tests/product/test_lowered.py`).",
        "`first` is an output that needs nothing of the variable and is made of `given`, as the predicate is; `second`",
        "is one that needs it, made of `late`.",
        "",
        "| read and write | undefined for |",
        "|---|---|",
        *(f"| {inside}, {other} | {', '.join(sorted(kinds)) or 'none'} |" for (inside, other), kinds in RACES.items()),
        "",
        "The first row is the form of a random graph (a lowered `StatelessIf`, a read that it takes, and a write that",
        "waits for its other output), see `tests/product/test_lowered.py`.",
        "",
        "## Test ops",
        "",
        ", ".join(for_tests) + ": refused as unknown.",
        "",
        "## The property test",
        "",
        "`make fuzz` draws random TF1 programs (ref and resource variables, reads, writes, scatters, conds and loops",
        "of both kinds, functions, ordered by control and data edges), saves the converted model, and compares several",
        "calls of it, by `tf.saved_model.load` and in a v1 Session, bit for bit, with the source in a v1 Session",
        "(`tests/product/test_fuzz.py`). It goes on from the seed at which the last run has ended.",
    ]
    if counts:
        others = {key: n for key, n in counts.items() if key not in FACTS}
        told = "".join(f", {n} were refused as `{code}`" for code, n in others.items())
        lines += [
            "",
            f"Its long runs drew {counts['graphs']} graphs on TensorFlow {counts['tensorflow']}:",
            f"{counts['equal']} gave equal answers{told}; {_differed(counts['again'])}.",
        ]
    if "proof" in counts:
        proof = counts["proof"]
        lines += [
            "",
            f"The proof (docs/proof.md) looked at the {proof['programs']} that gave answers. Of {proof['whole']} all",
            f"is proved; of their {proof['outputs']} outputs and states {proof['proved']} are. The rest, by reason:",
            "",
            "| not proved because | outputs and states |",
            "|---|---|",
            *(f"| {reason} | {number} |" for reason, number in proof["not_proved"].items()),
        ]
    lines += ["", "What it has found, each now a test of its own (`test_found`):", ""]
    lines += [f"- **{name}**: {found.what}" for name, found in test_fuzz.FOUND.items()]
    lines += ["", "And what the other differential tests have found:", ""]
    lines += [f"- **{name}**: {what}." for name, what in FOUND]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")

"""Reports that the tests of this folder show."""

from __future__ import annotations

from migrate.records import (
    AlreadyTF2,
    Converted,
    Convertible,
    Crashed,
    Failed,
    Finding,
    Kind,
    MetaGraphFacts,
    Mismatch,
    Mismatched,
    ModelReport,
    OutputDifference,
    Refused,
    Severity,
    Signature,
    TensorSpec,
    TimedOut,
    Unchanged,
    Unreadable,
    Unverified,
    Validated,
    VariableFacts,
    Verification,
    refusal,
)

LONG = "a_rather_long_scope/" * 6 + "node"

SIGNATURES = (
    Signature(
        "serving_default",
        "tensorflow/serving/predict",
        {
            "x": TensorSpec("x:0", "float32", (None, 3)),
            "image/encoded": TensorSpec("image:0", "string", None),
            LONG: TensorSpec(f"{LONG}:0", "int64", (None, None, None, 1001)),
        },
        {"y": TensorSpec("y:0", "float32", ())},
    ),
    Signature(
        "classify",
        "tensorflow/serving/classify",
        {"inputs": TensorSpec("", "int64", (None, 9), "coo_sparse", ("v:0", "i:0", "s:0"))},
        {},
    ),
    Signature("bare", "", {}, {}),
)

VARIABLES = (
    *(VariableFacts(f"v{i}", "float32", (100, 100), i % 2 == 0, i < 4, i < 3) for i in range(5)),
    VariableFacts("words", "string", None, False, False, True),
)

FACTS = MetaGraphFacts(
    tags=("serve", "gpu"),
    tf_version="1.15.0",
    nodes=1234,
    ops={"VariableV2": 3, "Add": 2},
    signatures=SIGNATURES,
    variables=VARIABLES,
    tables=("hash_table",),
    assets=tuple(f"vocabulary_{i}.txt" for i in range(9)),
    init_ops=("init",),
    control_flow_nodes=12,
    functions=("f",),
)

TRAINING_FACTS = MetaGraphFacts(("train",), "1.15.0", 9, {}, (), (), (), (), (), 0, ())

REFUSAL = refusal(
    "no-kernel",
    "The op BoostedTreesBucketize has no kernel in TensorFlow 2.21.0, so that a call which reaches it fails.",
    tuple(f"{LONG}_{i}" for i in range(17)),
    "Leave out the signature with --drop_signatures.",
)
UNVERIFIED = Finding("unverified", Severity.WARNING, "nothing differs, and ...", ("classify/scores",), "use --inputs")
NOTE = Finding("stale-shapes", Severity.NOTE, "first line\nsecond line")

_OUTPUTS = tuple(OutputDifference("serving_default", "y", path, 36, 500, True, 0.0, 0) for path in ("tf2", "session"))
PASSED = Verification(36, 72, 1000, True, 0.0, 0, 5, (), (), {}, _OUTPUTS)
CLOSE = Verification(36, 72, 1000, False, 1.25e-7, 3, 0, (), (), {"bare": "You must feed a value"}, _OUTPUTS)
NOTHING = Verification(1, 2, 0, True, 0.0, 0, 0, (), (), {}, unverified={"serving_default/y": "every answer was empty"})
PARTLY = Verification(
    36,
    80,
    1000,
    True,
    0.0,
    0,
    5,
    ("classify/scores",),
    (),
    {"other": "no synthesised call is accepted"},
    _OUTPUTS,
    {"other": "no synthesised call is accepted", "classify/scores": "the source itself answers otherwise"},
)
DIFFERENT = Verification(
    36,
    72,
    1000,
    False,
    float("inf"),
    12,
    3,
    (),
    tuple(
        Mismatch(
            "serving_default",
            call,
            "y",
            "tf.saved_model.load",
            f"value 3: 1.0, not 2.0, in {LONG}",
            "answer-differs",
            ("Serving REST", "gRPC", "Session", "Python"),
        )
        for call in range(22)
    ),
    {},
)


def model(name, outcome, **fields):
    return ModelReport(f"models/{name}", f"new/{name}", Kind.TF1_SAVED_MODEL, outcome, **fields)


MODELS = (
    model("convertible", Convertible(), meta_graphs=(TRAINING_FACTS, FACTS)),
    ModelReport("models/already", None, Kind.TF2_SAVED_MODEL, AlreadyTF2()),
    ModelReport("models/unreadable", None, Kind.UNKNOWN, Unreadable(f"{LONG}: a git LFS pointer")),
    model("converted", Converted(), meta_graphs=(FACTS,), verification=PASSED, seconds={"read": 0.5}),
    model("unverified", Converted(), meta_graphs=(FACTS,), findings=(NOTE,)),
    model("unchanged", Unchanged()),
    model("validated", Validated(), verification=CLOSE),
    model(f"refused/{LONG}", Refused(), meta_graphs=(FACTS,), findings=(NOTE, REFUSAL)),
    model("mismatched", Mismatched("22 outputs differ"), meta_graphs=(FACTS,), verification=DIFFERENT),
    model("nothing", Unverified("no value was compared"), verification=NOTHING),
    model("partly", Unverified("nothing differs, and ..."), findings=(UNVERIFIED,), verification=PARTLY),
    model("failed", Failed("No space left on device"), meta_graphs=(FACTS,)),
    model("crashed", Crashed("golden", -11, "Fatal Python error: Segmentation fault\n")),
    model("timed_out", TimedOut("candidate", 600.0)),
)

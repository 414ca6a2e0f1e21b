"""Writes docs/dead-ops.md: what becomes of each op of TensorFlow 1.15.5 that TensorFlow 2 cannot run.

    python tools/make_dead_ops_page.py             # the page
    python tools/make_dead_ops_page.py MODELS      # counts the models of a corpus that have each op, too

The ops of TensorFlow 1 come from tools/tf1_ops.tsv, those of TensorFlow 2 from migrate/graph/ops.tsv, the rules from
migrate/rewrite, the models from testdata/dead_ops, the numbers of models of a corpus from tools/dead_ops_in_corpus.tsv,
and the reasons for refusals from here.
"""

from __future__ import annotations

import collections
import inspect
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dead-ops.md"
CORPUS = ROOT / "tools" / "dead_ops_in_corpus.tsv"
sys.path.insert(0, str(ROOT))

from migrate.graph.op_table import unavailable  # noqa: E402
from migrate.graph.protos import SavedModel  # noqa: E402
from migrate.plan.resource_kinds import ON_GPU_ALONE, READ_WHEN_PLANNING, VECTOR_MAKERS  # noqa: E402
from migrate.proof.equations import ACCUMULATE, ARRAYS, MAKERS, RENAMED  # noqa: E402
from migrate.proof.expanded import EXPANDED  # noqa: E402
from migrate.rewrite.ops import OPS  # noqa: E402
from migrate.rewrite.rules.table import TABLE  # noqa: E402
from tools.make_ref_ops import OWN  # noqa: E402

LATER = "no rule yet"
TESTED = (
    "A model of `testdata/dead_ops` has answers of TensorFlow 1.15.5's own kernel, and the new model gives the same",
    "bits with the graph optimiser off (`tests/product/test_dead_ops.py`, which has the exceptions and the gradients).",
    "Where the proof knows the op, a model is proved without TensorFlow 1; elsewhere `--judge=tf1` compares it, or a",
    "golden file.",
    "",
    "cuDNN's networks run on a GPU alone. The models of `testdata/cudnn` have answers of what computes the same on a",
    "CPU in TensorFlow 1.15.5 (CudnnCompatibleLSTMCell, CudnnCompatibleGRUCell, BasicRNNCell, layers of tf.keras), and",
    "the new models are within 1e-6 of them (`tests/product/test_cudnn.py`). What cuDNN itself answers is not shown:",
    "record it on a machine with a GPU and give it with `--golden`. The weights must come from canonical ones, as a",
    "saver of tf.contrib.cudnn_rnn stores them, or from a layer of tf.keras; a vector in cuDNN's own order is refused.",
)
REASONS = (
    (
        r"^TPU(Partitioned|Replica|Ordinal|Compilation)",
        "runs on a TPU alone; beside such a graph an export of TPUEstimator has one for CPUs, which --tags=serve takes",
    ),
    (r"XlaClusterOutput", "marks what XLA compiles"),
    (r"TPU|Infeed|Outfeed|Prelinearize|AllToAll|Collective|CrossReplica|WorkerHeartbeat", "runs on a TPU alone"),
    (r"Nccl", "exchanges data between GPUs"),
    (
        r"Bigtable|Kafka|Kinesis|Ignite|SequenceFile|DecodeLibsvm|Experimental|FilterByLast|ObtainNext",
        "reads input for training",
    ),
    (r"DecodeAudio|DecodeVideo|EncodeAudio", "runs the program ffmpeg"),
    (r"BytesInUse|BytesLimit", "asks how much memory the process uses"),
    (
        r"^(Resampler|PeriodicResampleOp|BatchNormWithGlobalNormalization)Grad$",
        "is for training: a GradientTape of the new model gives the same",
    ),
    (r"FeatureUsage|TraverseTree", "asks for more of a resource than a prediction does"),
    (r"RandomCrop", "crops at random, for training"),
    (r"MaskedMatmul", "is for training"),
    (r"BipartiteMatch|HyperplaneLSH", "takes what is equal in the order of a heap inside its kernel"),
    (r"ReinterpretStringToFloat", "hashes words with the C++ library's hash function, which no other op has"),
    (r"StatefulStandardNormal", "reads the state of a random generator in a form that no later TensorFlow has"),
    (
        r"Stats|Grow|Update|Process|Center|Finalize|Build|MakeQuantile|Accumulator|AddSummaries|Flush|CalculateBest|Aggregate"
        r"|MakeStats|TrainingPredict|WALS|SkipGram|PartitionExamples|CreateQuantile|Backprop|Grad$|GradGrad|ScatterAddNdim"
        r"|ZeroInit|ZeroVarInit|UsedHandlers",
        "is for training",
    ),
    (
        r"DebugOutputs",
        "explains predictions, serialized, to experimental_predict_with_explanations alone: no export has it",
    ),
    (
        r"^(Is)?BoostedTrees|^Tree(Ensemble)?(IsInit|Serialize|Size)|Fertile",
        "asks for more of a resource than a prediction does",
    ),
    (r"QuantileBuckets", "is for training: it computes buckets from all examples that it is given"),
    (r"QuantileStreamResource", "is for training: it holds what the accumulators collect"),
    (r"CudnnRNNParams", "asks cuDNN for the order of its weights"),
    (r"CudnnRNNCanonicalToParamsV2", "is of networks with projections, which no loop in their place computes"),
    (r"SingleImageRandomDot", "draws random numbers inside its kernel"),
    (r"^A$|^B$|Test|Old$|Reserved|Simple|Stub", "is there for TensorFlow's own tests"),
)
"""Part of an op's name, and why no rule claims it; the first that fits."""


def models() -> dict[str, list[str]]:
    """Op -> the models of testdata/dead_ops, rounded_ops and cudnn that have it."""
    found: dict[str, list[str]] = {}
    for folder in ("dead_ops", "rounded_ops", "cudnn"):
        for path in sorted((ROOT / "testdata" / folder).glob("*/saved_model.pb")):
            graph = SavedModel.FromString(path.read_bytes()).meta_graphs[0].graph_def
            for op in {node.op for node in graph.node}:
                found.setdefault(op, []).append(path.parent.name)
    return found


def counted(folder: str) -> dict[str, int]:
    """Op that TensorFlow 2 cannot run -> how many models of a corpus have it."""
    import migrate

    found: collections.Counter[str] = collections.Counter()
    for model in migrate.audit(folder).models:
        found.update({op for graph in model.meta_graphs for op in graph.ops if unavailable(op) is not None})
    return dict(found)


def becomes(op: str) -> str:
    """The living form of an op that a rule claims."""
    if op in READ_WHEN_PLANNING:
        return "what it holds is read from the checkpoint when the model is planned"
    if op in VECTOR_MAKERS:
        return "its weights and biases one after another, in the order in which the loops take them"
    twin = OPS[op].twin
    if twin:
        return twin
    own = {**OWN, "TensorArrayGradV2": "TensorArrayGradV3", "TopK": "TopKV2, whose k is an input"}
    if op in own:
        return own[op]
    text = inspect.getdoc(TABLE.rules[op].rewrite) or TABLE.rules[op].name
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


KERNELS = (
    (r"^BatchI?FFT", "fft_ops.cc"),
    (r"^BatchMatrixBandPart$", "matrix_band_part_op.cc"),
    (r"^BatchMatrix(Diag|DiagPart)$", "matrix_diag_op.cc"),
    (r"^BatchMatrixSetDiag$", "matrix_set_diag_op.cc"),
    (r"^Batch", "linalg_ops.cc"),
    (r"^BoostedTrees.*Quantile", "boosted_trees/quantile_ops.cc"),
    (r"^BoostedTrees", "boosted_trees/resource_ops.cc"),
    (r"^CudnnRNN", "cudnn_rnn_ops.cc"),
    (r"FertileStats", "contrib/tensor_forest/kernels/stats_ops.cc"),
    (r"^(CreateTreeVariable|DecisionTreeResource|TreeDeserialize)", "contrib/tensor_forest/kernels/model_ops.cc"),
    (r"TreeEnsemble", "contrib/boosted_trees/kernels/model_ops.cc"),
    (r"^FixedLengthRecordReader$", "fixed_length_record_reader_op.cc"),
    (r"Reader$", "core/ops/io_ops.cc, reader_ops.cc"),
    (r"^TensorArray", "tensor_array_ops.cc"),
    (r"^TopK$", "topk_op.cc"),
)
"""Part of an op's name, and the files (of core/kernels where no folder is named) that were read, where neither the
docstring of its rule nor that of the module says it; migrate/proof/equations.py and contents.py have the lines."""
_FILE = re.compile(r"\b[\w/]*\w\.(?:cc|h)\b")


def kernel(op: str) -> str:
    """The files of TensorFlow 1 that were read for a rule."""
    rule = TABLE.rules.get(op)
    if rule is not None:
        texts = inspect.getdoc(rule.rewrite), inspect.getmodule(rule.rewrite).__doc__
        found = next((files for text in texts if (files := _FILE.findall(text or ""))), [])
        if found and rule.rewrite.__name__ != "with_twin":
            return ", ".join(dict.fromkeys(name.removeprefix("core/kernels/") for name in found))
    return next((files for pattern, files in KERNELS if re.search(pattern, op)), "unread")


ROUNDED = {
    "AdjustContrast": "within 2e-7 of the largest",
    "FusedConv2DBiasActivation": "same bits; of float32, which a GPU alone runs, those of Conv2D, Mul, AddN, BiasAdd "
    "and Relu",
    "MatrixExponential": "same bits, and those of TensorFlow 2's own kernel; of float32 beyond 25 x 25 within 2e-6 of "
    "the largest; of complex64 from 5 x 5 and complex128 from 8 x 8 TensorFlow 2.21's bits alone; complex numbers that "
    "overflow are NaN",
    "QuantizeAndDequantize": "same but for the sign of zeros",
    **{
        f"Batch{way}{rank}": "within 1e-6 of the largest (of FFT)"
        for way in ("FFT", "IFFT")
        for rank in ("", "2D", "3D")
    },
}
"""Ops of which the new form has other bits; tests/product/test_dead_ops.py says why."""


def shown(op: str, models_of: list[str]) -> str:
    """How exact the new form is, and which test shows it."""
    if op in UNPROVED:
        return "-"
    if op in ON_GPU_ALONE:
        return "within 1e-6 of the cells; test_cudnn.py"
    if op == "TRTEngineOp":
        return "the segment's ops; test_dead_ops.py"
    if models_of:
        return f"{ROUNDED.get(op, 'same bits')}; test_dead_ops.py"
    has_test = re.compile(rf"\b{op}\b")
    files = (ROOT / "tests" / "product" / name for name in ("test_old_ops.py", "test_ref_ops.py"))
    test = next((file.name for file in files if has_test.search(file.read_text(encoding="utf-8"))), "")
    return f"same bits; {test}" if test else "not shown"


def reason(op: str, on_cpu: str) -> str:
    """Why no rule claims an op."""
    dead = unavailable(op)
    if dead is not None and dead.code == "op-not-in-functions":
        return dead.reason
    why = next((why for pattern, why in REASONS if re.search(pattern, op)), LATER)
    return why if on_cpu or why != LATER else "TensorFlow 1.15.5 has no kernel of it for a CPU either"


PARTLY = {"FusedConv2DBiasActivation": "of qint8"}
"""What the proof knows of an op, where that is not all."""
UNPROVED = {
    # fixed_length_record_reader_op.cc: it asks for the attribute `encoding`, which the first version does not have.
    "FixedLengthRecordReader": "no: TF1's kernel fails, so that there is nothing to be equal to",
}
"""Why nothing is proved of an op that is rewritten."""


def page() -> str:
    """The page."""
    rows = [line.split("\t") for line in (ROOT / "tools" / "tf1_ops.tsv").read_text().splitlines()[1:]]
    tested = models()
    on_cpu = {op: kernel for op, _, kernel in rows}
    dead = [(op, library, why) for op, library, _ in rows if (why := unavailable(op)) is not None]
    done = TABLE.rules.keys() | READ_WHEN_PLANNING | VECTOR_MAKERS.keys()
    ruled = [row for row in dead if row[0] in done]
    refused = [row for row in dead if row[0] not in done]
    proved = frozenset({*EXPANDED, *RENAMED, *ARRAYS, *MAKERS, *READ_WHEN_PLANNING, ACCUMULATE, "TopK"})
    counts = dict(line.split("\t") for line in CORPUS.read_text(encoding="utf-8").splitlines())
    lines = [
        "# Ops that TensorFlow 2 cannot run",
        "",
        "Written by `python tools/make_dead_ops_page.py`; do not edit.",
        "",
        f"TensorFlow 1.15.5 and the libraries of tf.contrib have {len(rows)} ops. {len(dead)} of them are gone from "
        "TensorFlow 2.15 or 2.21,",
        f"are deprecated, or have no kernel that runs on a CPU. {len(ruled)} are rewritten, {len(refused)} refused.",
        "",
        "## Rewritten",
        "",
        *TESTED,
        "",
        "| op | library | kernel read | becomes | how exact, and its test | models of testdata | models in the corpus "
        "| proof |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {op} | {library} | {kernel(op)} | {becomes(op)} | {shown(op, tested.get(op, []))} "
            f"| {', '.join(tested.get(op, ())) or '-'} | {counts.get(op, '-')} "
            f"| {PARTLY.get(op, 'yes') if op in proved else UNPROVED.get(op, 'no')} |"
            for op, library, _ in ruled
        ),
        f"| TRTEngineOp | TensorFlow builds with TensorRT | {kernel('TRTEngineOp')} | {becomes('TRTEngineOp')} "
        f"| {shown('TRTEngineOp', [])} | built in the test | {counts.get('TRTEngineOp', '-')} | FP32 |",
        "",
        "## Refused",
        "",
        "| op | library | in TensorFlow 2 | models in the corpus | why there is no rule |",
        "|---|---|---|---|---|",
        *(
            f"| {op} | {library} | `{why.code}` | {counts.get(op, '-')} | {reason(op, on_cpu[op])} |"
            for op, library, why in refused
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:]:
        lines = [f"{op}\t{count}\n" for op, count in sorted(counted(sys.argv[1]).items())]
        CORPUS.write_text("".join(lines), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")

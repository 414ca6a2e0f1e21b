"""What each finding code means. docs/findings.md is made from this table (`python -m tools.make_findings`)."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "acts-on-process": "The model can end the process, change its settings or run code that is not a graph.",
    "aliased-buffer-undecided": "A tensor may or may not share a ref variable's buffer, which shapes or values decide "
    "while the graph runs, and a write comes between the sharing and the use.",
    "asset-escapes": "An asset's file name leads out of the model's assets/ directory.",
    "asset-missing": "An asset that the init op names is not in assets/; a warning where no signature depends on it.",
    "attributes-nested": "Functions are attributes of functions that are attributes, deeper than anything writes them.",
    "checkpoint-chosen": "The directory holds several checkpoints; the message names the one that was taken.",
    "checkpoint-entry-differs": "A tensor of the checkpoint has another dtype or shape than its variable.",
    "checkpoint-key-missing": "The restore graph reads a key that the checkpoint does not have.",
    "checkpoint-shard-missing": "A data file of the checkpoint is missing.",
    "checkpoint-shard-short": "A data file of the checkpoint is shorter than its index says.",
    "checkpoint-unreadable": "The checkpoint's index is missing or damaged, so variables have no values.",
    "checkpoint-without-graph": "A checkpoint alone: values by name, and no graph that uses them.",
    "collection-damaged": "A collection holds entries that cannot be parsed; they are left out.",
    "composite-tensor": "A signature takes or gives a composite tensor, which no TF1 Session feeds.",
    "constant-of-handle": "A constant of dtype variant or resource, whose value is an object of a running program.",
    "constants-to-variables": "With --variables: constant weights became variables; moving means and variances are not "
    "trained.",
    "custom-gradient-lost": "A node's gradient was a Python function of the exporter; a gradient through it fails with "
    "LookupError.",
    "custom-gradient-replaced": "With --plain_gradients: nodes whose custom gradient is lost get TensorFlow's own.",
    "cyclic-graph": "The graph has a cycle that is no while loop, so it cannot run.",
    "destination-renamed": "A Keras file of a tree became a directory without the suffix of the file's name.",
    "device-pin": "Nodes are pinned to devices. Device types are kept, jobs, replicas and tasks are dropped.",
    "effect-on-import": "TensorFlow evaluates constants while it imports a graph, and would run an op with effects "
    "outside the process.",
    "effect-unknown": "The model runs ops of which this version does not know what they do.",
    "expectation-outdated": "The config expects the model to be refused with a code, and it has ended in another way.",
    "feed-proposed": "A placeholder that no signature feeds got the value that audit proposes (--take_proposals).",
    "feed-tensor-missing": "--feed names a tensor that this model does not have; another one of a tree may have it.",
    "feed-value": "A value of --feed does not fit its tensor.",
    "file-not-copied": "Something in assets.extra or in a TF2 model cannot be copied: a pipe, a socket, a device, a "
    "link that leads nowhere or to a directory that is not copied with it.",
    "file-outside-model": "An op takes a file's name that is neither the path of an asset nor the checkpoint's prefix.",
    "frozen-variable": "A frozen graph uses constants as variables, which no TensorFlow loads: TF1's freezer left ops "
    "like AssignSub and RefSwitch in it. They are variables again.",
    "frozen-variable-unclear": "A frozen graph uses a value as a variable, and it is unclear which variable that was.",
    "frozen-write-left-out": "A frozen graph has ops that write constants, and no signature runs them.",
    "functions-nested": "Functions call functions, more than 100 within one another.",
    "graph-broken": "The graph has an edge from a node that is not there, or a node without its inputs.",
    "handle-as-value": "The string handle of a table or queue is read as a string, which no TF2 resource gives.",
    "init-op-effect": "The init op runs an op with effects outside the process, which loading the model would do.",
    "init-op-missing": "The MetaGraphDef names an init op that the graph does not have.",
    "initialized-undecided": "The init op asks whether a variable is initialised after an assignment that may not run.",
    "initializer-left-out": "A table initializer that no signature needs has effects outside the process; it is left "
    "out.",
    "input-default": "A signature input has a default value; callers of the loaded Python function must give it.",
    "keras-1": "A Keras 1 file, whose config no Keras since 2.2 reads.",
    "keras-3-missing": "Keras 3 wrote the file, and the installed TensorFlow brings an earlier one.",
    "keras-architecture": "The architecture of Keras weights is the file that --architecture names.",
    "keras-build-shape": "The inputs of a subclassed Keras model are taken from the shape that it was built with.",
    "keras-calls": "Loading a Keras file would call a function or an op that is not known to compute and nothing else.",
    "keras-checkpoint-root": "A checkpoint holds the Keras model under an attribute; a refusal where there are "
    "several, or none of the name that --checkpoint_root gives.",
    "keras-cudnn": "Layers that run on NVIDIA GPUs only (CuDNNLSTM, CuDNNGRU) become LSTM and GRU; refused where their "
    "weights are not stored as HDF5.",
    "keras-custom-object": "A Keras file names classes or functions that are not Keras' own; give them with "
    "--custom_objects.",
    "keras-external-link": "An HDF5 file refers to data in other files, or has soft links, which may; none of them is "
    "followed.",
    "keras-file-name": "A setting of a Keras file names a file outside the model, which loading would read.",
    "keras-foreign-layer": "A layer that runs another framework's code, or the graph of another file.",
    "keras-lambda": "A Keras file holds Python bytecode (a Lambda layer), which is run only with --trust.",
    "keras-not-built": "Nothing in a Keras file says what the model's inputs are: it was never built.",
    "keras-not-compiled": "The model was compiled, and the new one is without its optimizer, loss and metrics.",
    "keras-optimizer": "The Keras model was compiled; says with which optimizer and whether its state is stored.",
    "keras-optimizer-dropped": "The optimizer's stored state could not be taken over as it is, so it was left out.",
    "keras-optimizer-kept": "The new model holds the optimizer's state, value by value.",
    "keras-other-backend": "The model was trained on Theano or CNTK, whose convolutions turn their kernels around.",
    "keras-signature": "A signature by tensor names was asked of a Keras file, which has no graph.",
    "keras-sparse-input": "A Keras model takes a sparse or ragged input, which is not exported.",
    "keras-weights-alone": "Keras weights without the architecture of the model that they belong to.",
    "keras-weights-differ": "Keras weights do not fit the architecture; the message names tensors and both shapes.",
    "keras-weights-form": "Weights in a form from which the Keras that wrote the architecture loads none.",
    "keras-weights-missing": "A Keras architecture without weights.",
    "keras-weights-unused": "A checkpoint holds tensors that are of no layer of the Keras model.",
    "link-followed": "With --follow_links: files outside of the model were read through links in it.",
    "link-leads-out": "A link in the model leads out of it, so it could bring any file that you may read into the new "
    "model. The path that you pass is resolved first and may be a link.",
    "made-by-another-version": "Another version of migrate or TensorFlow has converted and verified the model; nothing "
    "has changed since, and it was kept.",
    "method-name-empty": "A signature has an empty method name, as TF 0.x wrote it; it is kept.",
    "no-constant-weights": "With --variables: no constant was found that could become a variable.",
    "no-signature": "There is no signature that could be exported.",
    "op-deprecated": "An op that TensorFlow 2 refuses in graphs of today's version.",
    "op-not-in-functions": "An op that runs in a v1 Session and not in a function, as which TensorFlow 2 "
    "keeps each signature.",
    "op-without-cpu-kernel": "An op that runs on GPUs or TPUs only.",
    "op-without-kernel": "TensorFlow 2 still knows the op and cannot run it.",
    "options-remembered": "Options of an earlier run that say what the model is apply, as the journal remembers them.",
    "other-meta-graph": "The SavedModel has another MetaGraphDef than the one that was taken.",
    "output-shapes-stale": "Nodes carry an attribute _output_shapes that contradicts them; the attribute is dropped.",
    "provenance-differs": "The candidate says of itself that it was made of another file than the source.",
    "python-op": "The model calls Python code that is not in it.",
    "random-op": "The model draws random numbers, so two runs may differ.",
    "recursive-function": "A function of the library calls itself, directly or through others.",
    "ref-in-function": "A function of the library has a ref op in its body, and is not called as a plain function.",
    "ref-is-fed": "A signature feeds a value where an op needs a variable; a v1 Session cannot run such a call either.",
    "ref-loop-variable": "A loop variable is a variable's ref in the first iteration and a value in later ones.",
    "ref-op-unsupported": "A ref op that cannot be rewritten; the message says which law of TensorFlow's forbids it.",
    "reshape-in-control-flow": "A reshaped variable passes through control flow in a call that writes it.",
    "restore-key-computed": "The restore graph computes a key or slice, so what fills which variable is unknown.",
    "restore-op-effect": "The restore op does something other than fill variables and tables from the checkpoint.",
    "restore-op-missing": "The SaverDef names a node that the graph does not have.",
    "restore-target-unknown": "An Assign of the restore op fills something that is no variable node.",
    "restore-value-computed": "An op that converting does not run stands between the checkpoint and a variable.",
    "several-init-ops": "There are several init ops where TensorFlow's loaders take one; all are run.",
    "signature-exists": "A signature that was given has the name of one that the model has, or of another one given.",
    "signature-proposed": "With --take_proposals: the graph has no signature, and was given the first proposed one.",
    "signature-replaced": "With --overwrite_signatures: a signature of the user's has the name of one of the model's.",
    "signature-tensor-missing": "A signature names a tensor that the graph does not have.",
    "signature-without-outputs": "A signature has no outputs, so nothing answers a call.",
    "source-loaded-leniently": "TensorFlow's own loader refuses the source for what TF1 forgave; a v1 Session runs it.",
    "tag-set": "No tag set fits, or several do; choose one with --tags.",
    "tensor-info-dtype": "A signature declares another dtype than the placeholder has; the placeholder's is taken.",
    "tensor-name-effects": "With --keep_tensor_names: a signature has effects, and fetched by name beside another one "
    "it is a call of its own.",
    "tensor-name-needs-more": "With --keep_tensor_names: who fetches a tensor by name must feed all inputs of its "
    "signature.",
    "tensor-name-not-kept": "With --keep_tensor_names: a tensor's name would not mean what it meant in TF1, for some "
    "clients or all.",
    "tf2-signature": "A signature by tensor names was asked of a TF2 SavedModel, which is copied as it is.",
    "touches-files": "The model reads or writes files when it is called.",
    "touches-network": "The model talks to the network when it is called.",
    "training-branch": "The training graph of a TF1 Hub module became __call__(inputs, training=True).",
    "training-branch-left-out": "The training graph of a TF1 Hub module does not fit its inference graph; the module "
    "is converted for inference only.",
    "training-control-flow": "In the training graph of a TF1 Hub module v1 control flow stands between variables and "
    "outputs, through which TensorFlow has no gradient.",
    "training-loss-left-out": "A regularization loss of a TF1 Hub module that cannot be a callable without arguments.",
    "unfed-placeholder": "A signature needs a placeholder that it does not feed, so no call of it can succeed; a "
    "warning where another signature of the model can be answered.",
    "unknown-op": "An op that TensorFlow 2 does not have.",
    "unordered-access": "Outputs depend on a read and a write of one variable that no edge orders; TF1 gave them no "
    "defined answer.",
    "unverified": "Nothing differs, and of some output or variable no value was compared: the source answers otherwise "
    "each time or not at all, or the model was not run, since running it may touch files, the network or Python.",
    "uses-accelerator": "The model configures accelerators or exchanges data with them when it is called.",
    "variable-in-function": "A function of the library makes a variable in its body.",
    "variable-uninitialized": "A variable has no value until a call assigns one; the new model keeps it so.",
    "variable-without-value": "A variable that is needed gets no value from the restore op, the init op or a call.",
    "version-unreadable": "The version that wrote the model is none that TensorFlow's own loader can parse.",
    "weight-stays-constant": "With --variables: a weight inside v1 control flow or a function's body, or one that a "
    "signature names, stays a constant.",
}

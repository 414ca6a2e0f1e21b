"""Every flag of the program, described once: absl's parser, help and shell completion are made of these records.

Each command has a private `FlagValues`: nothing is registered at import, and no state is global.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

from migrate.frozen import frozen
from migrate.levels import LEVELS, MEANINGS, level_of
from migrate.made_variables import VARIABLES, made_variables
from migrate.option_values import CHECKPOINTS, CONTROL_FLOW, JUDGES
from migrate.records import Options
from migrate.report.formats import SHOWN, WRITTEN

_DEFAULTS = Options()
_A_WEEK = 7 * 24 * 3600
WARNINGS, INFO = -1, 0
"""absl.logging's verbosity."""


class Group(enum.Enum):
    """The headings under which help lists flags, in their order."""

    MODELS = "what to convert"
    NAMES = "names and signatures"
    WEIGHTS = "weights"
    VERIFICATION = "verification"
    FLEET = "many models"
    LIMITS = "limits and trust"
    REPORT = "reports and logs"


class Kind(enum.Enum):
    """What a flag takes."""

    SWITCH = "true or false"
    TEXT = "text"
    PATH = "a path"
    WHOLE = "a whole number"
    NUMBER = "a number"
    CHOICE = "one of"
    LEVEL = "a switch, or one of"
    LIST = "names separated by commas"
    TEXTS = "text, once or more often"


@frozen
class Flag:
    """One flag.

    Attributes:
      name: its name, with underscores; dashes are understood as well.
      group: where help lists it.
      help: one or two sentences.
      kind: what it takes.
      default: its value where it is not given.
      metavar: what help shows in the place of the value.
      choices: all values of a flag that takes one of a few.
      short: its name of one letter, or empty.
      least: the smallest number that it takes.
      most: the largest one.
      takes: of a `LEVEL`: the value of a word, None for a word that it does not take; None for `level_of`.
    """

    name: str
    group: Group
    help: str
    kind: Kind = Kind.SWITCH
    default: object = None
    metavar: str = ""
    choices: tuple[str, ...] = ()
    short: str = ""
    least: float | None = None
    most: float | None = None
    takes: Callable[[object], object] | None = None

    @property
    def is_switch(self) -> bool:
        """Whether its name alone says something, and so does `no` before it."""
        return self.kind in (Kind.SWITCH, Kind.LEVEL)


HELP = Flag("help", Group.REPORT, "Show this text.", default=False, short="h")


def _files(for_people: bool) -> str:
    """Names of the files of `--report`, as a list in a sentence."""
    *names, last = [row.file for row in WRITTEN if row.is_for_people is for_people]
    return f"{', '.join(names)} and {last}" if names else last


REPORTING = (
    Flag(
        "format",
        Group.REPORT,
        f"How the report is written to standard output: {', '.join(f'{row.name} {row.says}' for row in SHOWN)}.",
        Kind.CHOICE,
        "text",
        "FORM",
        choices=("text", *(row.name for row in SHOWN)),
    ),
    Flag(
        "report",
        Group.REPORT,
        f"Directory for the report as files: {_files(True)} for people; {_files(False)} for programs.",
        Kind.PATH,
        metavar="DIRECTORY",
    ),
    Flag(
        "verbosity",
        Group.REPORT,
        "Logging to standard error, in absl's scale: -2 errors, -1 warnings, 0 info, 1 debug. -v alone is -v=0, which "
        "tells each step.",
        Kind.WHOLE,
        WARNINGS,
        "LEVEL",
        short="v",
        least=-3,
        most=3,
    ),
    Flag(
        "quiet",
        Group.REPORT,
        "Show no progress, and in a text report only the models that are not good; nothing if all are good.",
        default=False,
        short="q",
    ),
    HELP,
)

READING = (
    Flag(
        "tags",
        Group.MODELS,
        "Tags of the MetaGraphDef to take, separated by commas; --tags= is the empty set. The default is the one for "
        "serving.",
        Kind.LIST,
        metavar="TAG,...",
    ),
    Flag(
        "architecture",
        Group.MODELS,
        "File with the architecture (Model.to_json, to_yaml) for Keras weights. The default is the one in the same "
        "directory.",
        Kind.PATH,
        metavar="FILE",
    ),
    Flag(
        "checkpoint_root",
        Group.MODELS,
        "Attribute that holds the Keras model in a checkpoint: model for tf.train.Checkpoint(model=..., "
        "optimizer=...). The default is the one that has layers.",
        Kind.TEXT,
        metavar="ATTRIBUTE",
    ),
    Flag(
        "custom_objects",
        Group.MODELS,
        "MODULE:NAME of a class or function of yours that a Keras file needs. No other code is imported. May be "
        "repeated.",
        Kind.TEXTS,
        (),
        "MODULE:NAME",
    ),
    Flag(
        "signature",
        Group.NAMES,
        "A signature to add, as NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0 (in quotes; ;method=... is optional). May "
        "be repeated. Audit proposes signatures for a graph that has none.",
        Kind.TEXTS,
        (),
        "SIGNATURE",
    ),
    Flag(
        "overwrite_signatures",
        Group.NAMES,
        "Let a --signature replace a signature of the same name in the model. If that is serving_default, __call__ of "
        "the new model answers as the new signature.",
        default=False,
    ),
    Flag(
        "take_proposals",
        Group.NAMES,
        "Take what audit proposes: the first signature for a graph that has none, and values for placeholders that no "
        "signature feeds. The report says what was taken.",
        default=False,
    ),
    Flag(
        "feed",
        Group.NAMES,
        "TENSOR=VALUE gives a tensor the same value in every call, such as keep_prob:0=1.0 (in quotes). VALUE is a "
        "JSON literal. In a tree it applies to the models that have the tensor. May be repeated.",
        Kind.TEXTS,
        (),
        "TENSOR=VALUE",
    ),
    Flag(
        "trust",
        Group.LIMITS,
        "Run the Python bytecode in a Keras file (Lambda layers), call the functions that its layers name, and read "
        "the files that it names. The file can then do anything that you can do.",
        default=False,
    ),
    Flag(
        "op_library",
        Group.LIMITS,
        "Shared library with ops that TensorFlow does not have. Every process that runs a model loads it "
        "(tf.load_op_library), so it can do anything that you can do. Servers of the new model need it too. May be "
        "repeated.",
        Kind.TEXTS,
        (),
        "LIBRARY",
    ),
    Flag(
        "import_module",
        Group.LIMITS,
        "Python package that loads libraries with ops that TensorFlow does not have when it is imported, such as "
        "tensorflow_text. Every process that runs a model imports it, so it can do anything that you can do. Servers "
        "of the new model need the ops too. May be repeated.",
        Kind.TEXTS,
        (),
        "MODULE",
    ),
    Flag(
        "follow_links",
        Group.LIMITS,
        "Follow links that lead out of a model, as in hub caches. By default such a model is refused.",
        default=False,
    ),
    Flag(
        "graph_memory",
        Group.LIMITS,
        "Megabytes of memory that reading a model may take, in addition to four times the size of its graph. A model "
        "that needs more is not read.",
        Kind.WHOLE,
        _DEFAULTS.graph_memory_bytes >> 20,
        "MB",
        least=1,
    ),
    Flag(
        "audit_seconds",
        Group.LIMITS,
        "Seconds of processor time that the audit of a model may take, in addition to one for each 5,000 nodes and "
        "each 20 MB of its graph. An audit that takes longer is ended.",
        Kind.NUMBER,
        _DEFAULTS.audit_seconds,
        "SECONDS",
        least=1.0,
    ),
    Flag(
        "unpacked_size",
        Group.LIMITS,
        "Megabytes that an archive may unpack to, even if that is more than 20 times its own size.",
        Kind.WHOLE,
        _DEFAULTS.unpacked_bytes >> 20,
        "MB",
        least=1,
    ),
)
"""Flags of all commands that read models."""

FORMAT = Flag(
    "format",
    Group.REPORT,
    "Format of standard output.",
    Kind.CHOICE,
    "text",
    "FORM",
    choices=("text", "json"),
)
"""Of commands whose output is a report on reports."""

EARLIER = Flag(
    "against",
    Group.REPORT,
    "An earlier report. Show which models are better, worse or new since then, and write no file. The exit code is 1 "
    "if one is worse.",
    Kind.PATH,
    metavar="OLD",
)

SECURITY = Flag(
    "security",
    Group.REPORT,
    "Say only whether each model is safe to open: which ops can do more than compute, and where they are. The exit "
    "code is 1 if there are any. Works for TF2 SavedModels too.",
    default=False,
)

FROM = Flag(
    "from",
    Group.REPORT,
    "The wheel of TensorFlow 1.15.5 (cp37, manylinux2010, x86_64), for machines without a network. By default pip "
    "fetches it.",
    Kind.PATH,
    metavar="WHEEL",
)

CONVERTING = (
    Flag(
        "all_tags",
        Group.MODELS,
        "Convert every MetaGraphDef of a SavedModel, each to DESTINATION/TAGS, with its tags joined by _.",
        default=_DEFAULTS.all_tags,
    ),
    Flag("overwrite", Group.MODELS, "Replace an existing destination.", default=_DEFAULTS.overwrite),
    Flag(
        "metadata",
        Group.MODELS,
        "KEY=VALUE to write into assets.extra/migration.json of the new model. May be repeated.",
        Kind.TEXTS,
        (),
        "KEY=VALUE",
    ),
    Flag(
        "plain_gradients",
        Group.WEIGHTS,
        "Use TensorFlow's own gradient for nodes whose custom gradient is not in the model. Otherwise they have none.",
        default=_DEFAULTS.plain_gradients,
    ),
    Flag(
        "checkpoint",
        Group.WEIGHTS,
        "How the weights get into the new model: auto shares blocks if the file system can, else it copies; link makes "
        "hard links to the source's files; copy copies; rewrite passes every tensor through TensorFlow.",
        Kind.CHOICE,
        _DEFAULTS.checkpoint,
        "HOW",
        choices=CHECKPOINTS,
    ),
    Flag(
        "allow_unverified",
        Group.VERIFICATION,
        "Publish a new model even if some output or variable could not be compared, as long as nothing differs.",
        default=_DEFAULTS.allow_unverified,
    ),
)

DROP_SIGNATURES = Flag(
    "drop_signatures",
    Group.NAMES,
    "Leave out signatures that cannot be converted, if others can.",
    default=_DEFAULTS.drop_signatures,
)

CONTROL_FLOW_FLAG = Flag(
    "control_flow",
    Group.NAMES,
    "Form of loops and conds in the new model: functional turns them into If and While, which gradients, jit_compile "
    "and other converters support; v1 keeps Switch, Merge, Enter and Exit.",
    Kind.CHOICE,
    _DEFAULTS.control_flow,
    "FORM",
    choices=CONTROL_FLOW,
)

KEEPING = (
    DROP_SIGNATURES,
    Flag(
        "keep_tensor_names",
        Group.NAMES,
        "Keep the tensor names of the signatures' inputs and outputs, for clients that feed and fetch by name through "
        "a Session.",
        default=_DEFAULTS.keep_tensor_names,
    ),
    Flag(
        "variables",
        Group.WEIGHTS,
        "Turn constants into variables. weights: constant weights become trainable variables, so that a frozen model "
        "can be fine-tuned. large: float constants of a megabyte or more become variables that are not trained; they "
        "are then in the checkpoint, so the model loads faster and takes less memory. --variables is weights, "
        "--novariables is none.",
        Kind.LEVEL,
        _DEFAULTS.variables,
        "WHICH",
        choices=VARIABLES,
        takes=made_variables,
    ),
    CONTROL_FLOW_FLAG,
)
"""What the user has asked for that a new model then does: told to convert, and to validate again."""

AGAINST = Flag(
    "against",
    Group.VERIFICATION,
    "The old model, which gives the golden answers.",
    Kind.PATH,
    metavar="SOURCE",
)

REPLAYING = (
    Flag(
        "verify",
        Group.VERIFICATION,
        "How much of the new model is compared with the source: "
        f"{'; '.join(f'{level} {MEANINGS[level]}' for level in LEVELS)}. --verify is {level_of(True)}, --noverify is "
        f"{level_of(False)}.",
        Kind.LEVEL,
        _DEFAULTS.verify,
        choices=LEVELS,
    ),
    Flag(
        "inputs",
        Group.VERIFICATION,
        "File with calls of your own: .npz, .json, .jsonl, or a request log of TensorFlow Serving. migrate inputs "
        "MODEL prints a template. By default calls are made up from the signatures.",
        Kind.PATH,
        _DEFAULTS.inputs,
        "FILE",
    ),
    Flag(
        "max_ulps",
        Group.VERIFICATION,
        "How many units in the last place a floating-point output may differ; 0 is bit for bit.",
        Kind.WHOLE,
        _DEFAULTS.max_ulps,
        "ULPS",
        least=0,
    ),
    Flag(
        "judge",
        Group.VERIFICATION,
        "Who answers for the source. tf2: a v1 Session of the installed TensorFlow, compared bit for bit. tf1: "
        "TensorFlow 1.15.5 (migrate runtime install), compared within bounds. both: both of them. auto: both if "
        "TensorFlow 1.15.5 is installed and confined and the model needs no --allow_side_effects, else tf2.",
        Kind.CHOICE,
        _DEFAULTS.judge,
        "WHO",
        choices=JUDGES,
    ),
    Flag(
        "golden",
        Group.VERIFICATION,
        "File with golden answers from another machine: written by migrate record or its script, or a log of a model "
        "server with answers. The new model must give these answers too.",
        Kind.PATH,
        _DEFAULTS.golden,
        "FILE",
    ),
    Flag(
        "max_absolute",
        Group.VERIFICATION,
        "How far a floating-point output may be from an answer of --golden or of TensorFlow 1, as an absolute value.",
        Kind.NUMBER,
        _DEFAULTS.max_absolute,
        "DIFFERENCE",
        least=0,
    ),
    Flag(
        "max_relative",
        Group.VERIFICATION,
        "The same as a share of the largest value in the tensor. An output has to be within one of the two bounds.",
        Kind.NUMBER,
        _DEFAULTS.max_relative,
        "SHARE",
        least=0,
    ),
    Flag(
        "allow_side_effects",
        Group.VERIFICATION,
        "Run models whose ops touch files, the network or Python. They then run without confinement.",
        default=_DEFAULTS.allow_side_effects,
    ),
    Flag(
        "timeout",
        Group.VERIFICATION,
        "Time limit in seconds for each step that runs in a process of its own.",
        Kind.WHOLE,
        int(_DEFAULTS.timeout),
        "SECONDS",
        least=1,
        most=_A_WEEK,
    ),
)
"""Flags of all commands that make calls to models."""

RECORDING = (
    Flag(
        "output",
        Group.REPORT,
        "The file to write.",
        Kind.PATH,
        metavar="FILE",
    ),
    Flag(
        "print_script",
        Group.REPORT,
        "Print the program that records answers on machines with TensorFlow 1, and do nothing else.",
        default=False,
    ),
    *(flag for flag in REPLAYING if flag.name in ("inputs", "judge", "allow_side_effects", "timeout")),
)
"""Flags of the command that records golden answers."""

SELECTING = (
    Flag(
        "include",
        Group.FLEET,
        "In a tree, take only models whose path, or a directory in it, matches this pattern (* and ?). May be "
        "repeated.",
        Kind.TEXTS,
        (),
        "PATTERN",
    ),
    Flag(
        "exclude",
        Group.FLEET,
        "In a tree, leave out models whose path, or a directory in it, matches this pattern (* and ?). May be "
        "repeated.",
        Kind.TEXTS,
        (),
        "PATTERN",
    ),
    Flag(
        "only_latest_version",
        Group.FLEET,
        "In a tree of model/VERSION, take only the largest version of each model.",
        default=False,
    ),
)
"""Flags that choose models of a tree."""

CHOOSING = (
    Flag(
        "jobs",
        Group.FLEET,
        "How many models to work on at the same time; by default one per core.",
        Kind.WHOLE,
        metavar="N",
        short="j",
        least=1,
    ),
    Flag(
        "memory_limit",
        Group.FLEET,
        "Kill a process that works on a model when it uses this many megabytes of memory. TensorFlow alone takes "
        "about 400.",
        Kind.WHOLE,
        metavar="MB",
        least=1,
    ),
    *SELECTING,
    Flag(
        "fail_fast",
        Group.FLEET,
        "Start no other model after one that is not good. By default all are tried.",
        default=False,
    ),
)
"""Flags of all commands that work on the models of a tree side by side."""

FLEET = (
    *CHOOSING,
    Flag(
        "dry_run", Group.FLEET, "Say what would be done and how much space it takes, and write nothing.", default=False
    ),
    Flag(
        "runner",
        Group.FLEET,
        "Distribute the work with this runner of Apache Beam (DirectRunner, DataflowRunner, FlinkRunner, ...). SOURCE "
        "may then be a text file with the path of one model per line, on any file system that Beam knows.",
        Kind.TEXT,
        metavar="RUNNER",
    ),
    Flag(
        "beam_options",
        Group.FLEET,
        "Other options of Beam, as one string: '--region=x --num_workers=9'.",
        Kind.TEXT,
        "",
        "OPTIONS",
    ),
)
"""Flags for trees of models."""


CONFIG = Flag(
    "config",
    Group.FLEET,
    "File with options for single models (migrate.toml). audit --write_config writes one. No other config file is "
    "read.",
    Kind.PATH,
    metavar="FILE",
)

RECONVERT = Flag(
    "reconvert",
    Group.FLEET,
    "Convert models again that another version of migrate or TensorFlow converted and verified.",
    default=_DEFAULTS.reconvert,
)

PLANNING = (
    DROP_SIGNATURES,
    CONTROL_FLOW_FLAG,
    Flag(
        "jobs",
        Group.FLEET,
        "How many models to read at the same time; by default one.",
        Kind.WHOLE,
        metavar="N",
        least=1,
    ),
    *SELECTING,
    Flag(
        "write_config",
        Group.FLEET,
        "Add what audit proposes to this file (migrate.toml), or create it. No existing line is changed.",
        Kind.PATH,
        metavar="FILE",
    ),
    Flag("summary", Group.REPORT, "Of many models, show only the totals.", default=False),
    Flag(
        "details",
        Group.REPORT,
        "Of many models, show every finding; a finding that many models have is shown once.",
        default=False,
    ),
)
"""Flags of audits of many models."""


def wanted(flag: Flag) -> str:
    """What a flag takes, in words."""
    if flag.choices:
        return f"{', '.join(flag.choices[:-1])} or {flag.choices[-1]}"
    if flag.least is None:
        return str(flag.kind.value)
    if flag.most is None:
        return f"{flag.kind.value}, {flag.least:g} or more"
    return f"{flag.kind.value} from {flag.least:,.0f} to {flag.most:,.0f}"


def default_words(flag: Flag) -> str:
    """What a flag stands for that is not given; empty where that is nothing, and for a switch.

    Example:
      >>> by_name = {flag.name: flag for flag in KEEPING}
      >>> default_words(by_name["variables"]), default_words(by_name["control_flow"])
      ('none', 'v1')
    """
    if flag.kind is Kind.SWITCH or flag.default in (None, (), ""):
        return ""
    return flag.choices[0] if flag.default is False else str(flag.default)


def spellings(known: Sequence[Flag]) -> list[str]:
    """Gives all that may follow `--`: names, and `no` before those of switches."""
    names = sorted(flag.name for flag in known)
    return names + [f"no{flag.name}" for flag in known if flag.is_switch and flag is not HELP]

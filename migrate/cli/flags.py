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
        "Show no progress, and of a text report only the models that are not good: nothing where all are.",
        default=False,
        short="q",
    ),
    HELP,
)

READING = (
    Flag(
        "tags",
        Group.MODELS,
        "Tag set of the meta graph, comma-separated; --tags= is the empty set. By default the serving one.",
        Kind.LIST,
        metavar="TAG,...",
    ),
    Flag(
        "architecture",
        Group.MODELS,
        "File with the architecture (Model.to_json, to_yaml) of Keras weights. By default the one beside them.",
        Kind.PATH,
        metavar="FILE",
    ),
    Flag(
        "checkpoint_root",
        Group.MODELS,
        "Attribute under which a checkpoint has the Keras model: model, of tf.train.Checkpoint(model=..., "
        "optimizer=...). By default the one that has layers.",
        Kind.TEXT,
        metavar="ATTRIBUTE",
    ),
    Flag(
        "custom_objects",
        Group.MODELS,
        "MODULE:NAME of a class or function of yours that a Keras file needs; repeatable. No other code is imported.",
        Kind.TEXTS,
        (),
        "MODULE:NAME",
    ),
    Flag(
        "signature",
        Group.NAMES,
        "A signature to add, as NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0 (quote it; ;method=... is optional). May be "
        "given several times. For a graph without signatures audit proposes some.",
        Kind.TEXTS,
        (),
        "SIGNATURE",
    ),
    Flag(
        "overwrite_signatures",
        Group.NAMES,
        "Let a --signature take the place of a signature of the same name that the model has, such as serving_default, "
        "which is also what __call__ of the new model answers.",
        default=False,
    ),
    Flag(
        "take_proposals",
        Group.NAMES,
        "Give a graph without signatures the first one that audit proposes, and placeholders that no signature feeds "
        "the proposed values, for trees in which nobody knows them all. The report says which.",
        default=False,
    ),
    Flag(
        "feed",
        Group.NAMES,
        "TENSOR=VALUE for a tensor that has the same value in every call, such as keep_prob:0=1.0 (quote it); VALUE is "
        "a JSON literal. May be repeated. In a tree it applies to the models that have the tensor.",
        Kind.TEXTS,
        (),
        "TENSOR=VALUE",
    ),
    Flag(
        "trust",
        Group.LIMITS,
        "Run the Python bytecode that a Keras file holds (Lambda layers), call what its layers name and read files "
        "that it names: it can do anything that you can.",
        default=False,
    ),
    Flag(
        "op_library",
        Group.LIMITS,
        "Shared library with ops that TensorFlow does not have; repeatable. Every process that runs a model loads it "
        "(tf.load_op_library), so it can do anything that you can; whoever serves the new model needs it, too.",
        Kind.TEXTS,
        (),
        "LIBRARY",
    ),
    Flag(
        "import_module",
        Group.LIMITS,
        "The same for a Python package that brings such libraries and loads them when it is imported, such as "
        "tensorflow_text; repeatable.",
        Kind.TEXTS,
        (),
        "MODULE",
    ),
    Flag(
        "follow_links",
        Group.LIMITS,
        "Read files that links in a model lead to outside of it, as hub caches have them. By default such a model is "
        "refused.",
        default=False,
    ),
    Flag(
        "graph_memory",
        Group.LIMITS,
        "Megabytes that reading a model may take beyond four times its graph's bytes; a model that takes more is not "
        "read.",
        Kind.WHOLE,
        _DEFAULTS.graph_memory_bytes >> 20,
        "MB",
        least=1,
    ),
    Flag(
        "audit_seconds",
        Group.LIMITS,
        "Seconds of processor time that an audit of a model may take beyond one for each 5,000 nodes of its graph; one "
        "that takes more is ended.",
        Kind.NUMBER,
        _DEFAULTS.audit_seconds,
        "SECONDS",
        least=1.0,
    ),
    Flag(
        "unpacked_size",
        Group.LIMITS,
        "Megabytes that an archive may unpack to where that is more than 20 times its own size.",
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
    "How it is written to standard output.",
    Kind.CHOICE,
    "text",
    "FORM",
    choices=("text", "json"),
)
"""Of commands whose output is a report on reports."""

EARLIER = Flag(
    "against",
    Group.REPORT,
    "The earlier report: show what has become better, worse or new since, and write no file. The exit code is 1 where "
    "something is worse.",
    Kind.PATH,
    metavar="OLD",
)

SECURITY = Flag(
    "security",
    Group.REPORT,
    "Say only whether each model is safe to open: which ops can do more than compute, and where. The exit code "
    "is 1 where something dangerous is found. It works for TF2 SavedModels, too.",
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
        "Convert every meta graph of a SavedModel that has several, each to DESTINATION/TAGS, its tags joined by _.",
        default=_DEFAULTS.all_tags,
    ),
    Flag("overwrite", Group.MODELS, "Replace an existing destination.", default=_DEFAULTS.overwrite),
    Flag(
        "metadata",
        Group.MODELS,
        "KEY=VALUE of yours for assets.extra/migration.json in the new model; repeatable.",
        Kind.TEXTS,
        (),
        "KEY=VALUE",
    ),
    Flag(
        "plain_gradients",
        Group.WEIGHTS,
        "Use TensorFlow's own gradient for nodes whose custom gradient is not in the model, instead of none.",
        default=_DEFAULTS.plain_gradients,
    ),
    Flag(
        "checkpoint",
        Group.WEIGHTS,
        "How weights are taken over: auto shares blocks where the file system can and copies elsewhere, link makes "
        "hard links to the source's files, rewrite passes every tensor through TensorFlow.",
        Kind.CHOICE,
        _DEFAULTS.checkpoint,
        "HOW",
        choices=CHECKPOINTS,
    ),
    Flag(
        "allow_unverified",
        Group.VERIFICATION,
        "Publish a new model without differences, even if some output or variable could not be compared.",
        default=_DEFAULTS.allow_unverified,
    ),
)

DROP_SIGNATURES = Flag(
    "drop_signatures",
    Group.NAMES,
    "Leave out signatures that cannot be converted, where others can.",
    default=_DEFAULTS.drop_signatures,
)

CONTROL_FLOW_FLAG = Flag(
    "control_flow",
    Group.NAMES,
    "What becomes of loops and conds: functional makes If and While of them, through which gradients, jit_compile "
    "and converters work; v1 leaves Switch, Merge, Enter and Exit.",
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
        "Give the inputs and outputs of the signatures their tensor names in the new main graph, for clients that feed "
        "and fetch by name through a Session.",
        default=_DEFAULTS.keep_tensor_names,
    ),
    Flag(
        "variables",
        Group.WEIGHTS,
        "Make variables of constants. weights: trainable ones of weights, so that a frozen model can be fine-tuned "
        "again. large: untrained ones of all constants of a megabyte or more, which are then in the checkpoint: the "
        "model is loaded faster and takes less memory. --variables is weights, --novariables is none.",
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
    "The model that gives the golden answers.",
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
        "File with your own calls, .npz, .json, .jsonl, or a request log of TensorFlow Serving; migrate inputs MODEL "
        "prints one to begin with. By default calls are made up from the signatures.",
        Kind.PATH,
        _DEFAULTS.inputs,
        "FILE",
    ),
    Flag(
        "max_ulps",
        Group.VERIFICATION,
        "How many units in the last place floating point outputs may differ; 0 is bit for bit.",
        Kind.WHOLE,
        _DEFAULTS.max_ulps,
        "ULPS",
        least=0,
    ),
    Flag(
        "judge",
        Group.VERIFICATION,
        "Who answers for the source: tf2 a v1 Session of the installed TensorFlow, bit for bit; tf1 TensorFlow 1.15.5 "
        "itself (migrate runtime install), within bounds; both; auto is both where TensorFlow 1.15.5 is installed and "
        "confined and the model needs no --allow_side_effects, else tf2.",
        Kind.CHOICE,
        _DEFAULTS.judge,
        "WHO",
        choices=JUDGES,
    ),
    Flag(
        "golden",
        Group.VERIFICATION,
        "File with golden answers from elsewhere: what migrate record or its script has written, or a log of a model "
        "server that has the answers. The new model must give them, too.",
        Kind.PATH,
        _DEFAULTS.golden,
        "FILE",
    ),
    Flag(
        "max_absolute",
        Group.VERIFICATION,
        "How far a floating point output may be from such an answer, or TensorFlow 1's, in its own unit.",
        Kind.NUMBER,
        _DEFAULTS.max_absolute,
        "DIFFERENCE",
        least=0,
    ),
    Flag(
        "max_relative",
        Group.VERIFICATION,
        "The same as a share of the largest value beside it in the tensor; one of the two bounds is enough.",
        Kind.NUMBER,
        _DEFAULTS.max_relative,
        "SHARE",
        least=0,
    ),
    Flag(
        "allow_side_effects",
        Group.VERIFICATION,
        "Run models whose ops touch files, the network or Python.",
        default=_DEFAULTS.allow_side_effects,
    ),
    Flag(
        "timeout",
        Group.VERIFICATION,
        "Limit in seconds for each step that runs in a process of its own.",
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
        "Print the program that records on machines with TensorFlow 1, and do nothing else.",
        default=False,
    ),
    *(flag for flag in REPLAYING if flag.name in ("inputs", "judge", "allow_side_effects", "timeout")),
)
"""Flags of the command that records golden answers."""

SELECTING = (
    Flag(
        "include",
        Group.FLEET,
        "In a tree, take only the models whose path, or a directory in it, matches this pattern (* and ?); "
        "may be repeated.",
        Kind.TEXTS,
        (),
        "PATTERN",
    ),
    Flag(
        "exclude",
        Group.FLEET,
        "In a tree, leave out the models whose path, or a directory in it, matches this pattern (* and ?); "
        "may be repeated.",
        Kind.TEXTS,
        (),
        "PATTERN",
    ),
    Flag(
        "only_latest_version",
        Group.FLEET,
        "Of a tree of model/VERSION take the largest version of each model only.",
        default=False,
    ),
)
"""Flags that choose models of a tree."""

CHOOSING = (
    Flag(
        "jobs",
        Group.FLEET,
        "How many models are converted at once; by default one per core.",
        Kind.WHOLE,
        metavar="N",
        short="j",
        least=1,
    ),
    Flag(
        "memory_limit",
        Group.FLEET,
        "Resident megabytes at which a process that works on a model is killed; TensorFlow alone takes about 400.",
        Kind.WHOLE,
        metavar="MB",
        least=1,
    ),
    *SELECTING,
    Flag(
        "fail_fast",
        Group.FLEET,
        "Start no more models after the first that is not good; by default all are tried.",
        default=False,
    ),
)
"""Flags of all commands that work on the models of a tree side by side."""

FLEET = (
    *CHOOSING,
    Flag("dry_run", Group.FLEET, "Say what would be done and what space it takes, and write nothing.", default=False),
    Flag(
        "runner",
        Group.FLEET,
        "Spread the work over machines with this runner of Apache Beam (DirectRunner, DataflowRunner, FlinkRunner, "
        "...). SOURCE may then be a text file with one model's path per line, on any file system that Beam knows.",
        Kind.TEXT,
        metavar="RUNNER",
    ),
    Flag(
        "beam_options",
        Group.FLEET,
        "More of Beam's options, as one string: '--region=x --num_workers=9'.",
        Kind.TEXT,
        "",
        "OPTIONS",
    ),
)
"""Flags for trees of models."""


CONFIG = Flag(
    "config",
    Group.FLEET,
    "File with options of single models (migrate.toml); audit --write_config makes one. No other is read.",
    Kind.PATH,
    metavar="FILE",
)

RECONVERT = Flag(
    "reconvert",
    Group.FLEET,
    "Convert again what another version of migrate or TensorFlow has converted and verified.",
    default=_DEFAULTS.reconvert,
)

PLANNING = (
    DROP_SIGNATURES,
    CONTROL_FLOW_FLAG,
    Flag(
        "jobs",
        Group.FLEET,
        "How many models are read at once; by default one after the other.",
        Kind.WHOLE,
        metavar="N",
        least=1,
    ),
    *SELECTING,
    Flag(
        "write_config",
        Group.FLEET,
        "Add what is proposed to this file (migrate.toml), made where it is not there. No line of it is changed.",
        Kind.PATH,
        metavar="FILE",
    ),
    Flag("summary", Group.REPORT, "Of many models show the totals alone.", default=False),
    Flag("details", Group.REPORT, "Of many models show every finding, the same in many models once.", default=False),
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


def spellings(known: Sequence[Flag]) -> list[str]:
    """Gives all that may follow `--`: names, and `no` before those of switches."""
    names = sorted(flag.name for flag in known)
    return names + [f"no{flag.name}" for flag in known if flag.is_switch and flag is not HELP]

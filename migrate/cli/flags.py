"""Every flag of the program, described once: absl's parser, help and shell completion are made of these records.

Each command has a private `FlagValues`: nothing is registered at import, and no state is global.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.errors import UsageError
from migrate.frozen import frozen
from migrate.option_values import CHECKPOINTS
from migrate.records import Options
from migrate.report.formats import SHOWN, WRITTEN

if TYPE_CHECKING:
    from absl.flags import FlagValues

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
    "Say only whether it is safe to open each model: what in it can do more than compute, and where. The exit code "
    "is 1 where something dangerous is found. Of a TF2 SavedModel, too.",
    default=False,
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
        "variables",
        Group.WEIGHTS,
        "Make trainable variables of constant weights, so that a frozen model can be fine-tuned again.",
        default=_DEFAULTS.variables,
    ),
    Flag(
        "plain_gradients",
        Group.WEIGHTS,
        "Give nodes whose custom gradient is not in the model TensorFlow's own gradient, instead of none.",
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
        "verify",
        Group.VERIFICATION,
        "Compare the new model's answers with the source's before it is published.",
        default=_DEFAULTS.verify,
    ),
    Flag(
        "allow_unverified",
        Group.VERIFICATION,
        "Publish a new model from which nothing differs, although of some output or variable no value was compared.",
        default=_DEFAULTS.allow_unverified,
    ),
)

DROP_SIGNATURES = Flag(
    "drop_signatures",
    Group.NAMES,
    "Leave out signatures that cannot be converted, where others can.",
    default=_DEFAULTS.drop_signatures,
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
        "inputs",
        Group.VERIFICATION,
        "File with your own calls, .npz, .json or .jsonl; migrate inputs MODEL prints one to begin with. By default "
        "calls are made up from the signatures.",
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

SELECTING = (
    Flag(
        "include",
        Group.FLEET,
        "Of a tree, take only those whose path in it, or a directory on the way, matches this pattern (* and ?); "
        "may be repeated.",
        Kind.TEXTS,
        (),
        "PATTERN",
    ),
    Flag(
        "exclude",
        Group.FLEET,
        "Of a tree, leave out those whose path in it, or a directory on the way, matches this pattern (* and ?); "
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
        "Start no more models once one is not good; by default all are tried.",
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


def parse(command: str, known: Sequence[Flag], arguments: Sequence[str]) -> tuple[FlagValues, list[str]]:
    """Reads a command's arguments.

    Args:
      command: its name.
      known: its flags.
      arguments: what follows the name.

    Returns:
      The flags' values and the operands.

    Raises:
      UsageError: a flag is not there, or its value is not one that it takes.
    """
    from absl import flags

    values = _flag_values(known)
    try:
        return values, list(values([f"migrate {command}", *_spelled(arguments, known)])[1:])
    except flags.UnrecognizedFlagError as error:
        raise UsageError(f"{command} has no flag --{error.flagname}; {_advice(error.flagname, known)}") from None
    except (flags.Error, ValueError) as error:
        raise UsageError(f"{command}: {_told(error, known)}") from None


_SHORT = r"-([a-z])=?(-?[0-9]+)\Z"
_WHOLE = r"-?[0-9]+\Z"


def _spelled(arguments: Sequence[str], known: Sequence[Flag]) -> list[str]:
    """Arguments as absl takes them: dashes in names are underscores, `-j4` is `-j=4`, `-v` alone is `-v=0`."""
    by_name = {flag.name: flag for flag in known} | {flag.short: flag for flag in known if flag.short}
    spellable = {*spellings(known), *by_name}
    found: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*found, argument, *left]
        if not argument.startswith("-"):
            found.append(argument)
            continue
        short = re.match(_SHORT, argument)
        if short and short[1] in by_name:
            found.append(f"-{short[1]}={short[2]}")
            continue
        written, equals, value = argument.lstrip("-").partition("=")
        name = written.replace("-", "_")
        if name not in spellable and name.startswith("no_"):
            name = f"no{name[3:]}"
        if name not in spellable:
            found.append(argument)
            continue
        found.append(f"{argument[: len(argument) - len(argument.lstrip('-'))]}{name}{equals}{value}")
        flag = by_name.get(name)
        if equals or flag is None or flag.kind is Kind.SWITCH:
            continue
        if name == "v" and not (left and re.match(_WHOLE, left[0])):
            found[-1] = f"-v={INFO}"
        elif left:
            found.append(left.pop(0))  # Its value, which may begin with a dash.
    return found


_NAMED = r"(?s)flag --(\w+)=(.*?): "


def _told(error: Exception, known: Sequence[Flag]) -> str:
    """What is wrong with a flag's value, and what the flag takes."""
    words = " ".join(str(error).split())  # absl's own words may take several lines.
    named = re.match(_NAMED, str(error))
    flag = None if named is None else next((flag for flag in known if flag.name == named[1]), None)
    if named is None or flag is None:
        return words
    import difflib

    near = difflib.get_close_matches(named[2], flag.choices, n=1)
    return f"--{flag.name}={named[2]}: wants {wanted(flag)}{f'; did you mean {near[0]}?' if near else ''}"


def wanted(flag: Flag) -> str:
    """What a flag takes, in words."""
    if flag.kind is Kind.CHOICE:
        return f"{', '.join(flag.choices[:-1])} or {flag.choices[-1]}"
    if flag.least is None:
        return str(flag.kind.value)
    if flag.most is None:
        return f"{flag.kind.value}, {flag.least:g} or more"
    return f"{flag.kind.value} from {flag.least:,.0f} to {flag.most:,.0f}"


def _advice(name: str, known: Sequence[Flag]) -> str:
    import difflib

    close = difflib.get_close_matches(name.replace("-", "_"), spellings(known), n=1)
    if close:
        return f"did you mean --{close[0]}?"
    return f"it has --{', --'.join(sorted(flag.name for flag in known))}"


def spellings(known: Sequence[Flag]) -> list[str]:
    """Gives all that may follow `--`: names, and `no` before those of switches."""
    names = sorted(flag.name for flag in known)
    return names + [f"no{flag.name}" for flag in known if flag.kind is Kind.SWITCH and flag is not HELP]


def _flag_values(known: Sequence[Flag]) -> FlagValues:
    from absl import flags

    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow operands
    for flag in known:
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        short = flag.short or None
        match flag.kind:
            case Kind.SWITCH:
                flags.DEFINE_boolean(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.TEXT | Kind.PATH:
                flags.DEFINE_string(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.WHOLE:
                flags.DEFINE_integer(
                    flag.name, default, flag.help, flag.least, flag.most, short_name=short, flag_values=values
                )
            case Kind.NUMBER:
                flags.DEFINE_float(
                    flag.name, default, flag.help, flag.least, flag.most, short_name=short, flag_values=values
                )
            case Kind.CHOICE:
                flags.DEFINE_enum(flag.name, default, flag.choices, flag.help, short_name=short, flag_values=values)
            case Kind.LIST:
                flags.DEFINE_list(flag.name, default, flag.help, short_name=short, flag_values=values)
            case Kind.TEXTS:
                flags.DEFINE_multi_string(flag.name, default, flag.help, short_name=short, flag_values=values)
    return values

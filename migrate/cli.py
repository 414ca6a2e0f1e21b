"""The command line: absl flags in, one frozen `Options` to `migrate.api`, a report on standard output.

The only `print` and the only exit codes of the package are here. Nothing heavy is imported before it is
needed: `migrate --help` imports neither absl nor rich, and no command imports TensorFlow by itself.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

from migrate import api
from migrate.errors import InputError, UsageError, starved
from migrate.escapes import quoted, visible, visible_lines
from migrate.frozen import frozen
from migrate.records import GivenFeed, GivenSignature, Options, Report

if TYPE_CHECKING:
    from absl import flags

    from migrate.events import Event

GOOD = 0
NOT_GOOD = 1
WRONG_USE = 2
BUG = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_WIDTH_WHEN_PIPED = 100
_A_WEEK = 7 * 24 * 3600
_WARNINGS, _INFO = -1, 0  # absl.logging's verbosity

Progress = Callable[["str | Event"], None] | None


@frozen
class Verb:
    """One sub-command.

    Attributes:
      usage: its operands and required flags, as help shows them.
      summary: one line for the list of commands.
      description: what `migrate VERB --help` says.
      operands: names of the positional arguments; a last one that ends with `...` takes one or more.
      define: adds the verb's own flags.
      call: runs it.
      progress: shows what it is doing; where it is told to log, step by step through absl.
    """

    usage: str
    summary: str
    description: str
    operands: tuple[str, ...]
    define: Callable[[flags.FlagValues], None]
    call: Callable[[Sequence[str], flags.FlagValues, Progress], Report]
    progress: Callable[[bool], contextlib.AbstractContextManager[Progress]]


def main(argv: Sequence[str]) -> int:
    """Runs one command.

    Args:
      argv: the program's name and its arguments.

    Returns:
      The exit code: 0 all good, 1 some model is not good, 2 wrong use, 3 a bug of ours, 130 interrupted.
    """
    try:
        return _dispatch(argv[1:])
    except InputError as error:
        _say(f"migrate: {error}")
        return WRONG_USE
    except KeyboardInterrupt:
        # A tree is published model by model, and the ones that are done stay.
        finished = " except the models already finished" if argv[1:2] == ["convert"] else ""
        _say(f"interrupted; nothing was written{finished}")
        return INTERRUPTED
    except Exception as error:
        lack = starved(error)
        if lack is not None:
            _say(f"migrate: {lack}")
            return WRONG_USE
        import traceback

        for line in traceback.format_exc().splitlines():
            _say(line)
        _say("migrate: this is a bug of migrate, not of your model; please report it with the lines above")
        return BUG


def _dispatch(arguments: Sequence[str]) -> int:
    verbs = _verbs()
    if not arguments:
        every = ", ".join(f"migrate {name} {verb.usage}" for name, verb in verbs.items())
        raise UsageError(f"say what to do: {every}, or migrate --help")
    first, rest = arguments[0], arguments[1:]
    if first == "report":
        return _render(rest)
    if first in ("--help", "-h", "-help"):
        return _print(_help(verbs))
    if first in ("--version", "-version"):
        return _print(_version())
    if first == "help" and rest[:1] == ["report"]:
        return _print(_REPORT_HELP)
    if first == "help":
        return _print(_verb_help(rest[0], _verb(rest[0], verbs)) if rest else _help(verbs))
    if first.startswith("-"):
        raise UsageError(f"a command comes first, then its flags: migrate audit {quoted(first)} PATH")
    return _run(first, _verb(first, verbs), rest)


def _run(name: str, verb: Verb, arguments: Sequence[str]) -> int:
    values = _flag_values(verb)
    operands = _parse(name, values, arguments)
    if values.help:
        return _print(_verb_help(name, verb))
    _check_operands(name, verb, operands)
    if sys.stdout is None:  # Told before hours of work, not after them.
        raise UsageError("standard output is closed, and the report goes there; send it to /dev/null to do without it")
    if values.verbosity != _WARNINGS:
        _start_logging(values.verbosity)
    if values.report is not None:
        api.check_report_directory(values.report)
    with verb.progress(values.verbosity >= _INFO) as progress:
        report = verb.call(operands, values, progress)
    if not report.models:
        raise InputError(f"no model was found in {', '.join(operands)}")
    if values.report is not None:
        _say(f"the report is in {', '.join(api.write_report(report, values.report))}")
    if values.flag_values_dict().get("security"):
        return _print_security(report, values.format)
    return _print(_shown(report, values.format), GOOD if report.ok else NOT_GOOD)


def _render(arguments: Sequence[str]) -> int:
    """`migrate report DIR`: makes every form of a report again. It has no flags and prints no report of its own."""
    if arguments[:1] in (["--help"], ["-h"]):
        return _print(_REPORT_HELP)
    if len(arguments) != 1 or not arguments[0] or arguments[0].startswith("-"):
        given = ", ".join(map(repr, arguments)) or "nothing"
        raise UsageError(f"report takes DIRECTORY, not {given}: migrate report DIRECTORY")
    files = api.render_report(arguments[0], progress=lambda line: _say(f"migrate: {line}"))
    _say(f"the report is in {', '.join(files)}")
    return GOOD


_REPORT_HELP = """\
usage: migrate report DIRECTORY

Makes junit.xml, report.sarif and report.html again from the report.json in DIRECTORY, which an earlier
command with --report=DIRECTORY has written. DIRECTORY may also be a tree that convert has written: what its
journal knows is shown in DIRECTORY/.migrate/report. Reads no model.
"""


# The verbs.


def _verbs() -> dict[str, Verb]:
    return {
        "audit": Verb(
            usage="PATH...",
            summary="say what a model needs and whether it can be converted; writes nothing",
            description="Reads each PATH, a model or a tree of models, and reports what it is, its "
            "signatures and variables, and every finding that stands in the way. Runs and writes nothing.",
            operands=("PATH...",),
            define=_define_audit,
            call=_audit,
            progress=_progress,
        ),
        "convert": Verb(
            usage="SOURCE DESTINATION",
            summary="write a TF2 SavedModel and verify that it answers as the source does",
            description="Converts SOURCE, a model or a tree of models, to TF2 SavedModels at DESTINATION. "
            "The source is never written to; a destination is whole or absent. The same command again does only "
            "what is missing or has changed.",
            operands=("SOURCE", "DESTINATION"),
            define=_define_convert,
            call=_convert,
            progress=_fleet_progress,
        ),
        "validate": Verb(
            usage="CANDIDATE --against=SOURCE",
            summary="replay the source's answers on a model that was converted before",
            description="Makes the same calls to CANDIDATE and to the model that --against names, each "
            "loaded afresh in a process of its own, and compares every output.",
            operands=("CANDIDATE",),
            define=_define_validate,
            call=_validate,
            progress=_progress,
        ),
    }


def _audit(operands: Sequence[str], values: flags.FlagValues, progress: Progress) -> Report:
    return api.audit(operands, options=_options(values), progress=progress)


def _convert(operands: Sequence[str], values: flags.FlagValues, progress: Progress) -> Report:
    source, destination = operands
    return api.convert(source, destination, options=_options(values), progress=progress)


def _validate(operands: Sequence[str], values: flags.FlagValues, progress: Progress) -> Report:
    if not values.against:
        raise UsageError("validate needs --against: migrate validate CANDIDATE --against=SOURCE")
    (candidate,) = operands
    return api.validate(candidate, against=values.against, options=_options(values), progress=progress)


def _verb(name: str, verbs: dict[str, Verb]) -> Verb:
    if name in verbs:
        return verbs[name]
    close = difflib.get_close_matches(name, verbs, n=1)
    advice = f"did you mean migrate {close[0]}?" if close else f"the commands are {', '.join(verbs)}"
    raise UsageError(f"there is no command {name!r}; {advice}")


# Flags. Each verb has a private FlagValues: nothing is registered at import, and no state is global.


def _flag_values(verb: Verb) -> flags.FlagValues:
    from absl import flags

    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may stand after operands
    flags.DEFINE_boolean("help", False, "Show this text.", short_name="h", flag_values=values)
    flags.DEFINE_enum("format", "text", ["text", "json", "sarif"], "How the report is written.", flag_values=values)
    flags.DEFINE_integer(
        "verbosity",
        _WARNINGS,
        "Logging to standard error, in absl's scale: -2 errors, -1 warnings, 0 info, 1 debug.",
        lower_bound=-3,
        upper_bound=3,
        short_name="v",
        flag_values=values,
    )
    flags.DEFINE_list(
        "tags",
        None,
        "Tag set of the meta graph, comma-separated; --tags= is the empty set. By default the serving one.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "report",
        None,
        "Directory for the report as files: report.html for people; report.json, junit.xml and report.sarif for "
        "programs.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "signature",
        [],
        "A signature to add, as NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0 (quote it; ;method=... is optional). May be "
        "given several times. For a graph without signatures audit proposes some.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "overwrite_signatures",
        False,
        "Let a --signature take the place of a signature of the same name that the model has, such as serving_default, "
        "which is also what __call__ of the new model answers.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "take_proposals",
        False,
        "Give a graph without signatures the first one that audit proposes, and placeholders that no signature feeds "
        "the proposed values, for trees in which nobody knows them all. The report says which.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "feed",
        [],
        "TENSOR=VALUE for a tensor that has the same value in every call, such as keep_prob:0=1.0 (quote it); VALUE is "
        "a JSON literal. May be repeated. In a tree it applies to the models that have the tensor.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "custom_objects",
        [],
        "MODULE:NAME of a class or function of yours that a Keras file needs; repeatable. No other code is imported.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "architecture",
        None,
        "File with the architecture (Model.to_json, to_yaml) of Keras weights. By default the one beside them.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint_root",
        None,
        "Attribute under which a checkpoint has the Keras model: model, of tf.train.Checkpoint(model=..., "
        "optimizer=...). By default the one that has layers.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "trust",
        False,
        "Run the Python bytecode that a Keras file holds (Lambda layers), call what its layers name and read files "
        "that it names: it can do anything that you can.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "graph_memory",
        Options().graph_memory_bytes >> 20,
        "Megabytes that reading a model may take beyond four times its graph's bytes; a model that takes more is not "
        "read.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "audit_seconds",
        Options().audit_seconds,
        "Seconds of processor time that an audit of a model may take beyond one for each 5,000 nodes of its graph; one "
        "that takes more is ended.",
        lower_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "unpacked_size",
        Options().unpacked_bytes >> 20,
        "Megabytes that an archive may unpack to where that is more than 20 times its own size.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "follow_links",
        False,
        "Read files that links in a model lead to outside of it, as hub caches have them. By default such a model is "
        "refused.",
        flag_values=values,
    )
    verb.define(values)
    return values


def _define_audit(values: flags.FlagValues) -> None:
    from absl import flags

    flags.DEFINE_boolean(
        "security",
        False,
        "Say only whether it is safe to open each model: what in it can do more than compute, and where. The exit code "
        "is 1 where something dangerous is found. Of a TF2 SavedModel, too.",
        flag_values=values,
    )


def _define_convert(values: flags.FlagValues) -> None:
    from absl import flags

    default = Options()
    flags.DEFINE_boolean(
        "verify",
        default.verify,
        "Compare the new model's answers with the source's before it is published.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "allow_unverified",
        default.allow_unverified,
        "Publish a new model from which nothing differs, although of some output or variable no value was compared.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "drop_signatures",
        default.drop_signatures,
        "Leave out signatures that cannot be converted, where others can.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "keep_tensor_names",
        default.keep_tensor_names,
        "Give the inputs and outputs of the signatures their tensor names in the new main graph, for clients that feed "
        "and fetch by name through a Session.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "variables",
        default.variables,
        "Make trainable variables of constant weights, so that a frozen model can be fine-tuned again.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "plain_gradients",
        default.plain_gradients,
        "Give nodes whose custom gradient is not in the model TensorFlow's own gradient, instead of none.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "all_tags",
        default.all_tags,
        "Convert every meta graph of a SavedModel that has several, each to DESTINATION/TAGS, its tags joined by _.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "metadata",
        [],
        "KEY=VALUE of yours for assets.extra/migration.json in the new model; repeatable.",
        flag_values=values,
    )
    flags.DEFINE_boolean("overwrite", default.overwrite, "Replace an existing destination.", flag_values=values)
    flags.DEFINE_enum(
        "checkpoint",
        default.checkpoint,
        ["auto", "link", "copy", "rewrite"],
        "How weights are taken over: auto shares blocks where the file system can and copies elsewhere, link makes "
        "hard links to the source's files, rewrite passes every tensor through TensorFlow.",
        flag_values=values,
    )
    _define_replay(values)
    _define_fleet(values)


def _define_fleet(values: flags.FlagValues) -> None:
    """Defines the flags for trees of models."""
    from absl import flags

    flags.DEFINE_integer(
        "jobs", None, "How many models are converted at once; by default one a core.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "memory_limit",
        None,
        "Resident megabytes at which a process that works on a model is killed; TensorFlow alone takes about 400.",
        lower_bound=1,
        flag_values=values,
    )
    for name, what in (("include", "take only those"), ("exclude", "leave out those")):
        flags.DEFINE_multi_string(
            name,
            None,
            f"Of a tree, {what} whose path in it, or a directory on the way, matches this pattern (* and ?); "
            "may be repeated.",
            flag_values=values,
        )
    flags.DEFINE_boolean(
        "only_latest_version",
        False,
        "Of a tree of model/VERSION take the largest version of each model only.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "fail_fast", False, "Start no more models once one is not good; by default all are tried.", flag_values=values
    )
    flags.DEFINE_boolean(
        "dry_run", False, "Say what would be done and what space it takes, and write nothing.", flag_values=values
    )
    flags.DEFINE_string(
        "runner",
        None,
        "Spread the work over machines with this runner of Apache Beam (DirectRunner, DataflowRunner, FlinkRunner, "
        "...). SOURCE may then be a text file with a model's path a line, on any file system that Beam knows.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "beam_options", "", "More of Beam's options, as one string: '--region=x --num_workers=9'.", flag_values=values
    )


def _define_validate(values: flags.FlagValues) -> None:
    from absl import flags

    flags.DEFINE_string("against", None, "The model that gives the golden answers.", flag_values=values)
    _define_replay(values)


def _define_replay(values: flags.FlagValues) -> None:
    """Defines the flags of all verbs that make calls to models."""
    from absl import flags

    default = Options()
    flags.DEFINE_string(
        "inputs",
        default.inputs,
        "File with your own calls, .npz or .json. By default calls are made up from the signatures.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "allow_side_effects",
        default.allow_side_effects,
        "Run models whose ops touch files, the network or Python.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_ulps",
        default.max_ulps,
        "How many units in the last place floating point outputs may differ; 0 is bit for bit.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "timeout",
        int(default.timeout_seconds),
        "Limit in seconds for each step that runs in a process of its own.",
        lower_bound=1,
        upper_bound=_A_WEEK,
        flag_values=values,
    )


def _options(values: flags.FlagValues) -> Options:
    """Turns flags into `Options`; a flag that the verb does not have leaves the default."""
    given: dict[str, Any] = values.flag_values_dict()
    default = Options()
    if given.get("all_tags") and given["tags"] is not None:
        raise UsageError("--all_tags takes every tag set and --tags one; give one of the two")
    if not given["audit_seconds"] < float("inf"):  # A NaN passes the flag's own bounds.
        raise UsageError(f"--audit_seconds={given['audit_seconds']}: wants a number of seconds")
    return Options(
        tags=None if given["tags"] is None else frozenset(given["tags"]),
        verify=given.get("verify", default.verify),
        drop_signatures=given.get("drop_signatures", default.drop_signatures),
        keep_tensor_names=given.get("keep_tensor_names", default.keep_tensor_names),
        variables=given.get("variables", default.variables),
        plain_gradients=given.get("plain_gradients", default.plain_gradients),
        overwrite=given.get("overwrite", default.overwrite),
        checkpoint=given.get("checkpoint", default.checkpoint),
        inputs=given.get("inputs", default.inputs),
        allow_side_effects=given.get("allow_side_effects", default.allow_side_effects),
        allow_unverified=given.get("allow_unverified", default.allow_unverified),
        max_ulps=given.get("max_ulps", default.max_ulps),
        timeout_seconds=float(given.get("timeout", default.timeout_seconds)),
        details=given["report"] is not None,
        jobs=given.get("jobs"),
        memory_limit_bytes=None if given.get("memory_limit") is None else given["memory_limit"] << 20,
        include=tuple(given.get("include") or ()),
        exclude=tuple(given.get("exclude") or ()),
        only_latest_version=given.get("only_latest_version", default.only_latest_version),
        fail_fast=given.get("fail_fast", default.fail_fast),
        dry_run=given.get("dry_run", default.dry_run),
        runner=given.get("runner"),
        beam_options=_split(given.get("beam_options", "")),
        custom_objects=tuple(map(_custom_object, given["custom_objects"])),
        trust=given["trust"],
        architecture=_existing(given["architecture"]),
        checkpoint_root=given["checkpoint_root"],
        signatures=_signatures(given["signature"]),
        overwrite_signatures=given["overwrite_signatures"],
        metadata=_metadata(given.get("metadata") or ()),
        take_proposals=given["take_proposals"],
        feeds=_feeds(given["feed"]),
        all_tags=given.get("all_tags", default.all_tags),
        follow_links=given["follow_links"],
        graph_memory_bytes=given["graph_memory"] << 20,
        audit_seconds=given["audit_seconds"],
        unpacked_bytes=given["unpacked_size"] << 20,
    )


def _signatures(texts: Sequence[str]) -> tuple[GivenSignature, ...]:
    if not texts:
        return ()
    from migrate.signature_flag import parse_signature

    found = tuple(parse_signature(text) for text in texts)
    twice = _repeated([signature.key for signature in found])
    if twice is not None:
        raise UsageError(f"--signature names {twice!r} twice")
    return found


def _metadata(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for text in texts:
        key, separator, value = text.partition("=")
        if not (key and separator):
            raise UsageError(f"--metadata={text}: expected KEY=VALUE")
        found.append((key, value))
    twice = _repeated([key for key, _ in found])
    if twice is not None:
        raise UsageError(f"--metadata gives {twice!r} two values; give it one")
    return tuple(found)


def _feeds(texts: Sequence[str]) -> tuple[GivenFeed, ...]:
    if not texts:
        return ()
    from migrate.feed_flag import parse_feed

    found = tuple(parse_feed(text) for text in texts)
    twice = _repeated([feed.tensor for feed in found])
    if twice is not None:
        raise UsageError(f"--feed gives {twice!r} two values; give it one")
    return found


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that is there more than once."""
    return next((name for name in names if names.count(name) > 1), None)


def _custom_object(entry: str) -> str:
    module, separator, name = entry.partition(":")
    if not (separator and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise UsageError(f"--custom_objects={entry}: expected MODULE:NAME, such as my_layers:Scale")
    return entry


def _existing(architecture: str | None) -> str | None:
    if architecture is not None and not os.path.isfile(architecture):
        raise InputError(f"--architecture={architecture}: no such file; pass one of this machine")
    return architecture


def _split(options: str) -> tuple[str, ...]:
    import shlex

    try:
        return tuple(shlex.split(options))
    except ValueError as error:
        raise UsageError(f"--beam_options={options}: {error}".replace("\n", " ")) from None


def _parse(name: str, values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Fills the flags and gives the operands."""
    from absl import flags

    try:
        return list(values([f"migrate {name}", *arguments])[1:])
    except flags.UnrecognizedFlagError as error:
        known = _flag_names(values)
        close = difflib.get_close_matches(error.flagname, _spellings(values), n=1)
        advice = f"did you mean --{close[0]}?" if close else f"it has --{', --'.join(known)}"
        raise UsageError(f"{name} has no flag --{error.flagname}; {advice}") from None
    except (flags.Error, ValueError) as error:
        # absl's own words name the flag, the value and what is allowed, but may take several lines.
        raise UsageError(f"{name}: {' '.join(str(error).split())}") from None


def _flag_names(values: flags.FlagValues) -> list[str]:
    return sorted({values[name].name for name in values})


def _spellings(values: flags.FlagValues) -> list[str]:
    """Gives all that may stand after `--`: names, and `no` before those of booleans."""
    names = _flag_names(values)
    return names + [f"no{name}" for name in names if values[name].boolean]


def _check_operands(name: str, verb: Verb, operands: Sequence[str]) -> None:
    wanted = len(verb.operands)
    many = verb.operands[-1].endswith("...")
    if len(operands) < wanted or (len(operands) > wanted and not many):
        given = ", ".join(map(repr, operands)) or "nothing"
        takes = " and ".join(verb.operands)
        raise UsageError(f"{name} takes {takes}, not {given}: migrate {name} {verb.usage}")
    if not all(operands):
        raise UsageError(f"{name} was given an empty path: migrate {name} {verb.usage}")


# What the user sees.


def _help(verbs: dict[str, Verb]) -> str:
    lines = [
        "Audits, converts and validates TensorFlow 1 models for TensorFlow 2.",
        "",
        "usage:",
        *(f"  migrate {name} {verb.usage} [FLAGS]" for name, verb in verbs.items()),
        "  migrate report DIRECTORY",
        "",
        "commands:",
        *(f"  {name:<10}{verb.summary}" for name, verb in verbs.items()),
        "  report    make the files of a report again from its report.json",
        "",
        "migrate COMMAND --help lists the flags of a command; migrate --version says what is installed.",
        "The report goes to standard output, logs and progress go to standard error.",
        "",
        "exit code: 0 all good; 1 some model cannot be converted or is not as good as its source;",
        "           2 wrong use; 3 a bug of migrate.",
    ]
    return "\n".join(lines) + "\n"


def _verb_help(name: str, verb: Verb) -> str:
    values = _flag_values(verb)
    width = min(_columns(), 100)
    lines = [f"usage: migrate {name} {verb.usage} [FLAGS]", "", *textwrap.wrap(verb.description, width), ""]
    for flag in (values[known] for known in _flag_names(values)):
        short = f"-{flag.short_name}, " if flag.short_name else ""
        no = "[no]" if flag.boolean else ""
        value = "=..." if flag.default is None or flag.default == [] else f"={flag.default}"
        if flag.boolean:
            value = " (on by default)" if flag.default else ""
        lines.append(f"  {short}--{no}{flag.name}{value}")
        text = flag.help.partition(";\n    repeat this option")[0]  # absl's words, in another layout than ours.
        lines += textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"


def _version() -> str:
    from migrate.report.json import tool

    versions = tool()
    tensorflow = versions["tensorflow"] or "not installed"
    return f"migrate {versions['version']} (Python {versions['python']}, TensorFlow {tensorflow})\n"


def _shown(report: Report, form: str) -> str:
    if form == "json":
        from migrate.report.json import to_json

        return to_json(report)
    if form == "sarif":
        from migrate.report.json import to_document
        from migrate.report.sarif import to_sarif

        return to_sarif(to_document(report))
    from migrate.report.text import render

    return render(report, _columns(), color=_wants_color())


def _print_security(report: Report, form: str) -> int:
    """Shows what `audit --security` has found; its code says whether every model is safe to open."""
    from migrate.report.json import dumps, to_document
    from migrate.report.security import is_safe, render, security_document

    document = to_document(report)
    if form == "sarif":
        from migrate.report.sarif import to_sarif

        shown = to_sarif(document, security_only=True)
    elif form == "json":
        shown = dumps(security_document(document))
    else:
        shown = render(document, _columns(), _wants_color())
    return _print(shown, GOOD if all(map(is_safe, document["models"])) else NOT_GOOD)


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((_WIDTH_WHEN_PIPED, 24)).columns


def _wants_color() -> bool:
    # https://no-color.org
    return _is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def _progress(logged: bool) -> Iterator[Progress]:
    """Gives a function that shows what is being done, on a terminal or in the log."""
    if logged:
        yield _log
        return
    if not _is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("starting") as status:
        yield lambda line: status.update(Text(visible(str(line)), overflow="ellipsis", no_wrap=True))


@contextlib.contextmanager
def _fleet_progress(logged: bool) -> Iterator[Progress]:
    """Shows on a terminal what each worker does; elsewhere a line a model, of many."""
    if logged:
        yield _log
        return
    if _is_terminal(sys.stderr):
        from rich.console import Console

        from migrate.report.live import live

        with live(Console(stderr=True)) as listen:
            yield cast(Progress, listen)
        return
    from migrate.report.progress import line

    def tell(event: str | Event) -> None:
        text = None if isinstance(event, str) else line(event)
        if text is not None:
            _say(text)

    yield tell


def _log(event: str | Event) -> None:
    from absl import logging

    logging.info("%s", visible(str(event)))


def _start_logging(verbosity: int) -> None:
    """Sends logs to standard error in absl's format. Without it, warnings of libraries come as they are."""
    import logging as standard

    from absl import logging

    # Not absl's own handler: it warns on every start that the global FLAGS are not parsed, and this program
    # leaves those alone.
    class Visible(logging.PythonFormatter):  # type: ignore[misc]
        """Names and paths come with the lines of libraries, too."""

        def format(self, record: standard.LogRecord) -> str:
            return visible_lines(super().format(record))

    handler = standard.StreamHandler()
    handler.setFormatter(Visible())
    standard.basicConfig(handlers=[handler])
    logging.set_verbosity(verbosity)


def _print(text: str, code: int = GOOD) -> int:
    """Writes to standard output and gives the exit code."""
    if sys.stdout is None:
        raise UsageError("standard output is closed; nothing can be shown")
    try:
        print(_encodable(text, sys.stdout.encoding), end="", flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)  # The reader has seen enough (`| head`).
    except OSError as error:
        _silence(sys.stdout)
        raise InputError(f"standard output cannot be written: {error}") from error
    return code


def _say(line: str) -> None:
    """Writes a line to standard error, where there is one."""
    if sys.stderr is None:
        return
    try:
        print(_encodable(visible(line), sys.stderr.encoding), file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)  # There is nowhere left to tell it.


def _silence(stream: TextIO) -> None:
    """Takes what Python still holds of a stream that failed: flushing it at the end would fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _encodable(text: str, encoding: str | None) -> str:
    r"""Spells as `\u...` what the stream cannot hold: a path may hold any byte, a terminal may be ASCII."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

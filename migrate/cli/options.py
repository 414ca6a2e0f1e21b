"""Flags become one frozen `Options`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrate.errors import InputError, UsageError
from migrate.records import GivenFeed, GivenSignature, Options

if TYPE_CHECKING:
    from absl.flags import FlagValues


def options(values: FlagValues) -> Options:
    """Turns flags into `Options`; a flag that the verb does not have leaves the default."""
    given: dict[str, Any] = values.flag_values_dict()
    default = Options()
    if given.get("all_tags") and given["tags"] is not None:
        raise UsageError("--all_tags takes every tag set and --tags one; give one of the two")
    if not given["audit_seconds"] < float("inf"):  # A NaN passes the flag's own bounds.
        raise UsageError(f"--audit_seconds={given['audit_seconds']}: expected a number of seconds")
    return Options(
        tags=None if given["tags"] is None else frozenset(given["tags"]),
        verify=given.get("verify", default.verify),
        drop_signatures=given.get("drop_signatures", default.drop_signatures),
        keep_tensor_names=given.get("keep_tensor_names", default.keep_tensor_names),
        variables=given.get("variables", default.variables),
        plain_gradients=given.get("plain_gradients", default.plain_gradients),
        control_flow=given.get("control_flow", default.control_flow),
        overwrite=given.get("overwrite", default.overwrite),
        checkpoint=given.get("checkpoint", default.checkpoint),
        inputs=given.get("inputs", default.inputs),
        allow_side_effects=given.get("allow_side_effects", default.allow_side_effects),
        allow_unverified=given.get("allow_unverified", default.allow_unverified),
        max_ulps=given.get("max_ulps", default.max_ulps),
        golden=given.get("golden", default.golden),
        max_absolute=given.get("max_absolute", default.max_absolute),
        max_relative=given.get("max_relative", default.max_relative),
        judge=given.get("judge", default.judge),
        timeout=float(given.get("timeout", default.timeout)),
        details=given.get("report") is not None,
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
        signature=_signatures(given["signature"]),
        overwrite_signatures=given["overwrite_signatures"],
        metadata=_metadata(given.get("metadata") or ()),
        take_proposals=given["take_proposals"],
        feed=_feeds(given["feed"]),
        all_tags=given.get("all_tags", default.all_tags),
        op_library=tuple(given["op_library"]),
        import_module=tuple(given["import_module"]),
        follow_links=given["follow_links"],
        graph_memory_bytes=given["graph_memory"] << 20,
        audit_seconds=given["audit_seconds"],
        unpacked_bytes=given["unpacked_size"] << 20,
        config=given.get("config"),
        reconvert=given.get("reconvert", default.reconvert),
        # The defaults that somebody has asked for: any other value was asked for anyway.
        given=frozenset(name for name in given if values[name].present and values[name].value == values[name].default),
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
    from migrate.config import check_custom_object

    return check_custom_object(entry)


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

"""`migrate runtime`: TensorFlow 1.15.5's own runtime, which answers for sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.cli.exit_codes import GOOD, NOT_GOOD
from migrate.cli.output import check_standard_output, put, say
from migrate.errors import UsageError

if TYPE_CHECKING:
    from absl.flags import FlagValues

ACTIONS = ("show", "install", "remove")


def runtime(operands: Sequence[str], values: FlagValues) -> int:
    """Installs, shows or removes the runtime; the exit code of `show` says whether there is one."""
    check_standard_output()
    action = operands[0] if operands else "show"
    if action not in ACTIONS:
        raise UsageError(f"runtime takes {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}, not {action!r}")
    wheel = values.flag_values_dict()["from"]
    if wheel is not None and action != "install":
        raise UsageError(f"--from is for migrate runtime install, not for migrate runtime {action}")
    from migrate.tf1_runtime import install, place

    if action == "remove":
        removed = install.remove()
        return put(f"removed {removed}\n" if removed else f"there is no runtime in {place.directory()}\n")
    if action == "install":
        install.install(wheel, lambda line: say(f"migrate: {line}"))
    return _shown(values.format == "json")


def _shown(as_json: bool) -> int:
    from migrate.tf1_runtime import place

    reason = place.reason_against()
    found = place.find() if reason is None else None
    code = NOT_GOOD if found is None else GOOD
    if as_json:
        facts = {
            "installed": found is not None,
            "directory": place.directory(),
            "version": place.VERSION,
            "bytes": found.bytes if found else None,
            "ops": found.ops if found else None,
            "op_libraries": found.libraries if found else None,
            "reason": reason,
        }
        return put(json.dumps(facts, indent=2) + "\n", code)
    if found is None:
        told = reason or f"TensorFlow {place.VERSION} is not installed in {place.directory()}; migrate runtime install"
        return put(f"{told}\n", code)
    return put(
        f"TensorFlow {found.version} in {found.directory}: {found.bytes >> 20} MB, {found.ops:,} ops, "
        f"{found.libraries} op libraries\n",
        code,
    )

"""What a conversion needs of memory and of the disk, known before the work starts.

Weights in a checkpoint need no memory, whatever they are. A constant is held by TensorFlow once for each function and
each graph that can reach it, unless it is mapped from a file (`verify.mapped_constants`). The numbers below were
measured with TensorFlow 2.21 (docs/benchmarks.md); each is the least that is held at one moment, so that no model is
refused that would be converted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import shutil

from migrate.errors import InputError
from migrate.graph.large_constants import large_bytes
from migrate.levels import PROOF, REPLAY, reaches
from migrate.made_variables import LARGE
from migrate.plan.records import Plan
from migrate.plan.restore import FromConstant
from migrate.records import Options
from migrate.sources.boundary import Boundary
from migrate.sources.copies import tree_bytes

_TENSORFLOW_BYTES = 400 << 20
"""What a process takes that has imported TensorFlow."""
_ASKED_COPIES = 6
"""A source in a v1 Session that has answered a call, and the graph in the process that waits for it."""
_LOADED_COPIES = 12
"""The same of a new model behind `tf.saved_model.load`."""
_MAPPED_COPIES = 2
"""Either with maps: the graph in the process that waits, and the files' pages."""
_EXPORTED_COPIES = 4
"""While a new model is written, and read once more for its fingerprint."""
_PROTO_BYTES = (1 << 31) - 1
"""What a protocol buffer holds at most: no loader reads a SavedModel whose graph is larger."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def written_bytes(plan: Plan) -> tuple[int, int]:
    """Bytes of the large constants in a new model's graph, and of the variables that were constants.

    What no signature needs is not written; what several need is written for each, in the body of its function.
    """
    runs = ([run.graph.nodes[name] for name in run.graph.named({"Const"})] for run in plan.runs)
    in_graph = sum(map(large_bytes, (*runs, *(function.node_def for function in plan.functions))))
    values = (variable.value for variable in plan.variables)
    return in_graph, sum(len(v.tensor.tensor_content) for v in values if isinstance(v, FromConstant))


def check_graph(written: int, path: str, options: Options) -> None:
    """Says that a new model's graph would be larger than any loader reads.

    Args:
      written: bytes of its large constants (`written_bytes`).
      path: what the user calls the source.
      options: see `records.Options`.

    Raises:
      InputError: they are more than a protocol buffer holds.
    """
    if written <= _PROTO_BYTES:
        return
    way = "" if options.variables == LARGE else "; use --variables=large, which takes them out of the graph"
    raise InputError(
        f"{path}: the constants of all its signatures would have {written:,} bytes in saved_model.pb, of which "
        f"TensorFlow reads at most {_PROTO_BYTES:,}{way or '; convert fewer signatures at once'}"
    )


def check_memory(held: int, mapped: int, path: str, options: Options) -> None:
    """Says that a graph is too large for the memory of the machine.

    Args:
      held: bytes of the constants of the source's graph (`large_constants.constant_bytes`).
      mapped: those of them that are mapped (`mapped_constants.mapped_bytes`).
      path: what the user calls it.
      options: see `records.Options`.

    Raises:
      InputError: more is needed than there is.
    """
    if not held:
        return
    needed, there = memory_needed(held, mapped, options), memory_bytes()
    if there is None or needed <= there:
        return
    others = {
        "--variables=large, which takes them out of the graph": dataclasses.replace(options, variables=LARGE),
        "--verify=proof, which runs no model": dataclasses.replace(options, verify=PROOF),
    }
    ways = [way for way, other in others.items() if memory_needed(held, mapped, other) <= there]
    raise InputError(
        f"{path}: its constants have {held:,} bytes, for which {needed:,} bytes of memory are needed, and there are "
        f"{there:,}; use a machine that has more" + "".join(f", or {way}" for way in ways)
    )


def memory_needed(held: int, mapped: int, options: Options) -> int:
    """Bytes of memory that are held at one moment for a graph; arguments as in `check_memory`."""
    needed = _EXPORTED_COPIES * held
    if reaches(options.verify, REPLAY):
        copies = _ASKED_COPIES if options.variables == LARGE else _LOADED_COPIES
        needed = max(needed, copies * (held - mapped) + _MAPPED_COPIES * mapped)
    return _TENSORFLOW_BYTES + needed


def memory_bytes() -> int | None:
    """Bytes of memory that this machine, or the container, has in all, with what it swaps to; None if that is unknown.

    A limit of this process's address space (`ulimit -v`) counts, as its children have it, too. What others hold at the
    moment does not count: they may have ended when it is needed.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    found: list[int] = [] if limit == resource.RLIM_INFINITY else [limit]
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/meminfo", encoding="ascii") as file:
            sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in file)}
        found.append(sizes["MemTotal"] + sizes.get("SwapTotal", 0))
    for path in _CGROUPS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            found.append(int(file.read()))
    return min(found, default=None)


def check_disk(folder: str, boundary: Boundary | None, parent: str, destination: str, graph_bytes: int = 0) -> None:
    """Says that there is no room for what is copied whole, and for large constants.

    Raises:
      InputError: more is needed than is free.
    """
    copied = tree_bytes(folder, boundary) if os.path.isdir(folder) else 0
    needed, free = copied + graph_bytes, shutil.disk_usage(parent).free
    if needed > free:
        what = f"the copy of {folder}" if copied >= graph_bytes else "the new model, with its constants,"
        raise InputError(
            f"{destination}: {what} takes {needed:,} bytes, and {parent} has {free:,} free; make room, or choose "
            "another destination"
        )

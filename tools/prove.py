"""Proves a candidate against its source, for development: `python tools/prove.py SOURCE CANDIDATE [TAGS]`."""

from __future__ import annotations

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from migrate.graph.protos import SavedModel
from migrate.proof.prove import Asked, Files, prove
from migrate.proof.records import Proof, Proved
from migrate.sources.read import opened, read_source
from migrate.sources.source import choose_meta_graph, training_meta_graph


def run(source: str, candidate: str, tags: frozenset[str] | None = None) -> Proof:
    """Reads and proves."""
    with opened(source) as place:
        read = read_source(place, source)
        meta_graph = choose_meta_graph(read, tags)
        with open(os.path.join(candidate, "saved_model.pb"), "rb") as stream:
            new = SavedModel.FromString(stream.read()).meta_graphs[0]
        asked = Asked({}, train=training_meta_graph(read, meta_graph))
        return prove(meta_graph, Files(read.checkpoint, read.assets_dir, read.boundary), new, candidate, asked)


def show(proof: Proof) -> str:
    """Counts, and each thing that is not proved."""
    lines = [proof.problem] if proof.problem else []
    named = {
        "outputs": {f"{k.signature}/{k.output}": v for k, v in proof.outputs.items()},
        "effects": proof.effects,
        "variables": proof.variables,
        "loading": {"": proof.loading},
        "losses": proof.losses,
        "calls": {f"{k.signature}/{k.output}": v for k, v in proof.calls.items()},
    }
    for what, results in named.items():
        proved = sum(isinstance(result, Proved) for result in results.values())
        lines.append(f"{what}: {proved} of {len(results)}")
        for name, result in results.items():
            if not isinstance(result, Proved):
                lines.append(f"  {name}: {result.why}\n    {result.source} | {result.candidate}")
    return "\n".join(lines)


if __name__ == "__main__":
    start = time.perf_counter()
    wanted = frozenset(filter(None, sys.argv[3].split(","))) if sys.argv[3:] else None
    print(show(run(sys.argv[1], sys.argv[2], wanted)))
    print(f"{time.perf_counter() - start:.2f} s")

"""Which releases of TensorFlow may import a candidate's graph. No TensorFlow.

Each release has a number. One that is below `min_consumer`, or among `bad_consumers`, refuses the graph; `producer`
tells ops what they meant when it was written (versions.proto; versions.cc, CheckVersions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migrate.graph.protos import MetaGraphDef
from migrate.records import Mismatch
from migrate.verify.differences import mismatch

_OF_FUNCTIONS = 12
"""The least consumer of a graph with a library of functions (graph.cc, AddFunctionLibrary)."""
_CODE = "graph-version-differs"


def version_differences(graphs: Collection[MetaGraphDef], new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Releases that may import the source, and not the candidate; a candidate that says it is older than its source.

    Args:
      graphs: the source's MetaGraphDefs; none where it is a Keras file.
      new: the candidate's.
      path: of the differences, see `records.Mismatch`.
    """
    found = new.graph_def.versions
    known = [graph.graph_def.versions for graph in graphs]
    least = max((_OF_FUNCTIONS, *(versions.min_consumer for versions in known)))
    if found.min_consumer > least:
        yield mismatch(_CODE, path, f"releases before {found.min_consumer} are to refuse it, expected {least}")
    more = {*found.bad_consumers} - {number for versions in known for number in versions.bad_consumers}
    if more:
        yield mismatch(_CODE, path, f"the release {min(more)} is to refuse it, and may import the source")
    oldest = min((versions.producer for versions in known), default=0)
    if found.producer < oldest:
        yield mismatch(_CODE, path, f"it is of the release {found.producer}, and the source's of {oldest}")

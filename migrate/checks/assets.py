"""The files that the init op names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from migrate.checks.subject import Subject
from migrate.graph import contract
from migrate.records import Finding, refusal


def check(subject: Subject) -> Iterator[Finding]:
    """Refuses assets that are outside of the model's directory of assets, or are not there."""
    folder = subject.source.assets_dir
    for _, file in contract.assets(subject.meta_graph):
        path = os.path.normpath(os.path.join(folder, file))
        if not path.startswith(os.path.normpath(folder) + os.sep) or os.path.isabs(file):
            yield refusal("asset-escapes", f"the asset {file!r} is outside the model's assets/ directory", (file,))
        elif not os.path.isfile(path):
            yield refusal("asset-missing", f"the asset {path} is missing, and the init op names it", (file,))

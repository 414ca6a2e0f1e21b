"""Which ops of a model come from libraries that the user gives: whoever serves the new model needs these, too."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.checks.subject import Subject
from migrate.graph.nodes import by_op, labels
from migrate.records import Finding, Severity


def check(subject: Subject) -> Iterator[Finding]:
    """Says of each library that the model needs it; of one whose ops no call runs it says nothing."""
    if not subject.options.libraries:
        return
    functions = subject.functions
    used = by_op(node for node in subject.located if node.node.op not in functions)
    for library in subject.options.libraries:
        ops = [op.name for op in library.ops if op.name in used]
        if not ops:
            continue
        is_file = library.flag == "op_library"
        how = f"tf.load_op_library({library.name!r})" if is_file else f"import {library.name}"
        yield Finding(
            "needs-op-library",
            Severity.WARNING,
            f"{', '.join(ops)} come{'s' if len(ops) == 1 else ''} from {library.label} (SHA-256 {library.sha256}).",
            tuple(name for op in ops for name in labels(used[op])),
            f"Whoever loads the new model needs the same library first: {how} in Python; a model server has to be "
            "built with it.",
        )

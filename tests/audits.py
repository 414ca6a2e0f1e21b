"""What audit says of one model."""

from __future__ import annotations

import os
from typing import Any

import migrate


def audited(path: str | os.PathLike[str], **options: Any) -> migrate.ModelReport:
    """The report on a model; `options` are those of `migrate.Options`."""
    (report,) = migrate.audit(str(path), migrate.Options(**options)).models
    return report

"""What `migrate config` prints: which options apply to each model, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from migrate.config import CONFIG, Origin, flags_of, place
from migrate.escapes import visible
from migrate.report.labels import short_names


def to_text(models: Mapping[str, Sequence[Origin]], file: str | None) -> str:
    """Gives lines: each model, and below it its options as flags to copy, with their origins.

    Args:
      models: by path, where each option that is not the default comes from.
      file: the config, if one was read.
    """
    lines = []
    for name, origins in zip(short_names(list(models)), models.values(), strict=True):
        lines.append(visible(name))
        lines += list(_options(origins, file)) or ["  nothing but defaults"]
    return "\n".join(lines) + "\n"


def _options(origins: Sequence[Origin], file: str | None) -> Iterator[str]:
    for origin in origins:
        shown = flags_of(origin.key, origin.value)
        if origin.key == "expect":  # Which is no flag.
            shown = (visible(f'expect = "{origin.value}"'),)
        yield f"  {_from(origin, file)}:"
        yield from (f"    {option}" for option in shown)


def _from(origin: Origin, file: str | None) -> str:
    return (
        place(file or "", origin.pattern, origin.key) if origin.source == CONFIG else f"{origin.source}, {origin.key}"
    )


def to_json(models: Mapping[str, Sequence[Origin]], file: str | None) -> str:
    """Gives the same for programs: one entry per model, with its options by key."""
    document = {
        "schema_version": 1,
        "config": file,
        "models": [
            {
                "source": path,
                "options": {
                    origin.key: {"value": origin.value, "from": origin.source, "table": origin.pattern or None}
                    for origin in origins
                },
            }
            for path, origins in models.items()
        ],
    }
    return json.dumps(document, indent=2) + "\n"

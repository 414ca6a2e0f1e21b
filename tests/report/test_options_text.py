"""What `migrate config` prints."""

from __future__ import annotations

import json

from migrate.config import COMMAND_LINE, CONFIG, JOURNAL, Origin
from migrate.report.options_text import to_json, to_text

_MODELS = {
    "tree/a": (
        Origin("max_ulps", 2, CONFIG, "a*"),
        Origin("tags", ["serve", "gpu"], COMMAND_LINE, ""),
        Origin("drop_signatures", True, JOURNAL, ""),
        Origin("expect", "refused: unknown-op\x1b", CONFIG, "*"),
    ),
    "tree/b\n": (),
}


def test_each_option_is_a_flag_to_copy_below_its_origin():
    assert to_text(_MODELS, "migrate.toml").split("\n") == [
        "a",
        '  migrate.toml: [models."a*"] max_ulps:',
        "    --max_ulps=2",
        "  command line, tags:",
        "    --tags=serve,gpu",
        "  journal, drop_signatures:",
        "    --drop_signatures",
        '  migrate.toml: [models."*"] expect:',
        r'    expect = "refused: unknown-op\x1b"',
        r"b\n",
        "  nothing but defaults",
        "",
    ]


def test_programs_get_values_and_not_flags():
    document = json.loads(to_json(_MODELS, None))
    assert (document["schema_version"], document["config"]) == (1, None)
    first, second = document["models"]
    assert first["source"] == "tree/a"
    assert first["options"]["max_ulps"] == {"value": 2, "from": "config", "table": "a*"}
    assert first["options"]["tags"] == {"value": ["serve", "gpu"], "from": "command line", "table": None}
    assert second == {"source": "tree/b\n", "options": {}}


def test_without_models_there_is_nothing_to_say():
    assert to_text({}, None) == "\n"
    assert json.loads(to_json({}, "f"))["models"] == []

"""Files of a candidate beside its graph."""

from __future__ import annotations

import pytest

from migrate.graph.protos import MetaGraphDef
from migrate.sources.bundle import write_index
from migrate.verify.model_files import asset_differences, extra_differences, unknown_files

_WARM_UP = "tf_serving_warmup_requests"


def _write(path, content=b"a\nb\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _new(*files: str) -> MetaGraphDef:
    graph = MetaGraphDef()
    for file in files:
        graph.asset_file_def.add(filename=file)
    return graph


def _assets(tmp_path, *files):
    found = asset_differences(str(tmp_path / "old"), str(tmp_path / "new"), _new(*files), "contract")
    return [(difference.code, difference.output) for difference in found]


def _extra(tmp_path):
    found = extra_differences(str(tmp_path / "extra"), str(tmp_path / "new"), "contract")
    return [(difference.code, difference.output) for difference in found]


def test_each_line_of_an_asset_counts(tmp_path):
    words = [b"word %d\n" % line for line in range(4000)]
    for folder in ("old", "new/assets"):
        _write(tmp_path / folder / "words.txt", b"".join(words))
    assert _assets(tmp_path, "words.txt") == []
    words[2999] = b"other\n"
    _write(tmp_path / "new" / "assets" / "words.txt", b"".join(words))
    assert _assets(tmp_path, "words.txt") == [("asset-differs", "assets/words.txt")]
    (tmp_path / "new" / "assets" / "words.txt").unlink()
    assert _assets(tmp_path, "words.txt") == [("asset-lost", "assets/words.txt")]


def test_an_asset_whose_name_was_taken(tmp_path):
    _write(tmp_path / "old" / "a" / "words.txt")
    _write(tmp_path / "new" / "assets" / "words_1.txt")
    assert _assets(tmp_path, "words_1.txt") == []
    _write(tmp_path / "new" / "assets" / "words_1.txt", b"other")
    assert _assets(tmp_path, "words_1.txt") == [("asset-differs", "assets/words_1.txt")]


@pytest.mark.parametrize(
    ("name", "is_known"),
    [("words.txt", True), ("words.txt_1", True), ("words_1.txt", True), ("tokens.txt", False), ("words_b.txt", False)],
)
def test_an_asset_has_its_name(tmp_path, name, is_known):
    _write(tmp_path / "old" / "a" / "words.txt")
    _write(tmp_path / "new" / "assets" / name)
    assert _assets(tmp_path, name) == ([] if is_known else [("asset-differs", f"assets/{name}")])


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/hostname"])
def test_an_asset_outside_of_the_model_is_not_read(tmp_path, name):
    _write(tmp_path / "new" / "secret")
    _write(tmp_path / "old" / "secret")
    assert [code for code, _ in _assets(tmp_path, name)] == ["asset-differs"]


def test_files_in_assets_extra(tmp_path):
    for folder in ("extra/sub", "new/assets.extra/sub"):
        _write(tmp_path / folder / "file")
    _write(tmp_path / "extra" / "migration.json")  # A converted model that is converted again.
    assert _extra(tmp_path) == []
    copy = tmp_path / "new" / "assets.extra" / "sub" / "file"
    copy.write_bytes(b"other")
    assert _extra(tmp_path) == [("extra-file-differs", "assets.extra/sub/file")]
    copy.unlink()
    assert _extra(tmp_path) == [("extra-file-missing", "assets.extra/sub/file")]


def test_warm_up_requests_of_somebody_else(tmp_path):
    _write(tmp_path / "new" / "assets.extra" / _WARM_UP)
    assert _extra(tmp_path) == [("extra-file-added", f"assets.extra/{_WARM_UP}")]
    _write(tmp_path / "extra" / _WARM_UP)
    assert _extra(tmp_path) == []


def _unknown(tmp_path, *files):
    found = unknown_files(str(tmp_path / "source"), str(tmp_path / "new"), _new(*files), "contract")
    return [(difference.code, difference.output, difference.is_note) for difference in found]


def test_a_file_that_nobody_knows_is_a_note(tmp_path):
    for name in ("saved_model.pb", "fingerprint.pb", "variables/variables.index", "assets/words.txt", "own.txt"):
        _write(tmp_path / "new" / name)
    _write(tmp_path / "new" / "variables" / "variables.data-00000-of-00001")
    _write(tmp_path / "source" / "own.txt")
    assert _unknown(tmp_path, "words.txt") == []
    _write(tmp_path / "new" / "assets" / "more.txt")
    _write(tmp_path / "new" / "variables" / "variables.data-00000-of-00001.tmp")
    assert _unknown(tmp_path, "words.txt") == [
        ("file-added", "assets/more.txt", True),
        ("file-added", "variables/variables.data-00000-of-00001.tmp", True),
    ]


@pytest.mark.parametrize("other", ["saved_model.pbtxt", "saved_model.cpb"])
def test_a_second_file_with_a_graph(tmp_path, other):
    _write(tmp_path / "new" / "saved_model.pb")
    _write(tmp_path / "new" / other)
    assert _unknown(tmp_path) == [("graph-file-added", other, False)]


def test_a_shard_that_no_index_names(tmp_path):
    prefix = tmp_path / "new" / "variables" / "variables"
    prefix.parent.mkdir(parents=True)
    write_index(str(prefix), [], 2)
    shards = [tmp_path / "new" / "variables" / f"variables.data-{n:05d}-of-{of:05d}" for n, of in ((0, 2), (1, 2))]
    for shard in shards:
        _write(shard)
    assert _unknown(tmp_path) == []
    for number, of in ((2, 3), (0, 1), (2, 2)):
        extra = shards[0].with_name(f"variables.data-{number:05d}-of-{of:05d}")
        _write(extra)
        assert _unknown(tmp_path) == [("file-added", f"variables/{extra.name}", True)]
        extra.unlink()

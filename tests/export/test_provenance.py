"""What a new model says of where it came from. No TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest

from migrate.errors import InputError
from migrate.export.provenance import (
    DIGEST,
    FILES,
    as_read,
    digest,
    digest_of_model,
    provenance,
    read_provenance,
    rename_source,
    sign,
    source_digest,
    source_of,
    tool_of,
    write_provenance,
)
from migrate.feed_flag import parse_feed
from migrate.records import GivenSignature, Options
from migrate.sources.files import digest_of
from migrate.sources.fingerprint import fingerprint
from migrate.versions import tool
from tests.conversions import MODELS

_SOURCE = {"path": "/models/old", "sha256": "0a"}


@pytest.fixture
def model(tmp_path):
    """A model with a provenance."""
    path = shutil.copytree(MODELS / "tf2", tmp_path / "model", copy_function=shutil.copyfile)
    (path / "assets.extra").mkdir()
    write_provenance(str(path), provenance(_SOURCE, Options()))
    return str(path)


def test_what_is_said_of_every_model(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    found = provenance(_SOURCE, Options(max_ulps=3, metadata=(("owner", "ads"),), jobs=4))
    assert (found["source"], found["metadata"]) == (_SOURCE, {"owner": "ads"})
    assert (found["tool"], found["tensorflow"]) == (tool(), tool()["tensorflow"])
    assert found["converted"] == "1970-01-01T00:00:00Z"
    assert found["options"]["max_ulps"] == 3
    # How many are done at once, and the metadata, decide nothing.
    assert not {"jobs", "metadata"} & found["options"].keys()


@pytest.mark.parametrize("epoch", ["", "yesterday", "1e9", str(10**30)])
def test_a_time_that_is_none_is_told(epoch, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    if epoch:
        with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
            provenance({}, Options())
    else:
        assert provenance({}, Options())["converted"].endswith("Z")


def test_it_is_read_as_it_was_written(model):
    written = provenance({**_SOURCE, "name": "\u00e4\n"}, Options(tags=frozenset({"b", "a"})))
    write_provenance(model, written)
    assert read_provenance(model) == as_read(written)
    assert read_provenance(model)["options"]["tags"] == ["a", "b"]


def test_a_model_without_one_says_nothing(tmp_path):
    for path in str(MODELS / "tf2"), str(tmp_path / "absent"):
        assert [read(path) for read in (read_provenance, source_of, source_digest, tool_of)] == [None] * 4
        sign(path, None)
        rename_source(path, "x")
    assert not (MODELS / "tf2" / "assets.extra").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": []}', '{"source": {}', "[" * 100_000])
def test_what_is_none_is_believed_in_nothing(model, text):
    with open(os.path.join(model, "assets.extra", "migration.json"), "w") as file:
        file.write(text)
    assert [read(model) for read in (read_provenance, source_of, source_digest, tool_of)] == [None] * 4


def test_fields_of_another_type_are_none(model):
    write_provenance(model, {"source": {"path": 1, "sha256": ["0a"]}, "tool": "migrate"})
    assert [read(model) for read in (source_of, source_digest, tool_of)] == [None] * 3
    write_provenance(model, provenance(_SOURCE, Options()))
    assert [read(model) for read in (source_of, source_digest, tool_of)] == ["/models/old", "0a", tool()]


def test_a_signature_is_of_the_files_that_are_there(model):
    files = fingerprint(str(MODELS / "simple_save"))
    sign(model, files)
    found = read_provenance(model)
    assert found["source"] == {**_SOURCE, FILES: as_read({FILES: files.content})[FILES]}
    assert found[DIGEST] == digest_of_model(model) == digest_of(os.path.join(model, "saved_model.pb"))
    sign(model, None)
    assert read_provenance(model)["source"][FILES] is None


def test_another_path_of_the_source(model):
    before = read_provenance(model)
    rename_source(model, "gs://models/old")
    assert source_of(model) == "gs://models/old"
    assert read_provenance(model) == {**before, "source": {**before["source"], "path": "gs://models/old"}}


def test_the_digest_of_a_model_that_cannot_be_read(tmp_path):
    assert digest_of_model(str(tmp_path)) is None
    (tmp_path / "saved_model.pb").mkdir()
    assert digest_of_model(str(tmp_path)) is None


def test_what_is_nested_too_deeply_is_told(model):
    content = {"source": {}}
    for _ in range(20_000):
        content = {"source": content}
    with pytest.raises(InputError, match="nested too deeply"):
        write_provenance(model, content)


def test_a_digest_is_of_all_parts():
    assert len({digest(parts, Options()) for parts in (["a"], ["b"], ["a", "b"], ["b", "a"])}) == 4


_GIVEN = GivenSignature("asked", (("x", "x:0"),), (("y", "y:0"),))


@pytest.mark.parametrize(
    "options",
    [
        Options(signature=(_GIVEN,)),
        Options(feed=(parse_feed("x=1"),)),
        Options(variables=True),
        Options(keep_tensor_names=True),
        Options(plain_gradients=True),
        Options(drop_signatures=True),
        Options(take_proposals=True),
    ],
)
def test_what_makes_another_graph_of_a_source_makes_other_names(options):
    assert len({digest(["source"], o) for o in (Options(), options, dataclasses.replace(options))}) == 2


@pytest.mark.parametrize(
    "options",
    [
        Options(verify=False),
        Options(max_ulps=4),
        Options(checkpoint="copy"),
        Options(metadata=(("key", "value"),)),
        Options(tags=frozenset(("serve", "gpu"))),
        Options(details=True, jobs=3),
    ],
)
def test_what_leaves_the_graph_as_it_is_leaves_the_names(options):
    assert digest(["source"], options) == digest(["source"], Options())

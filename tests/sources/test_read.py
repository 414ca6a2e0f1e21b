from __future__ import annotations

import os
import zipfile

import pytest

from migrate.errors import InputError
from migrate.records import Kind
from migrate.sources.boundary import Boundary
from migrate.sources.location import Form
from migrate.sources.read import opened, read_source
from migrate.sources.watch import Watch
from tests.conversions import MODELS, ROOT

FORMS = ROOT / "testdata" / "forms"


@pytest.mark.parametrize(
    ("path", "kind", "checkpoint"),
    [
        (MODELS / "counter", Kind.TF1_SAVED_MODEL, "variables/variables"),
        (FORMS / "saver_steps", Kind.CHECKPOINT_META, "model.ckpt-5"),
        (FORMS / "session_bundle", Kind.SESSION_BUNDLE, "export-?????-of-00001"),
        (FORMS / "frozen", Kind.FROZEN_GRAPH, None),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_form(path, kind, checkpoint):
    with opened(str(path)) as place:
        source = read_source(place, str(path))
    assert (source.path, source.kind, len(source.meta_graphs)) == (str(path), kind, 1)
    assert source.checkpoint == (None if checkpoint is None else str(path / checkpoint))
    assert (source.assets_dir, source.extra_dir) == (str(path / "assets"), str(path / "assets.extra"))
    assert bool(source.signatures) is (kind is Kind.SESSION_BUNDLE)
    assert source.boundary == Boundary((str(path),))


def test_the_place_has_the_watch_and_links_are_followed_on_demand():
    watch = Watch()
    with opened(str(FORMS / "frozen"), follow_links=True, watch=watch) as place:
        assert (place.boundary, place.watch is watch, place.unpacked) == (None, True, None)


def _zip(path, *sources):
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in sources:
            archive.write(source, name)
    return str(path)


def test_an_archive_is_there_until_the_block_ends(tmp_path):
    frozen = FORMS / "frozen" / "frozen.pb"
    path = _zip(tmp_path / "model.zip", ("folder/frozen.pb", frozen))
    with opened(path) as place:
        assert place.form is Form.GRAPH_DEF
        assert place.boundary == Boundary((os.path.realpath(place.unpacked),))
        assert read_source(place, path).meta_graphs
    assert not os.path.exists(place.unpacked)


def test_archives_that_mean_no_single_model(tmp_path):
    frozen = FORMS / "frozen" / "frozen.pb"
    two = _zip(tmp_path / "two.zip", ("a/frozen.pb", frozen), ("b/frozen.pb", frozen))
    with pytest.raises(InputError, match=r"two\.zip: holds 2 models \(a, b\)"), opened(two):
        pass
    none = _zip(tmp_path / "none.zip", ("saved_model.pb/notes", __file__))
    with pytest.raises(InputError, match=r"none\.zip: no model in this archive"), opened(none):
        pass
    inner = _zip(tmp_path / "inner.zip", ("frozen.pb", frozen))
    outer = _zip(tmp_path / "outer.zip", ("inner.zip", inner))
    with pytest.raises(InputError, match=r"outer\.zip: an archive in an archive"), opened(outer):
        pass

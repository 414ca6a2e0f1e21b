"""What a directory claims to be a file is looked at before it is opened: no pipe is waited for, no device is read."""

from __future__ import annotations

import hashlib
import os

import pytest

from migrate.errors import InputError
from migrate.model.study import audit_model
from migrate.records import Options, Refused, Unreadable
from migrate.sources.boundary import Boundary
from migrate.sources.bundle import read_bundle
from migrate.sources.copies import copy_file
from migrate.sources.files import check_regular, digest_of, read_file
from migrate.sources.saved_model import read_saved_model
from migrate.sources.sniff import is_v1_checkpoint
from tests.conversions import MODELS
from tests.product.test_bad_input import _copy
from tools.mutants import snappy_bomb, table_of_blocks

pytestmark = pytest.mark.timeout(20)


def _pipe(path):
    os.mkfifo(path)


def _device(path):
    path.symlink_to("/dev/zero")


def _huge(path):
    with open(path, "wb") as stream:
        stream.truncate(1 << 42)


def _directory(path):
    path.mkdir()


def _link_to_itself(path):
    path.symlink_to(path)


WAYS = [_pipe, _device, _huge, _directory, _link_to_itself]
_SAID = "not a regular file|most that makes sense|cannot be read"


@pytest.mark.parametrize("way", WAYS)
def test_read_file(way, tmp_path):
    path = tmp_path / "file"
    way(path)
    with pytest.raises(InputError, match=_SAID):
        read_file(str(path), 1000)


def test_a_regular_file_is_read_and_copied(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_file(str(tmp_path / "link"), 7) == b"content"
    with pytest.raises(InputError, match="7 bytes, where 6 are"):
        read_file(str(tmp_path / "link"), 6)
    copy_file(str(tmp_path / "link"), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError):
        check_regular(str(tmp_path / "gone"))


@pytest.mark.parametrize("way", [_pipe, _device])
def test_what_is_no_file_is_not_copied(way, tmp_path):
    way(tmp_path / "file")
    with pytest.raises(InputError, match="not a regular file"):
        copy_file(str(tmp_path / "file"), str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["saved_model.pb", "variables.index", "variables.data-00000-of-00001"])
def test_audit_of_a_model_with_such_a_file(name, way, tmp_path):
    model = _copy("counter", tmp_path / "model")
    (path,) = model.rglob(name)
    path.unlink()
    way(path)
    report = audit_model(str(model), Options())
    if way is _huge and name.endswith("00001"):
        return  # More data than the index says: TensorFlow reads what it needs.
    assert isinstance(report.outcome, (Refused, Unreadable))
    said = getattr(report.outcome, "reason", "") or report.findings[0].message
    assert str(path if way is not _directory else model) in said


@pytest.mark.parametrize("way", [_pipe, _device])
def test_a_prefix_that_is_no_file_is_no_old_checkpoint(way, tmp_path):
    way(tmp_path / "variables")
    assert not is_v1_checkpoint(str(tmp_path / "variables"))
    with pytest.raises(InputError, match="no such file"):
        read_bundle(str(tmp_path / "variables"))


@pytest.mark.parametrize("size", [1 << 27, 1 << 31, 1 << 60])
def test_a_block_that_unfolds_to_more_than_any_index_is_refused(size, tmp_path):
    (tmp_path / "variables.index").write_bytes(snappy_bomb(size))
    with pytest.raises(InputError, match=f"would unfold to {size:,} bytes"):
        read_bundle(str(tmp_path / "variables"))


def test_a_block_that_says_too_little_is_damaged(tmp_path):
    (tmp_path / "variables.index").write_bytes(table_of_blocks([(b"\xff", 1)]))
    with pytest.raises(InputError, match=r"variables\.index: damaged"):
        read_bundle(str(tmp_path / "variables"))


def test_a_model_is_read_through_a_link(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").symlink_to(MODELS / "counter" / "saved_model.pb")
    assert read_saved_model(str(tmp_path / "model")).meta_graphs


def test_the_digest_of_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"ab" * (1 << 20))
    assert digest_of(str(file)) == hashlib.sha256(b"ab" * (1 << 20)).hexdigest()
    with pytest.raises(InputError, match="outside of the model"):
        digest_of(str(file), Boundary((str(tmp_path / "other"),)))
    with pytest.raises(FileNotFoundError):
        digest_of(str(tmp_path / "none"))

"""What would help a refused model is tried before it is proposed. No TensorFlow."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from migrate.feed_flag import parse_feed
from migrate.graph.protos import SavedModel
from migrate.model.judgement import judged
from migrate.model.study import audit_model
from migrate.records import Convertible, ModelOptions, Options, Refused
from migrate.signature_flag import parse_signature
from tests.conversions import MODELS, ROOT
from tests.product.test_hints import _model, _sound_and

_FORMS = ROOT / "testdata" / "forms"
_LINEAR = parse_signature("serving_default:inputs=x=x:0;outputs=y=y:0")


def _judged(path, options=None):
    options = options or Options()
    return judged(audit_model(str(path), options), options)


def _helps(path, change):
    """Whether what is proposed makes the model convertible."""
    given = {name: value for name, value in vars(change).items() if value is not None}
    return isinstance(audit_model(str(path), Options(**given)).outcome, Convertible)


def test_what_is_not_refused_stays_as_it_is():
    options = Options()
    report = audit_model(str(MODELS / "simple_save"), options)
    assert judged(report, options) is report


@pytest.mark.parametrize(
    ("path", "proposed"),
    [
        (_FORMS / "saver_steps", ModelOptions(signature=(_LINEAR,))),
        (
            MODELS / "unfed_training",
            ModelOptions(feed=(parse_feed("is_training:0=false"), parse_feed("keep_prob:0=1.0"))),
        ),
    ],
)
def test_what_makes_a_model_convertible_is_proposed(path, proposed):
    report = _judged(path)
    assert (type(report.outcome), report.proposed) == (Refused, proposed)
    assert _helps(path, report.proposed)


def test_what_was_asked_for_already_is_not_proposed():
    assert _judged(MODELS / "unknown_op").proposed is None
    assert _judged(MODELS / "unknown_op", Options(drop_signatures=True, take_proposals=True)).proposed is None


def test_a_flag_that_drops_a_signature_is_proposed_where_it_helps(tmp_path):
    path = _model(tmp_path / "m", {"s": "y:0", "t": "z:0"}, _sound_and("Strange"))
    report = _judged(path)
    assert (type(report.outcome), report.proposed) == (Refused, ModelOptions(drop_signatures=True))
    assert _helps(path, report.proposed)
    alone = _model(tmp_path / "n", {"t": "z:0"}, _sound_and("Strange"))
    assert _judged(alone).proposed is None


def test_the_real_blocker_comes_first(tmp_path):
    """Not `no-signature`, for which there is a proposal."""
    shutil.copytree(_FORMS / "saver_steps", tmp_path / "lost")
    for file in (tmp_path / "lost").iterdir():
        if ".data-" in file.name:
            file.unlink()
    before = audit_model(str(tmp_path / "lost"), Options())
    report = _judged(tmp_path / "lost")
    assert report.proposed is None
    assert before.refusals[0].code == "no-signature"
    assert report.refusals[0].code == "checkpoint-shard-missing"
    assert {f.code for f in before.findings} < {f.code for f in report.findings}


_WRONG = Options(tags=frozenset({"nothing"}))


def test_of_several_tag_sets_nobody_knows_which_is_meant():
    report = _judged(MODELS / "multi_tags", _WRONG)
    assert [finding.code for finding in report.refusals] == ["tag-set"]
    assert report.proposed is None


def test_the_only_tag_set_that_can_be_converted_is_proposed(tmp_path):
    shutil.copytree(MODELS / "multi_tags", tmp_path / "model")
    file = tmp_path / "model" / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    kept = next(m for m in model.meta_graphs if set(m.meta_info_def.tags) == {"serve", "gpu"})
    for meta_graph in model.meta_graphs:
        if meta_graph is not kept:
            meta_graph.signature_def.clear()
    file.write_bytes(model.SerializeToString())
    assert _judged(tmp_path / "model", _WRONG).proposed == ModelOptions(tags=("gpu", "serve"))
    options = dataclasses.replace(_WRONG, tags=frozenset({"gpu", "serve"}))
    assert isinstance(audit_model(str(tmp_path / "model"), options).outcome, Convertible)

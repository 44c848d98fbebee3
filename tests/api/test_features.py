"""`XAlignFeatures` is a transformer of scikit-learn: its checks, clones, pickles and pipelines."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks

import fairseq_xalign
from fairseq_xalign import XAlignFeatures
from fairseq_xalign.errors import UserError
from tests.support.checkpoints import save, two_layers_state

TEXTS = ["the house", "an old house", "the garden", "a garden behind", "no house", "no garden"]
LABELS = [0, 0, 1, 1, 0, 1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save(two_layers_state(), tmp_path_factory.mktemp("run") / "checkpoint_best.pt").parent


@pytest.mark.parametrize(
    "check",
    [
        checks.check_parameters_default_constructible,
        checks.check_no_attributes_set_in_init,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_estimator_tags_renamed,
        checks.check_valid_tag_types,
        checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_it_keeps_the_rules_of_scikit_learn_that_are_not_about_tables_of_numbers(check):
    check("XAlignFeatures", XAlignFeatures())


def test_scikit_learns_own_list_has_no_other_check_for_what_takes_text():
    """The rest of ``check_estimator`` feeds arrays of numbers, and leaves out what does not take them."""
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = checks.check_estimator(XAlignFeatures(), on_fail=None)
    assert all(result["status"] == "passed" for result in results), results


def test_it_gives_the_vectors_of_encode(checkpoint):
    step = XAlignFeatures(checkpoint, pooling="max", layer=1, normalize=True)
    found = step.fit_transform(TEXTS, LABELS)
    expected = fairseq_xalign.load_encoder(checkpoint).encode(TEXTS, pooling="max", layer=1, normalize=True)
    np.testing.assert_array_equal(found, expected)
    assert list(step.get_feature_names_out())[:2] == ["xalignfeatures0", "xalignfeatures1"]
    assert len(step.get_feature_names_out()) == 32


def test_clones_and_pickles_are_small_and_equal(checkpoint):
    step = XAlignFeatures(checkpoint, pooling="cls").fit(TEXTS)
    assert clone(step).get_params() == step.get_params()
    data = pickle.dumps(step)
    assert len(data) < 2_000, "weights stay where they are"
    np.testing.assert_array_equal(pickle.loads(data).transform(TEXTS), step.transform(TEXTS))


def test_it_works_in_a_pipeline_and_its_settings_can_be_searched(checkpoint):
    pipeline = make_pipeline(XAlignFeatures(checkpoint), LogisticRegression())
    assert pipeline.fit(TEXTS, LABELS).predict(TEXTS).shape == (6,)
    search = GridSearchCV(pipeline, {"xalignfeatures__pooling": ["mean", "max"]}, cv=2).fit(TEXTS, LABELS)
    assert search.best_params_["xalignfeatures__pooling"] in ("mean", "max")


def test_a_mistake_is_named(checkpoint):
    with pytest.raises(UserError, match="no checkpoint"):
        XAlignFeatures().fit(TEXTS)
    with pytest.raises(UserError, match="X is a string"):
        XAlignFeatures(checkpoint).transform("the house")
    with pytest.raises(UserError, match="of shape"):
        XAlignFeatures(checkpoint).transform(np.array([TEXTS]))

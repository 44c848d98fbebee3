"""What pre-training refuses, check by check; test_bad_input.py, test_moco.py and test_word_links.py have real runs."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.align import Align
from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.moco import Moco, MocoOptions
from fairseq_xalign.objectives.objective import Resources, Weighted
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.tpp import TPPOptions, TranslationPairs
from fairseq_xalign.objectives.wordalign import WordAlignment
from fairseq_xalign.tasks import pretraining_checks as checks

WEIGHTED = [Weighted(MaskedLM(), 1.0), Weighted(Align(), 0.5)]


def said(line: str):
    return pytest.raises(UserError, match=re.escape(line))


def test_languages_are_those_named_in_their_order_or_all():
    assert checks.chosen_languages(None, ["de", "en"], "DATA") == ["de", "en"]
    assert checks.chosen_languages("en, de,en", ["de", "en", "fr"], "DATA") == ["en", "de"]
    with said("DATA: --languages: unknown language 'fi'. Known: de, en"):
        checks.chosen_languages("en,fi", ["de", "en"], "DATA")


def test_some_objective_must_read_text():
    checks.check_reads_text([Align(), MaskedLM()])
    with said("--objectives align reads no text"):
        checks.check_reads_text([Align()])


def test_a_missing_dictionary_is_refused_with_those_that_there_are():
    checks.check_dictionaries([("en", "de")], [("en", "de")], ["en", "de"], "DATA")
    with said("DATA: no dictionary between the languages trained on (en, fr). It has en-de, en-fi: change --languages"):
        checks.check_dictionaries([("en", "de"), ("en", "fi")], [], ["en", "fr"], "DATA")


@pytest.mark.parametrize(
    ("wanted", "there", "asked"), [(None, False, False), (None, True, True), (True, True, False), (False, False, False)]
)
def test_language_embeddings_as_the_paper_has_them_are_allowed(wanted, there, asked):
    checks.check_language_embeddings("align_mlm", wanted, there, asked, WEIGHTED)


def test_language_embeddings_otherwise_are_refused_with_the_way_to_have_them():
    with said("Add --language-embeddings, or use --criterion xalign --objectives mlm,align"):
        checks.check_language_embeddings("xlm", True, False, False, WEIGHTED)
    with said("Leave --language-embeddings out, or use --criterion xalign --objectives mlm:1,align:0.5"):
        checks.check_language_embeddings("align_mlm", False, True, True, WEIGHTED)


def test_bitext_without_links_is_refused_with_the_objective_that_reads_them():
    checks.check_links(("en", "de"), "train", [("en", "de")], [MaskedLM(), WordAlignment()], "DATA")
    with said("DATA: bitext train en-de has no word links, but wordalign reads them"):
        checks.check_links(("en", "de"), "train", [("en", "fr")], [MaskedLM(), WordAlignment()], "DATA")


def test_bitext_with_hardly_any_links_is_refused_or_warned_of(caplog):
    class Links(list):
        """How many numbers of links each pair has."""

        def gather(self, indices):
            return np.zeros(0, np.uint16), np.array(self)[indices]

    def check(links):
        checks.check_linked(("en", "de"), "train", Links(links), [MaskedLM(), WordAlignment()], "DATA")

    check([2] * 3000 + [0] * 2000)
    assert not caplog.text
    check([2] * 10 + [0] * 290)
    assert "bitext train en-de: only 10 of 300 pairs have word links; wordalign learns nothing of" in caplog.text
    with said("DATA: bitext train en-de: none of 1,000 pairs has word links; wordalign would learn nothing"):
        check([0] * 5000)


def test_too_few_pairs_are_refused_only_where_an_objective_counts_them():
    resources = Resources("DATA")
    checks.check_pairs([MaskedLM(), TranslationLM()], resources, [])
    with said("--moco-queue 5 is not less than the 0 pairs of training bitext that are read"):
        checks.check_pairs([Moco(MocoOptions(moco_queue=5))], replace(resources, pairs=9), [])


def test_a_batch_in_which_no_pairs_can_be_compared_is_refused():
    alone = {"bitext": 1.0}
    checks.check_batch_size([MaskedLM(), Moco()], 1, alone)
    checks.check_batch_size([TranslationPairs()], None, alone)
    checks.check_batch_size([TranslationPairs()], 2, alone)
    with said(
        "--batch-size 1: tpp compares the pairs of a batch with each other and needs 2. Choose a --batch-size of"
    ):
        checks.check_batch_size([MaskedLM(), TranslationPairs()], 1, alone)


def test_only_the_share_of_a_batch_that_is_pairs_counts_for_an_objective_that_compares_them():
    shares = {"mono": 0.9, "bitext": 0.1}
    checks.check_batch_size([MaskedLM(), TranslationPairs()], 20, shares)
    wrong = (
        "--batch-size 16: tpp compares the pairs of a batch with each other and needs 2; 1.6 of them are pairs, the "
    )
    with said(f"{wrong}others are text alone. Choose a --batch-size of at least 20, better of 80 and more, or give"):
        checks.check_batch_size([MaskedLM(), TranslationPairs()], 16, shares)
    five = TranslationPairs(TPPOptions(tpp_num_negatives=5))
    with said("--batch-size 5: tpp compares the pairs of a batch with each other and needs 6"):
        checks.check_batch_size([five], 5, {"bitext": 1.0})

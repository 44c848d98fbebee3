"""Views and settings: what a run reads, who decides it, and which objectives share a batch."""

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.dict_mlm import DictionaryMLM, DictionaryOptions
from fairseq_xalign.objectives.masking import MaskingOptions
from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.view import DEFAULTS, View, check_views, name_views, resolve_settings


def test_without_preset_and_options_the_settings_are_those_of_align_mlm():
    settings, replaced = resolve_settings({}, {"mask_prob": None, "tlm_packing": None})
    assert settings == DEFAULTS and not replaced
    assert (settings.mask_prob, settings.tlm_packing, settings.tlm_positions) == (0.15, "halves", "reset")
    assert settings.rates == MaskingOptions(0.15, 0.1, 0.1)


def test_a_criterion_brings_its_settings_and_an_option_given_by_hand_wins_over_them():
    preset = {"mask_prob": 0.3, "tlm_positions": "continue"}
    settings, replaced = resolve_settings(preset, {"tlm_packing": "halves"})
    assert (settings.mask_prob, settings.tlm_positions) == (0.3, "continue") and not replaced
    settings, replaced = resolve_settings(preset, {"mask_prob": 0.15, "tlm_positions": "continue"})
    assert (settings.mask_prob, settings.tlm_positions) == (0.15, "continue")
    assert replaced == {"mask_prob": (0.3, 0.15)}, "what repeats the criterion's own value replaces nothing"


def test_equal_views_have_one_name_and_others_one_each():
    mlm, dictionary = MaskedLM().view(DEFAULTS), DictionaryMLM().view(DEFAULTS)
    tlm = TranslationLM().view(DEFAULTS)
    named = name_views([("mlm", mlm), ("tlm", tlm), ("dict", dictionary), ("again", MaskedLM().view(DEFAULTS))])
    assert named == {"mono": mlm, "bitext": tlm, "mono/dict": dictionary}


def test_options_of_an_objective_are_part_of_its_view():
    views = [DictionaryMLM(DictionaryOptions(dict_mlm_prob=p)).view(DEFAULTS) for p in (0.5, 0.5, 0.25)]
    assert views[0] == views[1] != views[2]


def test_what_concerns_pairs_makes_no_difference_to_monolingual_text():
    settings, _ = resolve_settings({"tlm_positions": "continue", "tlm_packing": "pairs"}, {})
    assert MaskedLM().view(settings) == MaskedLM().view(DEFAULTS)
    assert TranslationLM().view(settings) != TranslationLM().view(DEFAULTS)


def test_hiding_nothing_is_refused_only_where_something_should_be_hidden():
    check_views([View("bitext", None)])
    with pytest.raises(UserError, match="--mask-prob 0 hides nothing"):
        check_views([View("mono", MaskingOptions(mask_prob=0.0))])

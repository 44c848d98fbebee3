"""DICT-MLM's translations: looked up by the language of the text, in both directions, and by nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.dict_mlm import DictionaryOptions, Translations
from fairseq_xalign.objectives.masking import MaskingOptions, Vocabulary, mask_tokens

ENGLISH, GERMAN = 1, 2
DIE, STERBEN, DER, THE, ROSE = 10, 11, 12, 13, 14
"""One vocabulary of both languages: `die` is an English verb and a German article, `rose` a word of both."""
V = 20
VOCABULARY = Vocabulary(size=V, mask=4, first=5, last=V, pieces=V - 5)
EVERYTHING = MaskingOptions(mask_prob=1.0, random_token_prob=0.0, leave_unmasked_prob=0.0)
ALL = DictionaryOptions(dict_mlm_prob=1.0)


def both_ways(*pairs):
    """Entries of an English-German dictionary, in both directions."""
    return [e for en, de in pairs for e in ((ENGLISH, en, de, GERMAN), (GERMAN, de, en, ENGLISH))]


def seen(tokens, languages, entries, options=ALL):
    batch = replace(pack([tokens]), keys=torch.tensor([3]), languages=torch.tensor(languages))
    return mask_tokens(batch, VOCABULARY, EVERYTHING, options, Translations.build(entries, V))


def test_german_die_is_not_translated_as_the_english_verb():
    entries = both_ways((DIE, STERBEN))
    german = seen([DIE] * 50, [GERMAN] * 50, entries)
    assert german.tokens.tolist() == [DIE] * 50 and german.languages.tolist() == [GERMAN] * 50
    english = seen([DIE] * 50, [ENGLISH] * 50, entries)
    assert english.tokens.tolist() == [STERBEN] * 50 and english.languages.tolist() == [GERMAN] * 50


def test_both_directions_of_an_entry_are_used_each_in_its_own_language():
    entries = both_ways((THE, DIE), (THE, DER), (DIE, STERBEN))
    found = seen([DIE, STERBEN, THE, DIE], [GERMAN, GERMAN, ENGLISH, ENGLISH], entries)
    assert found.tokens[[0, 1, 3]].tolist() == [THE, DIE, STERBEN]
    assert int(found.tokens[2]) in (DIE, DER)
    assert found.languages.tolist() == [ENGLISH, ENGLISH, GERMAN, GERMAN]
    assert found.target_languages.tolist() == [GERMAN, GERMAN, ENGLISH, ENGLISH], "losses count for the text's language"


def test_labels_are_translated_by_language_too():
    options = DictionaryOptions(dict_mlm_prob=1.0, dict_mlm_target="label")
    found = seen([DIE, DIE], [GERMAN, ENGLISH], both_ways((DIE, STERBEN)), options)
    assert found.targets.tolist() == [DIE, STERBEN] and found.tokens.tolist() == [4, 4]


def test_a_third_language_has_the_entries_that_name_it_alone():
    entries = [(3, ROSE, THE, ENGLISH), (ENGLISH, ROSE, DER, GERMAN)]
    found = seen([ROSE, ROSE, ROSE], [1, 2, 3], entries)
    assert found.tokens.tolist() == [DER, ROSE, THE]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(5, V - 1), st.integers(5, V - 1), st.integers(1, 3)), max_size=40
    ),
    st.lists(st.tuples(st.integers(1, 3), st.integers(5, V - 1)), min_size=1, max_size=20),
)
@settings(max_examples=80)
def test_looking_up_finds_exactly_the_entries_of_the_language_and_the_token(entries, wanted):
    table = Translations.build(entries, V)
    first, count = table.find(torch.tensor([w[0] for w in wanted]), torch.tensor([w[1] for w in wanted]))
    for (language, token), begin, n in zip(wanted, first.tolist(), count.tolist()):
        found = sorted(zip(table.values[begin : begin + n].tolist(), table.languages[begin : begin + n].tolist()))
        assert found == sorted({(e[2], e[3]) for e in entries if e[:2] == (language, token)})


@pytest.mark.parametrize("entries", [[], both_ways((DIE, STERBEN))])
def test_a_token_without_translation_stays_visible_or_is_masked_as_said(entries):
    assert seen([ROSE], [ENGLISH], entries).tokens.tolist() == [ROSE]
    normal = DictionaryOptions(dict_mlm_prob=1.0, dict_mlm_nonmember="normal")
    assert seen([ROSE], [ENGLISH], entries, normal).tokens.tolist() == [4]

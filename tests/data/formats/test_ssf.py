"""The Shakti Standard Format: brackets become IOB2 tags, of the outermost entities, whatever stands within them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import ssf
from fairseq_xalign.data.formats.columns import OUTSIDE
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.chunks import is_iob2

TOKENS = st.sampled_from(["Bonn", "اکبر", "7", "((x", "<x", "\u00a0"])
KINDS = st.sampled_from(["", "NEP", "NEL", "NETI"])
TREES = st.lists(
    st.recursive(TOKENS, lambda inner: st.tuples(KINDS, st.lists(inner, max_size=3)), max_leaves=8), max_size=4
)
"""The content of sentences: tokens, and chunks (type of the entity or "", content)."""


def written(nodes, address=""):
    """Lines of SSF."""
    lines = []
    for number, node in enumerate(nodes, 1):
        place = f"{address}{number}"
        if isinstance(node, str):
            lines.append(f"{place}\t{node}")
        else:
            kind, inner = node
            entity = f"\t<ne={kind}>" if kind else ""
            lines += [f"{place}\t((\tNP{entity}", *written(inner, f"{place}."), "\t))"]
    return lines


def expected(nodes, kind=""):
    """(token, number of its outermost entity, type) by recursion; an entity is known by the place of its chunk."""
    for node in nodes:
        if isinstance(node, str):
            yield node, kind
        else:
            yield from expected(node[1], kind or (node[0] and (node[0], id(node))))


def tagged(nodes):
    """The tokens and their IOB2 tags."""
    found, last = [], None
    for token, entity in expected(nodes):
        found.append((token, OUTSIDE if not entity else ("I-" if entity is last else "B-") + entity[0]))
        last = entity or None
    return found


@settings(deadline=None)
@given(st.lists(TREES, min_size=1, max_size=3))
def test_the_outermost_entity_gives_the_tags_of_its_tokens(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("ssf") / "t.ssf"
    lines = [line for nodes in sentences for line in ["<Sentence id='1'>", *written(nodes), "</Sentence>"]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert ssf.is_ssf(path)
    counts = Counter()
    found = list(ssf.read(path, counts))
    whole = [tagged(nodes) for nodes in sentences]
    assert [list(zip(s.tokens, s.tags)) for s in found] == [pairs for pairs in whole if pairs]
    assert all(is_iob2(s.tags) for s in found)
    assert [s.number for s in found] == list(range(1, len(found) + 1))
    for sentence in found:
        assert [lines[line - 1].split("\t")[1] for line in sentence.lines] == sentence.tokens


def test_entities_within_entities_are_counted_and_the_example_of_the_docstring_is_two_words_and_one_person(tmp_path):
    example = ssf.__doc__.split("::\n\n")[1].split("\n\n")[0]
    rows = [line.strip() for line in example.splitlines()]
    path = tmp_path / "t.ssf"
    path.write_text("\n".join("\t" + row if row == "))" else row.replace("  ", "\t") for row in rows), "utf-8")
    counts = Counter()
    (sentence,) = ssf.read(path, counts)
    assert sentence.tags == ["B-NEP", "I-NEP", "O"] and sentence.tokens[2] == "نے"
    assert counts == {"entities within entities left out": 2}


@pytest.mark.parametrize("attribute", ["<ne=>", "<ne=?>"])
def test_an_entity_without_a_type_is_counted_and_its_words_are_ordinary(tmp_path, attribute):
    path = tmp_path / "t.ssf"
    path.write_text(f"<Sentence>\n1\t((\tNP\t{attribute}\n1.1\tBonn\n\t))\n</Sentence>\n")
    counts = Counter()
    (sentence,) = ssf.read(path, counts)
    assert sentence.tags == ["O"] and counts == {"entities without a type left out": 1}


@pytest.mark.parametrize("line", ["Bonn", "x\tBonn", "1\t ", "1.\tBonn"])
def test_a_line_that_is_no_token_and_no_bracket_is_an_error_with_its_line(tmp_path, line):
    path = tmp_path / "t.ssf"
    path.write_text(f"<Sentence>\n{line}\n")
    with pytest.raises(UserError, match=r"t\.ssf:2: not a line of SSF") as caught:
        list(ssf.read(path, Counter()))
    assert caught.value.remedy == ssf.LAYOUT


def test_other_formats_are_not_taken_for_it(tmp_path):
    path = tmp_path / "t.tsv"
    for content in ("Bonn\tB-LOC\n", "", "0\t((\tNP\n", "<Sentence>\tO\n"):
        path.write_text(content)
        assert not ssf.is_ssf(path)

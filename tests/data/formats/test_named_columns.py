"""Tables whose first row names the columns: any order, other columns passed over, faults with file and line."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import named_columns
from fairseq_xalign.errors import UserError

FIELD = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), min_size=1, max_size=5).filter(
    lambda text: text.strip(" \t\r\f\v")
)
NAMES = ["text", "label", "id", "language"]


@settings(deadline=None)
@given(
    st.permutations(NAMES),
    st.integers(1, 4),
    st.lists(st.lists(FIELD, min_size=4, max_size=4), max_size=5),
    st.lists(st.integers(0, 5), max_size=3),
)
def test_wanted_columns_come_in_the_order_asked_for_whatever_the_order_of_the_file(
    tmp_path_factory, names, count, rows, gaps
):
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    lines = ["\t".join(names), *("\t".join(row) for row in rows)]
    for place in gaps:
        lines.insert(place, "")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    wanted = NAMES[:count]
    found = list(named_columns.read(path, wanted))
    assert [fields for _, fields in found] == [[row[names.index(name)] for name in wanted] for row in rows]
    assert [lines[number - 1].split("\t") for number, _ in found] == rows


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("\ntext\tid\n", 2, "no column 'label': the first row names text, id"),
        ("text\tlabel\na\tb\nc\n", 3, "1 columns instead of 2"),
        ("text\tlabel\n\na\tb\tc\n", 3, "3 columns instead of 2"),
    ],
)
def test_a_missing_column_and_a_row_of_another_length_are_errors_with_their_line(tmp_path, content, line, message):
    path = tmp_path / "t.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(f"{path}:{line}: {message}")) as caught:
        list(named_columns.read(path, ["text", "label"]))
    assert caught.value.remedy


def test_spaces_around_the_names_of_columns_do_not_count(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text(" text \tlabel\r\na\tb\n")
    assert list(named_columns.read(path, ["label", "text"])) == [(2, ["b", "a"])]

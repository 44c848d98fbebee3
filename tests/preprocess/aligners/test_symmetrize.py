"""How the links of two directions are combined."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.aligners.symmetrize import SYMMETRIZE

LINKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)))
FORWARD, BACKWARD = {(0, 0), (1, 1), (1, 2), (3, 4)}, {(0, 0), (1, 1), (2, 1), (4, 5), (3, 3)}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("intersect", {(0, 0), (1, 1)}),
        ("union", FORWARD | BACKWARD),
        # (1, 2) and (2, 1) are neighbours of (1, 1), each with one free word; (3, 3) and (3, 4) touch none of these, so
        # of the two the forward one is added at last; (4, 5) is then its diagonal neighbour with both words free
        ("gdfa", {(0, 0), (1, 1), (1, 2), (2, 1), (3, 4), (4, 5)}),
    ],
)
def test_directions_combine_as_published(how, expected):
    forward, backward = set(FORWARD), set(BACKWARD) - {(3, 3)} if how == "gdfa" else set(BACKWARD)
    assert SYMMETRIZE[how](forward, backward) == expected


@settings(max_examples=60)
@given(LINKS, LINKS)
def test_grown_links_lie_between_intersection_and_union(forward, backward):
    grown = SYMMETRIZE["gdfa"](forward, backward)
    assert forward & backward <= grown <= forward | backward
    for side in (0, 1):  # a word that a direction links is left without any only if all its partners have others
        words = {link[side] for link in grown}
        lonely = {link for link in forward | backward if link[side] not in words}
        assert {link[1 - side] for link in lonely} <= {link[1 - side] for link in grown}


def plainly_grown(forward, backward):
    """grow-diag-final-and as it is described: every neighbour of every link is looked at."""
    links = forward & backward
    waiting = sorted(links)

    def free(link):
        return link[0] not in {s for s, _ in links}, link[1] not in {t for _, t in links}

    while waiting:
        grown = []
        for s, t in waiting:
            for link in ((s + i, t + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if link in (forward | backward) - links and any(free(link)):
                    links.add(link)
                    grown.append(link)
        waiting = grown
    for link in (*sorted(forward), *sorted(backward)):
        if all(free(link)):
            links.add(link)
    return links


@settings(max_examples=200)
@given(LINKS, LINKS)
def test_growing_is_as_described(forward, backward):
    assert SYMMETRIZE["gdfa"](set(forward), set(backward)) == plainly_grown(forward, backward)


@settings(max_examples=60)
@given(LINKS, LINKS, st.sampled_from(sorted(SYMMETRIZE)))
def test_equal_directions_are_kept_and_arguments_are_not_changed(forward, backward, how):
    assert SYMMETRIZE[how](forward, set(forward)) == forward
    before = set(forward), set(backward)
    SYMMETRIZE[how](forward, backward)
    assert (forward, backward) == before

"""Links between pieces and words, against numbers that were worked out by hand."""

import pytest
import torch

from fairseq_xalign.models.word_alignment import default_layer, linked_pieces, linked_words


def test_softmax_links_what_exceeds_the_threshold_in_both_directions():
    source, target = torch.eye(2), torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 1.0]])
    # products [[9, 0, 0], [0, 9, 1]]: over targets 0.9998, 0.0001 | 0.0001, 0.9995, 0.0003; over sources the last
    # column is 0.27 and 0.73
    assert linked_pieces(source, target).tolist() == [[True, False, False], [False, True, False]]
    assert linked_pieces(source, target, threshold=0.0002).tolist() == [[True, False, False], [False, True, True]]


def test_argmax_links_mutual_nearest_neighbours_by_cosine():
    source, target = torch.tensor([[1.0, 0.0], [0.9, 0.1]]), torch.tensor([[50.0, 1.0], [0.0, 1.0]])
    # cosines [[0.9998, 0], [0.9958, 0.1104]]: both sources prefer the first target, which prefers the first source
    assert linked_pieces(source, target, "argmax").tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("method", ["softmax", "argmax"])
@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_no_pieces_have_no_links(method, sizes):
    assert not linked_pieces(torch.ones(sizes[0], 4), torch.ones(sizes[1], 4), method).any()


def test_words_are_linked_if_any_pieces_are():
    pieces = torch.tensor([[1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=torch.bool)
    assert linked_words(pieces, [0, 0, 1], [0, 1, 1]) == [(0, 0), (0, 1), (1, 1)]


def test_the_layer_is_at_two_thirds_of_the_depth():
    assert [default_layer(n) for n in (12, 24, 6, 2, 1, 0)] == [8, 16, 4, 1, 1, 0]

"""Questions become windows, and windows answers: places are right, and nothing is lost in silence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.answers import Reference
from fairseq_xalign.labelled.answers import QA
from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.code_switching import switched
from fairseq_xalign.labelled.kind import Item
from fairseq_xalign.labelled.labeller import Labeller
from fairseq_xalign.labelled.questions import Questions
from fairseq_xalign.labelled.span_windows import best_spans, most_context, ranked, windows
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.tokenizer.framing import FRAMES
from tests.support.small_tokenizers import LINES, small

KIND = Questions(stride=7)
CONTEXT = "At ½ past two the ﬁrst bridge of 北京大学 was closed; ㍿ABC, in ｱﾊﾟｰﾄ, said so. " + LINES[3]


def row(answer="closed", context=CONTEXT, question="What was it?", **changes):
    start = str(context).find(answer)
    return {"id": "q", "question": question, "context": context,
            "answers": [{"text": answer, "answer_start": start if start >= 0 else None}], **changes}  # fmt: skip


def encoded(rows, kind=KIND, longest=40, tokenizer="trained", frame="s"):
    return kind.encode_framed(small(tokenizer), rows, ["answer"], "en", longest, FRAMES[frame])


def labeller(kind=KIND, longest=40, tokenizer="trained"):
    torch.manual_seed(1)
    words = small(tokenizer)
    config = EncoderConfig(vocab_size=len(words), layers=1, heads=2, width=16, ffn_width=16, max_positions=64)
    head = kind.build_head(16, {"head_dropout": 0.0, "labels": ["answer"]})
    torch.nn.init.normal_(head.out.weight)
    return Labeller(Encoder(config).eval(), head.eval(), words, kind, ["answer"], ["en"], longest, "qa")


# -- windows -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 30))
def test_windows_leave_no_piece_out_and_are_as_long_as_there_is_room(pieces, room, stride):
    found = windows(pieces, room, stride)
    assert {place for begin, end in found for place in range(begin, end)} == set(range(pieces))
    assert all(end - begin == room for begin, end in found[:-1]) and found[-1][1] == pieces
    assert all(after[0] - before[0] == min(stride, room) for before, after in zip(found, found[1:]))
    shown = most_context(found, pieces)
    assert (shown.sum(0) == 1).all()  # one window for each piece ...
    for (begin, end), here in zip(found, shown):  # ... which shows it
        assert not here[:begin].any() and not here[end:].any()


@pytest.mark.parametrize("tokenizer", ["trained", "wordpiece", "xlmr", "roberta"])
@pytest.mark.parametrize("frame", ["s", "eos"])
def test_labels_lead_back_to_the_answer_in_every_window_that_shows_it(tokenizer, frame):
    for answer in ("½", "ﬁrst", "北京大学", "㍿ABC", "ｱﾊﾟｰﾄ", "closed", "was closed"):
        shown = 0
        for example in encoded([row(answer)], tokenizer=tokenizer, frame=frame).examples:
            whole = FRAMES[frame].around(example.ids)
            assert len(whole) <= 40
            ours = small(tokenizer).encode(CONTEXT)
            window = whole[example.begin : example.begin + len(example.spans)]
            assert any(ours[k : k + len(window)] == window for k in range(len(ours)))
            if (example.labels == [0, 0] and frame == "s") or example.labels == [len(whole) - 1] * 2:
                continue
            first, last = (place - example.begin for place in example.labels)
            begin, end = example.spans[first, 0], example.spans[last, 1]
            assert answer in CONTEXT[begin:end] and end - begin <= len(answer) + 10
            shown += 1
        assert shown, answer


def test_windows_without_the_answer_should_choose_no_place():
    examples = encoded([row("closed")]).examples
    assert len(examples) > 3 and [0, 0] in [example.labels for example in examples]
    last = encoded([row("closed")], frame="eos").examples[-1]
    assert last.labels == [len(last.ids)] * 2


def test_what_cannot_be_learned_is_counted_and_left_out():
    long = " ".join(CONTEXT.split()[2:30])
    rows = [row(id="1"), row("Atlantis", id="2"), row(long, id="3"), row(question="word " * 40, id="4")]
    kind = Questions(stride=7, max_question_length=9)
    found = encoded(rows, kind)
    assert found.notes == {"answers that no window shows whole": 1, "questions cut to 9 subwords": 1}
    kept = kind.learnable(found)
    assert {example.name for example in kept.examples} == {"1", "4"}
    assert kept.notes == {
        "questions cut to 9 subwords": 1,
        "questions left out whose answer has no place in the context": 1,
        "questions left out whose answer no window shows whole": 1,
    }
    assert {example.name for example in found.examples} == {"1", "2", "3", "4"}  # all of them are predicted


def test_answers_that_end_inside_a_subword_are_counted():
    assert encoded([row("clos")], longest=90).notes == {
        "answers that begin or end inside a subword, which counts as a whole": 1
    }
    assert not encoded([row("closed")], longest=90).notes


def test_a_question_without_room_for_a_context_is_an_error():
    with pytest.raises(UserError, match="no room for a question of 9"):
        encoded([row(question="word " * 40)], Questions(max_question_length=9), longest=12)


# -- loss and best spans --------------------------------------------------------------------------------


def test_the_loss_is_the_mean_cross_entropy_of_start_and_end_over_each_sequence_alone():
    kind, model = KIND, labeller()
    examples = kind.learnable(encoded([row(), row("bridge", id="r", question="Was?")])).examples
    collater = LabelledCollater([], kind, {}, ["en"], FRAMES["s"])
    sample = collater.build(examples, ["en"] * len(examples))
    from fairseq_xalign.labelled.labeller import label_scores

    scores = label_scores(model.encoder, model.head, kind, sample)
    outcome = kind.outcome(scores, sample)
    assert outcome.size == len(examples) == len(sample["of_language"])
    for number, example in enumerate(examples):
        alone = collater.build([example], ["en"])
        own = label_scores(model.encoder, model.head, kind, alone)[0]  # [S, 2]
        expected = -own.log_softmax(0)[torch.tensor(example.labels), torch.arange(2)].mean()
        assert torch.allclose(outcome.losses[number], expected, atol=1e-5)
    with pytest.raises(UserError, match="label-smoothing"):
        kind.outcome(scores, sample, 0.1)


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_span_is_that_of_an_exhaustive_search(longest):
    draw = torch.Generator().manual_seed(longest)
    for example in encoded([row()]).examples:
        scores = torch.randn(40, 2, generator=draw)
        n, begin = len(example.spans), example.begin
        every = {
            (float(scores[begin + i, 0] + scores[begin + j, 1]), i, j)
            for i in range(n) if example.starts_here[i] for j in range(i, min(n, i + longest))
        }  # fmt: skip
        found = best_spans(scores, example, longest)
        if not every:
            assert not found
            continue
        score, i, j = max(every)
        if longest == 30:  # shorter ones may lie outside the twenty best starts and ends
            assert found[0][0] == pytest.approx(score, abs=1e-5)
            assert found[0][1:] == (example.spans[i, 0], example.spans[j, 1])
        assert [s for s, *_ in found] == sorted((s for s, *_ in found), reverse=True)


def test_probabilities_are_shared_by_the_best_spans():
    found = ranked([(2.0, 0, 3), (1.0, 4, 6), (1.5, 0, 3)], "the old bridge")
    assert [answer.text for answer in found] == ["the", "ol"]
    assert found[0].probability == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1)))
    assert ranked([], "") == []


def test_answers_stand_where_they_say_and_do_not_depend_on_the_batch():
    rows = [row(), row(context="", id="e"), row(context=" ".join(LINES[:9]), id="l"), row(context="한국", id="k")]
    model = labeller()
    some = [model.predict(model.encode(rows, "en"), len(rows), tokens) for tokens in (10, 10_000)]
    for first, second, asked in zip(*some, rows):
        assert [a.text for a in first] == [a.text for a in second]
        assert all(asked["context"][a.start : a.end] == a.text for a in first)
    assert some[0][1] == [] and KIND.line(rows[1], [])["prediction"] is None
    assert len(some[0][2]) == 20


def test_code_switching_asks_in_one_language_about_the_other_and_answers_stay_with_their_context():
    german = [row("1", f"de {n} 1", "was", id=str(n)) for n in range(3)]
    english = [row("1", f"en {n} 1", "what", id=str(n)) for n in range(1, 5)]
    made, left_out = switched(KIND, german, english, ("de", "en"))
    assert left_out.total() == 1
    assert [(r["question"], r["context"], r["languages"]) for r in made[:2]] == [
        ("what", "de 1 1", ("en", "de")),
        ("was", "en 1 1", ("de", "en")),
    ]
    for example in encoded(made).examples:
        first, last = (place - example.begin for place in example.labels)
        begin, end = example.spans[first, 0], example.spans[last, 1]
        assert example.context[begin:end].endswith("1") and example.languages in (("en", "de"), ("de", "en"))


# -- rows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"question": " "}, "an empty question"),
        ({"context": 7}, '"context" must be a string'),
        ({"answers": []}, "at least one answer"),
        ({"answers": [{"text": "x"}, 7]}, "an answer must be"),
        ({"answers": [{"text": "x", "answer_start": "3"}]}, "whole number"),
        ({"answers": [{"text": "closed", "answer_start": 3}]}, "does not stand at character 3"),
    ],
)
def test_a_wrong_row_is_refused(changes, problem):
    with pytest.raises(UserError, match=problem):
        KIND.check_row(row(**changes))


def test_a_wrong_prediction_is_refused():
    for item, problem in (
        (Item("1", "en", ["x"], ["y"]), "must be an answer"),
        (Item("1", "en", [], "y"), "list of answers"),
    ):
        with pytest.raises(UserError, match=problem):
            KIND.checked_item(item, QA)
    assert KIND.checked_item(Item("1", "en", "x", None), QA).gold == Reference(("x",), "en")

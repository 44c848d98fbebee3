"""Models that answer questions: the classes of transformers find the same answers at the same places."""

import re

import pytest
import torch

import fairseq_xalign
from fairseq_xalign.convert.commands.to_hf import to_hf
from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.labeller import label_scores, load_labeller
from fairseq_xalign.models.heads import SpanHead
from fairseq_xalign.tokenizer.framing import pair_frame_of
from tests.support.foreign_models import Opened, write_bert, write_xlmr
from tests.support.leaving import ANSWERS, checkpoint, randomized
from tests.support.small_tokenizers import LINES, small

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

CONTEXTS = (
    "The old bridge was closed in 1987.",
    "½ of ㍿ABC, ﬁnding Ⅷ世…",
    "北京大学。 川に架かる古い橋",
    LINES[2][:90],
)
SHAPES = {
    "XLMRoberta": {},
    "Bert": {"n_segments": 2},
    "RobertaPreLayerNorm": {"normalize_before": True},
    "RoFormer": {"positions": "rotary"},
    "MegatronBert": {"normalize_before": True, "embedding_layernorm": False},
}


def foreign(path, write):
    """A checkpoint of a converted model with a random head."""
    folder = write(path.parent / "theirs")
    if write is write_xlmr:  # as the makers of XLM-R have it; the small tokenizer of the tests joins nothing
        library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        library.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), False, False)
        library.save(str(folder / "tokenizer.json"))
    opened = Opened(folder)
    task = opened.task | ANSWERS | {"head_dropout": 0.0, "labelled": "qa", "max_length": 64, "train_languages": []}
    task["pair"] = pair_frame_of(task).pair_settings()
    head = {f"heads.qa.{name}": value for name, value in randomized(SpanHead(32)).items()}
    state = {"args": None, "cfg": {}, "optimizer_history": [{"num_updates": 3}], "extra_state": {}}
    torch.save({**state, "model": opened.state["model"] | head, "task_state": task}, path)
    return path


def answers_there(folder, question, context):
    """Every span of their model in order of its score, by the example of the model card, and its code's own answer."""
    card = (folder / "README.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.S)[1].replace(f'"{folder.name}"', repr(str(folder)))
    code = code.replace('context = "..."', f"context = {context!r}").replace(
        'tokenizer("...",', f"tokenizer({question!r},"
    )
    names: dict = {}
    exec(compile(code.replace("print(", "answer = ("), "card", "exec"), names)
    return names["answer"]


def check(path, folder, architecture):
    found = to_hf(path, folder)
    assert found["architecture"] == architecture
    assert found["compared"]["scores"][0] <= 1e-5 * max(1, found["compared"]["scores"][1])
    model = fairseq_xalign.load_qa(path, device="cpu")
    for context in CONTEXTS:
        ours = model.answer("When was it?", context, max_answer_length=64)
        assert ours is not None
        theirs = answers_there(folder, "When was it?", context)
        # A piece that is nothing but the mark of white space stands for white space there, for what follows it here.
        assert theirs == ours.text or (ours.text.startswith(theirs) and ours.text[len(theirs)].isspace())
        assert context[ours.start : ours.end] == ours.text


@pytest.mark.parametrize("name", SHAPES)
def test_our_models_answer_there_as_here(name, tmp_path):
    tokenizer = small("wordpiece" if name == "Bert" else "trained")
    check(
        checkpoint(tmp_path / "c.pt", tokenizer, head=ANSWERS, **SHAPES[name]),
        tmp_path / "out",
        f"{name}ForQuestionAnswering",
    )


@pytest.mark.parametrize("name", ["Bert", "XLMRoberta"])
def test_converted_models_answer_there_as_here(name, tmp_path):
    path = foreign(tmp_path / "c.pt", write_bert if name == "Bert" else write_xlmr)
    check(path, tmp_path / "out", f"{name}ForQuestionAnswering")


def test_the_loss_is_that_of_transformers(tmp_path):
    path = checkpoint(tmp_path / "c.pt", small("wordpiece"), head=ANSWERS, n_segments=2)
    to_hf(path, tmp_path / "out")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(str(tmp_path / "out")).eval()
    labeller = load_labeller(path)
    rows = [
        {"id": "1", "question": "When?", "context": c, "answers": [{"text": c[4:9], "answer_start": 4}]}
        for c in CONTEXTS[:2]
    ]
    for example in labeller.kind.learnable(labeller.encode(rows, "en")).examples:
        sample = LabelledCollater([], labeller.kind, {}, ["en"], labeller.frame).build([example], ["en"])
        batch = sample["streams"]["labelled"]
        start, end = (torch.tensor([place]) for place in example.labels)
        with torch.inference_mode():
            ours = labeller.kind.outcome(label_scores(labeller.encoder, labeller.head, labeller.kind, sample), sample)
            theirs = model(
                batch["tokens"][None], token_type_ids=batch["segments"][None], start_positions=start, end_positions=end
            )
        assert torch.allclose(ours.losses[0], theirs.loss, atol=1e-5)


def test_the_pipeline_opens_it_where_the_library_has_one(tmp_path):
    from transformers.pipelines import SUPPORTED_TASKS

    if "question-answering" not in SUPPORTED_TASKS:
        pytest.skip(f"transformers {transformers.__version__} has no pipeline for questions")
    path = checkpoint(tmp_path / "c.pt", head=ANSWERS)
    to_hf(path, tmp_path / "out")
    answer = transformers.pipeline("question-answering", str(tmp_path / "out"))(question="When?", context=CONTEXTS[0])
    assert CONTEXTS[0][answer["start"] : answer["end"]] == answer["answer"]

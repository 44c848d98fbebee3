"""Made-up labelled sets for ``--smallest``, in the files and columns of the true ones: few examples of few languages.

Each function takes what makes sentences, ``sentences(count, seed)``, and gives the files with their lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from preprocess.sets.nli import LABELS, XNLI_LANGUAGES
from preprocess.sets.topics import SIB_LABELS

Sentences = Callable[[int, int], list[str]]
Files = Iterator[tuple[str, list[str]]]
TRAIN, TEST = 60, 12
"""Examples of a set that is learned from, and of one that is tested on."""


def cad(sentences: Sentences) -> Files:
    for name, count in (("train", TRAIN), ("dev", TEST), ("test", TEST)):
        yield f"all_combined/{name}.tsv", ["sentence1\tsentence2\tgold_label", *_pairs(sentences, count)]


def indonli(sentences: Sentences) -> Files:
    for name, count in (("train", TRAIN), ("val", TEST), ("test_lay", TEST), ("test_expert", TEST)):
        rows = [pair.split("\t") for pair in _pairs(sentences, count)]
        keys = ("premise", "hypothesis", "label")
        yield (
            f"{name}.jsonl",
            [json.dumps({"pair_id": n, **dict(zip(keys, (a, b, label[0])))}) for n, (a, b, label) in enumerate(rows)],
        )


def multinli(sentences: Sentences) -> Files:
    for name, count in (("train", TRAIN), ("dev_matched", TEST), ("dev_mismatched", TEST)):
        rows = [pair.split("\t") for pair in _pairs(sentences, count)]
        keys = ("sentence1", "sentence2", "gold_label")
        yield (
            f"multinli_1.0_{name}.jsonl",
            [json.dumps({"pairID": str(n), **dict(zip(keys, row))}) for n, row in enumerate(rows)],
        )


def xnli(sentences: Sentences) -> Files:
    for name in ("dev", "test"):
        rows = [
            f"{language}\t{label}\t{one}\t{other}\t{n}"
            for language in XNLI_LANGUAGES
            for n, (one, other, label) in enumerate(pair.split("\t") for pair in _pairs(sentences, TEST))
        ]
        yield f"xnli.{name}.tsv", ["language\tgold_label\tsentence1\tsentence2\tpairID", *rows]


def kornli(sentences: Sentences) -> Files:
    for name in ("dev", "test"):
        yield f"xnli.{name}.ko.tsv", ["sentence1\tsentence2\tgold_label", *_pairs(sentences, TEST)]


def americasnli(sentences: Sentences) -> Files:
    for language in ("aym", "gn"):
        rows = [f"{n}\t{language}\t{pair}" for n, pair in enumerate(_pairs(sentences, TEST))]
        yield f"test/{language}.tsv", ["id\tlanguage\tpremise\thypothesis\tlabel", *rows]


def _pairs(sentences: Sentences, count: int) -> list[str]:
    firsts, seconds = sentences(count, 5), sentences(count, 6)
    return [f"{a}\t{b}\t{LABELS[n % 3]}" for n, (a, b) in enumerate(zip(firsts, seconds))]


def jaquad(sentences: Sentences) -> Files:
    yield "train/jaquad_train_0000.json", [_questions(sentences, TRAIN)]
    yield "dev/jaquad_dev_0000.json", [_questions(sentences, TEST)]


def xquad(sentences: Sentences) -> Files:
    for language in ("de", "en"):
        yield f"xquad.{language}.json", [_questions(sentences, TEST)]


def arcd(sentences: Sentences) -> Files:
    yield "arcd-train.json", [_questions(sentences, TRAIN)]
    yield "arcd-test.json", [_questions(sentences, TEST)]


def _questions(sentences: Sentences, count: int) -> str:
    """A question for each context; its answer is the context's third word."""
    paragraphs = []
    for n, context in enumerate(sentences(count, 7)):
        answer = context.split()[2]
        start = len(" ".join(context.split()[:2])) + 1
        asked = {"id": f"q{n}", "question": f"{answer} ?", "answers": [{"text": answer, "answer_start": start}]}
        paragraphs.append({"context": context, "qas": [asked]})
    return json.dumps({"version": "1.1", "data": [{"title": "made up", "paragraphs": paragraphs}]})


def sib(sentences: Sentences) -> Files:
    for place, count in (
        ("eng_Latn/train", TRAIN),
        ("eng_Latn/dev", TEST),
        ("eng_Latn/test", TEST),
        ("deu_Latn/train", TRAIN),
        ("deu_Latn/test", TEST),
    ):
        rows = [f"{n}\t{SIB_LABELS[n % len(SIB_LABELS)]}\t{text}" for n, text in enumerate(sentences(count, 8))]
        yield f"{place}.tsv", ["index_id\tcategory\ttext", *rows]


def xsid(sentences: Sentences) -> Files:
    for place, count in (("en.valid", TRAIN), ("en.test", TEST), ("de.valid", TEST), ("de.test", TEST)):
        lines: list[str] = []
        for n, text in enumerate(sentences(count, 9)):
            intent = ("alarm/set_alarm", "weather/find")[n % 2]
            lines += [f"# text = {text}", f"# intent = {intent}", "# slots: "]
            lines += [*(f"{k}\t{word}\t{intent}\tO" for k, word in enumerate(text.split(), 1)), ""]
        yield f"{place}.conll", lines


def nusax(sentences: Sentences) -> Files:
    labels = ("negative", "neutral", "positive")
    for language in ("english", "javanese"):
        for split, count in (("train", TRAIN), ("valid", TEST), ("test", TEST)):
            rows = [f"{n},{text},{labels[n % 3]}" for n, text in enumerate(sentences(count, 10))]
            yield f"{language}/{split}.csv", ["id,text,label", *rows]


def uner(name: str, *splits: str) -> Callable[[Sentences], Files]:
    def files(sentences: Sentences) -> Files:
        for split in splits:
            lines: list[str] = []
            for n, text in enumerate(sentences(TRAIN if split == "train" else TEST, 11)):
                tags = ("B-PER", "O", "B-LOC", "I-LOC", *["O"] * 99)
                rows = [f"{k + 1}\t{word}\t{tags[k]}\t-\t-" for k, word in enumerate(text.split())]
                lines += [f"# sent_id = {n}", f"# text = {text}", *rows, ""]
            yield f"{name}-ud-{split}.iob2", lines

    return files


def wikiann(sentences: Sentences) -> Files:
    for language in ("en", "de"):
        for split in ("train", "dev", "test"):
            lines: list[str] = []
            for text in sentences(TRAIN if split == "train" else TEST, 13):
                tags = ("B-ORG", "I-ORG", "O", "B-PER", *["O"] * 99)
                lines += [*(f"{language}:{word}\t{tag}" for word, tag in zip(text.split(), tags)), ""]
            yield f"{language}/{split}", lines


def tatoeba(sentences: Sentences) -> Files:
    for language in ("deu", "spa"):
        for side in (language, "eng"):
            yield f"tatoeba.{language}-eng.{side}", sentences(TEST, 12 + (side == "eng"))


SETS: dict[str, Callable[[Sentences], Files]] = {
    "cad-nli": cad,
    "indonli": indonli,
    "multinli": multinli,
    "xnli": xnli,
    "wikiann": wikiann,
    "kornli": kornli,
    "americasnli": americasnli,
    "jaquad": jaquad,
    "xquad": xquad,
    "arcd": arcd,
    "sib-200": sib,
    "xsid": xsid,
    "nusax": nusax,
    "uner-danish-ddt": uner("da_ddt", "train", "dev", "test"),
    "uner-english-ewt": uner("en_ewt", "dev", "test"),
    "uner-german-pud": uner("de_pud", "test"),
    "uner-portuguese-pud": uner("pt_pud", "test"),
    "uner-chinese-pud": uner("zh_pud", "test"),
    "tatoeba": tatoeba,
}

"""Small tokenizers of every kind, trained on ``text.en.txt`` or built from it; each is made once per process."""

import functools
import math
import re
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece
import tokenizers

from fairseq_xalign.constants import FIRST_PIECE
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.subword_models import train_byte_level, train_sentencepiece

TEXT = Path(__file__).parents[1] / "data" / "text.en.txt"
LINES = TEXT.read_text(encoding="utf-8").splitlines()
PIECES = 900


def make_wordpiece(folder: Path) -> Path:
    """A small BERT-like vocab.txt: BERT's specials in its own order, letters, frequent words and endings."""
    words = Counter(word for line in LINES for word in re.findall(r"\w+", line.lower()))
    endings = Counter(f"##{word[-k:]}" for word in words.elements() for k in (2, 3) if len(word) > k)
    letters = sorted(set("".join(LINES).lower()) - {" "})
    symbols = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    symbols += [f"##{letter}" for letter in letters if letter.isalnum()]
    symbols += [word for word, _ in words.most_common(300) if len(word) > 1]
    symbols += [ending for ending, _ in endings.most_common(200)]
    (folder / "vocab.txt").write_text("".join(f"{symbol}\n" for symbol in symbols), encoding="utf-8")
    return folder / "vocab.txt"


def make_xlmr(folder: Path) -> Path:
    """A small XLM-R-like tokenizer.json: unigram, metaspace, ``<mask>`` as the last id."""
    processor = sentencepiece.SentencePieceProcessor(
        model_proto=train_sentencepiece(iter(LINES), 600, "unigram", 0.9995)
    )
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [(name, 0.0) for name in names]
    vocabulary += [(processor.id_to_piece(i), processor.get_score(i)) for i in range(FIRST_PIECE, len(processor))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=3))
    # XLM-R's own normaliser also makes a space of a zero-width non-joiner.
    space, spaces = tokenizers.normalizers.Replace("\u200c", " "), tokenizers.Regex(" {2,}")
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [space, tokenizers.normalizers.NFKC(), tokenizers.normalizers.Replace(spaces, " ")]
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.add_special_tokens([*names, "<mask>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def train_roberta(folder: Path) -> Path:
    """A small RoBERTa-like tokenizer.json: byte-level BPE without a space before the first word."""
    tokenizer = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False)
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "madeupword0000"]
    tokenizer.train_from_iterator(LINES, vocab_size=700, special_tokens=names, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def train_foreign_sentencepiece(folder: Path) -> Path:
    """SentencePiece's default order: <unk> 0, <s> 1, </s> 2, no padding, two control symbols."""
    path = folder / "foreign.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix=str(path.with_suffix("")),
        vocab_size=600,
        control_symbols=["<sep>", "<cls>"],
        minloglevel=2,
    )
    return path


FOREIGN = {
    "wordpiece": make_wordpiece,
    "xlmr": make_xlmr,
    "roberta": train_roberta,
    "sentencepiece": train_foreign_sentencepiece,
}
KINDS = ["trained", "spelled", "bbpe", *FOREIGN]
SPELLED = [f"<s>old price</s> {name} a{name}b" for name in ("<unk>", "<pad>", "<mask>", "<2de>", "\u2581", "\u2585")]
"""Text that spells every symbol of ours, and two that SentencePiece keeps for itself."""


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="small-tokenizers-")


@functools.cache
def model_file(kind: str) -> Path:
    """The foreign model's file; the folder goes when the process ends."""
    folder = Path(_folder().name) / kind
    folder.mkdir()
    return FOREIGN[kind](folder)


@functools.cache
def small(kind: str) -> Tokenizer:
    """``trained``: 900 pieces, language tokens de and fr; ``spelled``, ``bbpe``: of text that spells symbols; else the
    foreign model. All but the first have the language token de."""
    if kind == "trained":
        data = train_sentencepiece(iter(LINES), PIECES, "unigram", 0.9995)
        return Tokenizer.trained(data, ["en"], ["de", "fr"], {"seed": 1})
    if kind == "spelled":
        lines = [line for spelled in SPELLED for line in (spelled, *LINES)]
        return Tokenizer.trained(train_sentencepiece(iter(lines), PIECES, "bpe", 1.0), ["en"], ["de"])
    if kind == "bbpe":
        return Tokenizer.trained(train_byte_level(iter(SPELLED * 9 + LINES), PIECES), ["en"], ["de"], kind="tokenizers")
    return Tokenizer.adopted(model_file(kind), ["de"])


@functools.cache
def small_doubled(kind: str) -> Tokenizer:
    """The same with a transliterated half, a quarter of the pieces kept."""
    return small(kind).doubled(0.25, seed=3)


def segmentation_ties(processor, ours: list[int], theirs: list[int]) -> bool:
    """Whether two segmentations are equal, or equally probable up to the rounding of float32 sums."""
    our_score, their_score = (sum(map(processor.get_score, ids)) for ids in (ours, theirs))
    return ours == theirs or math.isclose(our_score, their_score, rel_tol=1e-5)

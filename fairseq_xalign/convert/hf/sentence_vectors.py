"""A folder that `sentence-transformers` opens too, and that gives the vectors of our ``encode``.

Our mean is over the pieces of a text, without ``<s>`` and ``</s>``; there it is over all tokens. Its module
``WordWeights`` gives tokens a weight in the mean: 0 for special symbols, 1 for all others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.constants import FIRST_PIECE, UNK
from fairseq_xalign.convert.hf.parity import SENTENCES, TOLERANCE, quiet
from fairseq_xalign.convert.hf.write import Leaver
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.models.sentences import encode_sentences

POOLINGS = ("mean", "cls", "mean_all", "max_all")
"""What has an equal there: their maximum always takes special symbols in."""
MODULES = "sentence_transformers.models"


def check(leaver: Leaver, pooling: str) -> None:
    """Refuse what sentence-transformers has no equal for.

    Raises:
        UserError: the pooling, or a model with a head.
    """
    if pooling not in POOLINGS:
        raise UserError(
            f"--pooling {pooling}: sentence-transformers takes <s> and </s> into it, fairseq_xalign does not",
            remedy=f"Choose {' or '.join(POOLINGS)}",
        )
    check_pooling(pooling, leaver.frame, POOLINGS)


def write_modules(leaver: Leaver, folder: Path, pooling: str) -> None:
    """Write the settings of its modules into a folder that `transformers` opens."""
    from safetensors.torch import save_file

    width, names = leaver.encoder.width, ["Transformer", "Pooling"]
    places = ["", "1_Pooling"]
    if pooling == "mean":
        names.insert(1, "WordWeights")
        places = ["", "1_WordWeights", "2_Pooling"]
    modules = [
        {"idx": i, "name": str(i), "path": place, "type": f"{MODULES}.{name}"}
        for i, (name, place) in enumerate(zip(names, places))
    ]
    _json(folder / "modules.json", modules)
    _json(
        folder / "sentence_bert_config.json", {"max_seq_length": leaver.encoder.max_positions, "do_lower_case": False}
    )
    _json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "SentenceTransformer",
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    modes = {"cls_token": pooling == "cls", "mean_tokens": "mean" in pooling, "max_tokens": "max" in pooling}
    settings = {f"pooling_mode_{name}": value for name, value in modes.items()}
    _json(folder / places[-1] / "config.json", {"word_embedding_dimension": width, **settings})
    if pooling == "mean":
        rows = int(leaver.config["vocab_size"])
        special = [i for i in range(FIRST_PIECE) if i != UNK]
        places_of = special if leaver.rows is None else [leaver.rows[i] for i in special]
        weights = torch.ones(rows, 1)
        weights[torch.tensor([row for row in places_of if row is not None])] = 0.0
        # Of the vocabulary it uses the length alone; the weights are in the file beside.
        words = [str(i) for i in range(rows)]
        listed = {str(row): 0.0 for row in places_of if row is not None}
        own = {"vocab": words, "word_weights": listed, "unknown_word_weight": 1.0}
        _json(folder / places[1] / "config.json", own, indent=None)
        save_file({"emb_layer.weight": weights}, str(folder / places[1] / "model.safetensors"), {"format": "pt"})


def _json(path: Path, value: Any, indent: int | None = 2) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=indent) + "\n", "utf-8")


def compare(leaver: Leaver, folder: Path, pooling: str) -> dict[str, Any]:
    """Open the folder with sentence-transformers and compare vectors; without that library, say that nothing was.

    Raises:
        UserError: vectors differ.
    """
    result: dict[str, Any] = {"pooling": pooling, "version": None, "difference": None}
    try:
        import sentence_transformers
        import transformers
    except ImportError:
        return result
    with quiet(transformers):
        theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
        found = torch.from_numpy(theirs.encode(list(SENTENCES), show_progress_bar=False))
    encoder = Encoder(leaver.encoder)
    encoder.load_state_dict(leaver.weights)
    languages = leaver.task["languages"]
    number = languages.index(leaver.language) + 1 if leaver.language in languages else None
    ours = encode_sentences(
        encoder, leaver.tokenizer, SENTENCES, pooling, frame=leaver.frame,
        language=number if leaver.encoder.n_languages else None,
    )  # fmt: skip
    difference = float((ours - found).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(ours.abs().max())):
        raise UserError(
            f"vectors of sentence-transformers {sentence_transformers.__version__} differ by {difference:.1e}",
            remedy="Nothing was written: please report it",
        )
    return result | {"version": sentence_transformers.__version__, "difference": difference}

"""Small question sets whose answers follow from the question: which of two words of a made-up context is asked for."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.support.small_tokenizers import LINES

WORDS = sorted({word for line in LINES for word in line.split() if word.isalpha() and word.islower()})
NAMES = ("Congress", "America", "President", "Europe")
NUMBERS = ("one", "two", "three", "four")


def write_questions(path: Path, count: int, seed: int) -> Path:
    """Write a file of SQuAD v1.1: "where" asks for a name, "when" for a number, in six to fourteen other words."""
    draw = random.Random(seed)
    others = [word for word in WORDS if word not in NUMBERS]
    paragraphs = []
    for number in range(count):
        words = draw.choices(others, k=draw.randint(6, 14))
        places = sorted(draw.sample(range(len(words)), 2))
        chosen = [draw.choice(NAMES), draw.choice(NUMBERS)]
        for place, word in zip(places, draw.sample(chosen, 2)):
            words[place] = word
        context = " ".join(words)
        qas = []
        for question, answer in zip(("where", "when"), chosen):
            start = sum(len(word) + 1 for word in words[: words.index(answer)])
            qas.append(
                {
                    "id": f"{number}-{question}",
                    "question": question,
                    "answers": [{"text": answer, "answer_start": start}],
                }
            )
        paragraphs.append({"context": context, "qas": qas})
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "made up", "paragraphs": paragraphs}]}), "utf-8")
    return path

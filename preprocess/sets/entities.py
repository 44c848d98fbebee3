"""Corpora of named entities that ``benchmark ner`` knows by the names of their files.

=============  =========================================================================================
corpus         to cite
=============  =========================================================================================
conll2002      Tjong Kim Sang, Introduction to the CoNLL-2002 Shared Task, 2002
conll2003      Tjong Kim Sang and De Meulder, Introduction to the CoNLL-2003 Shared Task, 2003
wikiann, panx  Pan et al., ACL 2017; its splits: Rahimi et al., ACL 2019; in XTREME: Hu et al., ICML 2020
ssea-2008      Workshop on NER for South and South East Asian Languages, IJCNLP 2008
=============  =========================================================================================

Their readers are in ``fairseq_xalign/labelled/entities.py``. ``fetch`` downloads WikiAnn, MasakhaNER and Universal NER,
which are read there too, and says where the others are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadByTask:
    """A corpus whose files a task of ``benchmark`` reads by their names.

    Attributes:
        task: the name that ``benchmark`` takes.
        files: what it reads, in words.
        address: where its makers publish it.
        licence: under which it may be used.
    """

    name: str
    task: str
    files: str
    address: str
    licence: str


_WIKIANN = (
    "https://github.com/afshinrahimi/mmner (or run xalign-preprocess fetch wikiann, which has the same files)",
    "Apache-2.0 (its repository); texts of Wikipedia: CC BY-SA",
)
BY_TASK = {
    found.name: found
    for found in (
        ReadByTask("conll2002", "ner", "esp.train, esp.testa, esp.testb, ned.train, ned.testa and ned.testb",
                   "https://www.clips.uantwerpen.be/conll2002/ner/", "for research, see its site"),
        ReadByTask("conll2003", "ner", "eng.train, eng.testa, eng.testb, deu.train, deu.testa and deu.testb",
                   "https://www.clips.uantwerpen.be/conll2003/ner/ (annotations) and "
                   "https://trec.nist.gov/data/reuters/reuters.html (English texts)",
                   "NIST's agreement for the English texts, the LDC's for the German ones"),
        ReadByTask("wikiann", "ner", "en/train, en/dev, en/test and so on", *_WIKIANN),
        ReadByTask("panx", "ner", "en/train, en/dev, en/test and so on, or en-train as XTREME writes them", *_WIKIANN),
        ReadByTask("ssea-2008", "ner", "test-data-hindi.txt and so on",
                   "http://ltrc.iiit.ac.in/ner-ssea-08/index.cgi?topic=5", "Creative Commons, for non-profit research"),
    )
}  # fmt: skip

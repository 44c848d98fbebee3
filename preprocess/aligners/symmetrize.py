"""The links of two directions combined: intersection, union, and what lies between them."""

from __future__ import annotations

from collections.abc import Callable

from fairseq_xalign.data.formats.pharaoh import Links

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


def grow_diagonal(forward: Links, backward: Links) -> Links:
    """grow-diag-final-and (Koehn, Och and Marcu, NAACL 2003; Koehn et al., IWSLT 2005).

    The links of both directions grow by neighbouring links of either (diagonally too) that link a word without any;
    at last a link of either direction is added where both its words have none.
    """
    links = forward & backward
    loose = (forward | backward) - links
    if not loose:
        return links
    sources, targets = {s for s, _ in links}, {t for _, t in links}

    def add(link: tuple[int, int]) -> None:
        loose.remove(link)
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    waiting = sorted(links)
    while waiting:
        grown = []
        for s, t in waiting:
            for i, j in NEIGHBOURS:
                link = s + i, t + j
                if link in loose and (link[0] not in sources or link[1] not in targets):
                    add(link)
                    grown.append(link)
        waiting = grown
    for link in (*sorted(forward & loose), *sorted(backward & loose)):
        if link[0] not in sources and link[1] not in targets:
            add(link)
    return links


SYMMETRIZE: dict[str, Callable[[Links, Links], Links]] = {
    "gdfa": grow_diagonal,
    "intersect": set.intersection,
    "union": set.union,
}

"""Dependency parsers for running text: Stanza, as in ALIGN-MLM (Tang et al. 2022), or a spaCy pipeline trained here.

Both packages are optional. A parser takes passages of words and gives each back as the sentences that it found, in the
ten columns of CoNLL-U: tags and relations are those of Universal Dependencies, and ``SpaceAfter=No`` marks a token that
the next one is attached to, so that the words of the passage can be put together again.
"""

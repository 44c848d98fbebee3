"""Public corpora by name: where each comes from, under which licence, and how it is read and cleaned.

Each corpus, or family of corpora, has one module with a ``CORPORA`` tuple of :class:`corpus.Corpus`;
``catalogue.CORPORA`` joins them. ``archive`` brings the files, ``cleaning`` cleans the text, ``corpus`` writes it.
"""

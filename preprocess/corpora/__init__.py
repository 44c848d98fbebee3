"""Public corpora by name: where each comes from, under which licence, and how it is read and cleaned.

One module a corpus (or a family of them); each has a ``CORPORA`` tuple of :class:`corpus.Corpus`, and
``catalogue.CORPORA`` joins them. ``archive`` brings the files, ``text`` cleans, ``corpus`` writes.
"""

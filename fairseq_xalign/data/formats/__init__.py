"""One strict reader for each file format, used by every command.

A reader yields the records of a file with the lines they stand on. What does not fit its format is a
:class:`fairseq_xalign.errors.UserError` with file, line and remedy; nothing is lost or merged in silence. Files may be
compressed or pipes (:mod:`fairseq_xalign.inputs`).

conllu      treebanks: sentences with ten columns per word
columns     a token and its tag per line (IOB2), Universal NER's five columns too
table       a label, a tab and a text per line
nli         premise, hypothesis and label per line
squad       questions and answers as SQuAD v1.1 JSON
json_lines  one JSON object per line
csv_table   comma-separated values
named_columns  tables whose first row names the columns, as published sets have them
word_list   pairs of words: MUSE's lists and tables
pharaoh     word links, ``0-0 1-2``
generate_log  what fairseq-generate prints: S-, T-, H- and D- lines

Running text has no module here: it is read with :func:`fairseq_xalign.files.read_lines`.
"""

#!/usr/bin/env bash
# WEAM (Yang et al. 2021): a pre-trained encoder predicts hidden words from their own vectors and from those of the words that they are
# linked with; retrieval and zero-shot tasks before and after.
#
#   recipes/weam/run.sh [--conf demo|paper|FILE] [--stage N] [--stop-stage M] [--dry-run] [--work DIR] [--jobs N] [--set NAME=VALUE]
#                       [--smallest]
#
# Configurations: demo (the default) trains a small English BERT on verses and strings of user interfaces in four languages, for two
# cores; paper has the paper's corpora (Europarl, translation2019zh) and values, for a GPU.
# Rows of Tables 1 and 2: TLM (the baseline, with the same settings), WEAM, and WORDALIGN (word-aligned BERT, Cao et al. 2020); of demo
# also ALIGN, which is ALIGN-MLM on the sides of the pairs, with a dictionary found in them. --set ROWS=WEAM runs one of them;
# --dry-run and the last stage print the commands of all.
# Stages: 0 fetch  1 text and word links  2 encoder and data folders  3 training  4 retrieval (NTREX-128)  5 zero-shot tasks  6 table and
# commands
# A second run skips what is done and resumes training where it was stopped. --jobs sets how many runs train at once, --set changes a
# setting, as in --set SEEDS="1 2" (may be repeated), --smallest tries every stage with two updates on made-up data. PYTHON names
# the interpreter, XALIGN_CACHE the folder of fetched corpora, XALIGN_DATA a folder with ntrex, ud/... and topic/sib-200, if you have one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
NAME=weam CONFIG=demo LAST_STAGE=6
for part in options jobs training treebanks transfer posttraining; do source "recipes/lib/$part.sh"; done

posttraining_recipe "$@"

#!/usr/bin/env bash
# The tasks of XTREME on sets that anybody can get: encoders fine-tuned on one language, tested on the others, and retrieval.
#
#   recipes/xtreme/run.sh --set ENCODERS="FOLDER..." [--conf demo|full|FILE] [--stage N] [--stop-stage M] [--dry-run]
#                         [--work DIR] [--jobs N] [--set NAME=VALUE] [--smallest]
#
# ENCODERS are checkpoints of ours, or folders (and names on the hub) of transformers, which are converted; NAME=FOLDER says what
# the tables call one:  --set ENCODERS="e5=multilingual-e5-small mine=runs/align_mlm/checkpoint_last.pt"
# Tasks: pos (UD English EWT to 11 languages of PUD), ner (Danish to English, German, Portuguese and Chinese), nli-en and nli-id
# (CAD-NLI and IndoNLI to KorNLI and AmericasNLI), qa (JaQuAD to XQuAD), topics (SIB-200, English to 205 languages), intents
# (xSID), sentiment (NusaX), retrieval (Tatoeba); full has too: xnli (from MultiNLI), squad, massive, masakhaner, panx (WikiAnn,
# English to its other languages), arcd (ARCD to XQuAD) and home-assistant (commands to a smart home, English to about 50 languages).
# A task whose sets cannot be fetched is left out, and a message says so.
# TRAININGS says how models are trained: zero-shot (the default); in-language, a model for each language that has training data,
# beside it; few-shot (10 examples per further language, repeated to 1,000); joint, one model for all languages; feature-based,
# with a frozen encoder; for xnli and squad, with --set TRANSLATIONS=FOLDER, the folder of the translated training sets,
# translate-train, with code-switching, and translate-train-plain, without: one model for all languages. SELECT=1 keeps the best checkpoint on the source's validation set instead of the last one.
# Configurations: demo (the default) is what two cores can do: 2,000 questions, three seeds for pos and topics, ten languages of
# Tatoeba; full has everything, for a GPU.
# Stages: 0 fetch  1 labelled folders  2 encoders  3 fine-tuning, predictions and scores  4 retrieval  5 tables
# A second run skips what is done and resumes training where it was stopped; a run that failed is counted in the tables and tried
# again. --jobs sets how many runs train at once, --set changes a setting, as in --set SEEDS="1 2" (may be repeated), --smallest
# tries every stage with two updates on made-up data. PYTHON names the interpreter, XALIGN_CACHE the folder of fetched corpora,
# XALIGN_DATA a folder with ud/..., topic/sib-200 and so on, if you have one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
NAME=xtreme CONFIG=demo LAST_STAGE=5
for part in options jobs training treebanks trainings transfer; do source "recipes/lib/$part.sh"; done

parse_options "$@"
if [ -n "$DRY_RUN" ]; then
    transfer_dry_run
    exit 0
fi
run_transfer_stages

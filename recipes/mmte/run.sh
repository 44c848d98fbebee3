#!/usr/bin/env bash
# MMTE (Siddhant et al. 2020): one model that translates between English and many languages, its BLEU per direction, and its
# encoder fine-tuned on English and tested on the other languages.
#
#   recipes/mmte/run.sh [--conf demo|full|gpu|paper|FILE] [--ablation languages|target|temperature] [--stage N]
#                       [--stop-stage M] [--dry-run] [--work DIR] [--jobs N] [--set NAME=VALUE] [--smallest]
#
# Configurations: demo (the default) has English with six languages, for two cores and about 25 minutes; full has 24 languages
# and takes hours; gpu is for one GPU; paper has the paper's values, on corpora that you prepare (see conf/paper.sh).
# Ablations vary one setting of a configuration: the number of languages (Table 10), where the target language is named (Table
# 11), or the sampling temperature (1, 5, 100).
# Stages: 0 fetch  1 text and vocabulary  2 data folder  3 training  4 average of checkpoints  5 translation and BLEU
#         6 encoders  7 zero-shot fine-tuning and scores  8 tables
# A second run skips what is done and resumes training where it was stopped. --jobs sets how many runs train at once, --set
# changes a setting, as in --set SEEDS="1 2" (may be repeated), --smallest tries every stage on 200 lines with two updates.
# PYTHON names the interpreter, XALIGN_CACHE the folder of fetched corpora, XALIGN_DATA a folder with ntrex and ud/..., if you
# have one. recipes/launch/ starts the stages that train on 8 GPUs or on several nodes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
NAME=mmte CONFIG=demo LAST_STAGE=8
for part in options jobs training treebanks translation; do source "recipes/lib/$part.sh"; done

parse_options "$@"
if [ -n "$DRY_RUN" ]; then
    translation_dry_run
    exit 0
fi
run_translation_stages
if stage 8; then
    evaluate compare "$WORK/zero-shot"
    title "done: $WORK/bleu.{txt,csv,md,json,png}, $WORK/sizes.png, $WORK/interactive.txt, $WORK/table.{csv,md,json}"
fi

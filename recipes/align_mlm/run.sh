#!/usr/bin/env bash
# ALIGN-MLM (Tang et al. 2022): MLM, XLM, DICT-MLM and ALIGN-MLM on languages derived from English, and its ablations.
#
#   recipes/align_mlm/run.sh [--conf demo|gpu|paper|FILE] [--ablation dictionary|overlap|alpha|parallel|syntax]
#                            [--stage N] [--stop-stage M] [--dry-run] [--work DIR] [--jobs N] [--set NAME=VALUE] [--smallest]
#
# Configurations: demo has the settings of `make demo`, for two cores; gpu (the default) takes about an hour of one H100,
# by arithmetic, and advances in pieces of ten minutes; paper has the paper's values, on WikiText-103. Ablations vary one
# setting of a configuration: the share of the vocabulary in the dictionary (Tables 2, 4 and 5), the overlap of the
# vocabularies (Table 7), alpha (Appendix G.5), XLM's share of parallel text (Tables 1 and 6), or the transformation: syntax
# has English in the order of French (Trans∘Syn, Tables 3 and 5). FURTHER_TASKS adds entities (ner) and pairs of texts (pairs).
# Stages: 0 fetch  1 text and vocabulary  2 derived languages  3 dictionaries and data folders  4 pre-training
#         5 fine-tuning and scores  6 table beside the paper's printed figures, and plot
# A second run skips what is done and resumes training where it was stopped. --jobs sets how many runs train at once (on one GPU
# too), --set changes a setting, as in --set SEEDS="1 2" (may be repeated), --smallest tries every stage on 200 lines with two
# updates.
# PYTHON names the interpreter, XALIGN_CACHE the folder of fetched corpora, XALIGN_DATA a folder with ud/UD_English-EWT, if you
# have one. For corpora that are already on this machine, first run: xalign-preprocess fetch NAME --from DIR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
NAME=align_mlm CONFIG=gpu
for part in options jobs training derived; do source "recipes/lib/$part.sh"; done

parse_options "$@"
if [ -n "$DRY_RUN" ]; then
    dry_run
    exit 0
fi
run_stages
if stage 6; then
    evaluate compare "$WORK/runs"
    evaluate compare "$WORK/runs" --paper align_mlm
    title "done: $WORK/table.{csv,md,json}, $WORK/transfer.png, $WORK/alignment.png (and .svg)"
fi

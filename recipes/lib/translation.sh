# Translation between English and several languages in one model, and what its encoder is good for (MMTE: Siddhant et al. 2020).
# Sourced by a recipe's run.sh after options, jobs and training.

# What a configuration may leave out. Lists are separated by spaces: every value is run. A set of languages is one word, its
# languages separated by commas.
more_settings() {
    CORPORA="verses ui"             # corpora of `xalign-preprocess fetch` with parallel text
    LANGUAGE_SETS=""                # Table 10: 4, 25 or 102 languages
    TARGET_TOKENS=source            # Table 11: source (<2xx> before the source), separate (encoded apart)
    TEMPERATURES=5                  # section 2.2: p ~ n^(1/T)
    SEEDS=1
    BILINGUAL=""                    # languages whose two directions get a model each, beside which Table 1 sets the others
    BILINGUAL_UPDATES=""            # updates of each of those (empty: UPDATES)
    MLM_BASELINE=""                 # 1: an MLM encoder of the same shape on the same text, for the zero-shot tasks
    NTREX=""                        # 1: test on NTREX-128 (news) instead of held-out sentences
    PREPARED=""                     # folder with {train,valid,test}.en-XX.{en,XX}.txt of your own, instead of CORPORA
    MTDATA=""                       # a table of corpora by mtdata's names (conf/paper.tsv), instead of CORPORA; PREPARED comes first
    ALL_GPUS=""                     # GPUs that UPDATE_FREQUENCY 1 is meant for: the dry run shows the commands for fewer
    MOST_WORDS=""                   # longest English sentence of CORPORA in words, in training and test; no limit if empty
    PAIRS=10000000                  # at most this many pairs per language for training
    VALID_PAIRS=100
    TEST_PAIRS=100
    MODEL_TYPE=unigram              # section 2.2: SentencePiece
    SUBWORD_OPTIONS=""              # more options of `xalign-preprocess subword`
    MAX_TOKENS=2048                 # source and target tokens per batch
    MAX_LENGTH=128                  # longest sentence in tokens
    LABEL_SMOOTHING=0.1
    AVERAGE=5                       # checkpoints that are averaged
    BEAM=4
    TASKS="intents pos"             # zero-shot tasks: trained on English, tested on every language that has a test set
    HEAD_OPTIONS=""                 # more options of fine-tuning
    INTENT_PRESET="" POS_PRESET=""
    OPTIMIZER=adamw                 # or muon, which learns more per update; not with a PRESET, which brings its own
    MLM_OPTIONS=""                  # more options of pre-training the MLM baseline
}

more_smallest_settings() {
    LANGUAGE_SETS="de,es" BILINGUAL_UPDATES="" PAIRS=200 VALID_PAIRS=20 TEST_PAIRS=5 MAX_TOKENS=800 SAVE_INTERVAL=1 AVERAGE=2 BEAM=2 PREPARED="" MTDATA="" PRECISION=none
    TARGET_TOKENS=${TARGET_TOKENS##* } TEMPERATURES=${TEMPERATURES##* } BILINGUAL=${BILINGUAL:+de} CORPORA="verses ui" VOCABULARY=70
    SUBWORD_OPTIONS="--character-coverage 1"
    ARCH_OPTIONS="--encoder-layers 1 --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --encoder-attention-heads 4"
    DECODER_OPTIONS="--decoder-layers 1 --decoder-embed-dim 32 --decoder-ffn-embed-dim 64 --decoder-attention-heads 4"
}

all_languages() { tr ' ,' '\n\n' <<< "$LANGUAGE_SETS $BILINGUAL" | sed '/^$/d' | awk '!seen[$0]++' | tr '\n' ' '; }
directions_of() { local n out=(); for n in ${1//,/ }; do out+=("en:$n" "$n:en"); done; (IFS=,; echo "${out[*]}"); }
count_of() { local words=(${1//,/ }); echo ${#words[@]}; }

# each_model COMMAND...: call it with LANGUAGES TOKEN TEMPERATURE SEED NAME for every multilingual model. The first value of each
# list is that of the reference; each other value changes that one thing.
each_model() {
    local languages token temperature seed changed
    for seed in $SEEDS; do for languages in $LANGUAGE_SETS; do for token in $TARGET_TOKENS; do for temperature in $TEMPERATURES; do
        changed=0
        [ "$languages" = "${LANGUAGE_SETS%% *}" ] || changed=$((changed + 1))
        [ "$token" = "${TARGET_TOKENS%% *}" ] || changed=$((changed + 1))
        [ "$temperature" = "${TEMPERATURES%% *}" ] || changed=$((changed + 1))
        [ "$changed" -le 1 ] || continue
        "$@" "$languages" "$token" "$temperature" "$seed" "$(count_of "$languages")-languages.$token.T$temperature.seed$seed"
    done; done; done; done
}
model_names() { each_model echo | awk '{ print $5 }'; }
first_model() { model_names | head -1; }

translation_dry_run() {
    local models bilingual runs
    models=$(each_model echo | wc -l)
    bilingual=$(wc -w <<< "$BILINGUAL")
    echo "configuration $CONFIG${ABLATION:+ with ablation $ABLATION} into $WORK: English with $(all_languages)"
    echo "$models translation models of $UPDATES updates of $MAX_TOKENS tokens ($ARCH, $DEVICE), $((2 * bilingual)) bilingual ones, zero-shot on $TASKS"
    if [ -n "$MTDATA" ] && [ -z "$PREPARED" ]; then
        echo "corpora (stage 0):"
        "$PYTHON" recipes/lib/mtdata_corpora.py --table "$MTDATA" --languages "$(all_languages)" --output "$XALIGN_CACHE/mtdata" --dry-run
    fi
    if [ -n "$ALL_GPUS" ]; then launch_commands; fi
    echo "training (stage 3):"
    each_model train_model
    each_bilingual train_bilingual
    runs=$(count_runs)
    resources "$runs" $((runs * MEGABYTES_PER_RUN + 100))
}

# How to start this configuration on one GPU, on the 8 of one machine, and on several machines: equal batches on each.
launch_commands() {
    local run="recipes/$NAME/run.sh --conf $CONFIG${PREPARED:+ --set PREPARED=$PREPARED} --work $WORK" nodes=$((ALL_GPUS / 8))
    echo "one GPU:"
    echo "  $run --set UPDATE_FREQUENCY=$ALL_GPUS"
    echo "8 GPUs:"
    echo "  recipes/launch/torchrun.sh --gpus 8 $run --set UPDATE_FREQUENCY=$nodes"
    echo "$nodes nodes of 8 GPUs, which all see $WORK:"
    echo "  $run --stop-stage 2"
    echo "  sbatch --nodes $nodes recipes/launch/slurm.sh $run"
    echo "  $run --stage 4"
    echo "the same without Slurm, on every node with its --node-rank, instead of sbatch:"
    echo "  recipes/launch/torchrun.sh --gpus 8 --nodes $nodes --node-rank 0 --master HOST:29500 $run --stage 3 --stop-stage 3"
}

# Stage 0
fetch_parallel() {
    local corpus n
    title "stage 0: fetch (cache: $XALIGN_CACHE)"
    if [ -n "$NTREX" ]; then preprocess fetch ntrex > "$WORK/fetch.log"; fi
    if [ -z "$PREPARED$MTDATA" ]; then
        # shellcheck disable=SC2086 # several corpora
        preprocess fetch $CORPORA > "$WORK/fetch.log"
    elif [ -z "$PREPARED" ]; then
        local tested=()
        if [ -n "$NTREX" ]; then tested=(--exclude "$XALIGN_CACHE"/ntrex/test.*.txt); fi
        "$PYTHON" recipes/lib/mtdata_corpora.py --table "$MTDATA" --languages "$(all_languages)" --output "$XALIGN_CACHE/mtdata" \
            --lines "$PAIRS" ${tested[@]+"${tested[@]}"}
    fi
    for corpus in $TASKS; do
        case "$corpus" in
            intents) preprocess fetch intents > "$WORK/fetch.log" || title "no intents: they are left out" ;;
            pos)
                preprocess fetch ud-english-ewt 2> "$WORK/fetch.log" > /dev/null || { title "no English treebank: parts of speech are left out"; continue; }
                for n in $(all_languages); do
                    [ "$(treebank_of "$n")" = none ] || preprocess fetch "ud-$(treebank_of "$n")-pud" 2> "$WORK/fetch.log" > /dev/null ||
                        title "no PUD treebank for $n: parts of speech are left out there"
                done
                ;;
        esac
    done
}

# Stage 1: text split by English sentence, and the vocabulary with its <2xx>
make_translation_vocabulary() {
    local n corpora=() inputs=() languages
    [ -f "$WORK/subword/subword.json" ] && return
    title "stage 1: text and vocabulary"
    languages=$(all_languages)
    if [ -n "$PREPARED$MTDATA" ]; then
        mkdir -p "$WORK/text"
        for n in $languages; do cp "${PREPARED:-$XALIGN_CACHE/mtdata}"/{train,valid,test}.en-"$n".{en,"$n"}.txt "$WORK/text/"; done
    else
        for n in $CORPORA; do corpora+=(--corpus "$XALIGN_CACHE/$n"); done
        if [ -n "$MOST_WORDS" ]; then corpora+=(--most-words "$MOST_WORDS"); fi
        "$PYTHON" recipes/lib/prepare_bitext.py "${corpora[@]}" --languages "${languages% }" --output "$WORK/text" \
            --lines "$PAIRS" --valid-lines "$VALID_PAIRS" --test-lines "$TEST_PAIRS"
    fi
    # An English sentence that stands beside several languages is one sentence of English.
    cat "$WORK"/text/train.en-*.en.txt | LC_ALL=C sort -u > "$WORK/text/train.en.txt"
    cat "$WORK"/text/valid.en-*.en.txt | LC_ALL=C sort -u > "$WORK/text/valid.en.txt"
    inputs=(--input en="$WORK/text/train.en.txt")
    for n in $languages; do inputs+=(--input "$n=$WORK/text/train.en-$n.$n.txt"); done
    # shellcheck disable=SC2086 # SUBWORD_OPTIONS are several words
    preprocess subword "${inputs[@]}" --vocab-size "$VOCABULARY" --model-type "$MODEL_TYPE" --temperature 5 $SUBWORD_OPTIONS \
        --language-tokens "en,$(tr ' ' ',' <<< "${languages% }")" --output "$WORK/subword"
}

# Stage 2
binarize_translation() {
    local split n streams
    [ -f "$WORK/data/ready" ] && return
    title "stage 2: data folder"
    for split in train valid test; do
        streams=()
        for n in $(all_languages); do streams+=(--bitext "en:$n=$WORK/text/$split.en-$n.en.txt,$WORK/text/$split.en-$n.$n.txt"); done
        if [ -n "$MLM_BASELINE" ] && [ "$split" != test ]; then
            streams+=(--mono en="$WORK/text/$split.en.txt")
            for n in $(all_languages); do streams+=(--mono "$n=$WORK/text/$split.en-$n.$n.txt"); done
        fi
        preprocess binarize --subword "$WORK/subword" --split "$split" --output "$WORK/data" "${streams[@]}"
    done
    touch "$WORK/data/ready"
}

# Stage 3: train_translation DIRECTIONS TOKEN TEMPERATURE SEED FOLDER
train_translation() {
    local folder=$5 preset=$PRESET optimizer=$OPTIMIZER
    [ -f "$folder/done" ] && return
    [ -n "$DRY_RUN" ] || title "train ${folder#"$WORK"/runs/}"
    # shellcheck disable=SC2086 # the options are several words
    train "${folder#"$WORK"/runs/}" "$folder/train.log" "$UPDATES" "$WORK/data" --task mnmt --arch "$ARCH" --criterion mnmt \
        --directions "$1" --target-token "$2" --sampling-temperature "$3" --seed "$4" --save-dir "$folder" \
        --max-source-positions "$MAX_LENGTH" --max-target-positions "$MAX_LENGTH" --label-smoothing "$LABEL_SMOOTHING" \
        --max-tokens "$MAX_TOKENS" --update-freq "$UPDATE_FREQUENCY" --lr "$LEARNING_RATE" --warmup-updates "$WARMUP" \
        --save-interval-updates "$SAVE_INTERVAL" --keep-interval-updates "$AVERAGE" ${DECODER_OPTIONS:-} $PRETRAIN_OPTIONS
    [ -n "$DRY_RUN" ] || touch "$folder/done"
}
train_model() { train_translation "$(directions_of "$1")" "$2" "$3" "$4" "$WORK/runs/$5"; }
each_bilingual() { local n; for n in $BILINGUAL; do "$@" "en:$n" "$WORK/runs/bilingual.en-$n"; "$@" "$n:en" "$WORK/runs/bilingual.$n-en"; done; }
train_bilingual() { local UPDATES=${BILINGUAL_UPDATES:-$UPDATES}; train_translation "$1" none 1 "${SEEDS%% *}" "$2"; }

# The same encoder, text, tokens per batch and number of updates, trained to predict masked tokens instead.
train_mlm() {
    local folder=$WORK/runs/mlm.seed$1 preset=$PRESET optimizer=$OPTIMIZER
    [ -f "$folder/done" ] && return
    title "train ${folder#"$WORK"/runs/}"
    # shellcheck disable=SC2086 # the options are several words
    train "mlm.seed$1" "$folder/train.log" "$UPDATES" "$WORK/data" --task align_mlm --arch "${ARCH}_encoder" --criterion mlm --seed "$1" \
        --save-dir "$folder" --tokens-per-sample "$MAX_LENGTH" --max-tokens "$MAX_TOKENS" --update-freq "$UPDATE_FREQUENCY" \
        --lr "$LEARNING_RATE" --warmup-updates "$WARMUP" --mask-prob "${MASK:-0.15}" --save-interval-updates "$SAVE_INTERVAL" \
        --keep-interval-updates 1 $MLM_OPTIONS
    touch "$folder/done"
}

# Stage 4: average_model FOLDER UPDATES: of as many checkpoints as so many updates leave, and at most AVERAGE
average_model() {
    local count=$(($2 / SAVE_INTERVAL))
    [ ! -f "$1/average.pt" ] || return 0
    title "average ${1#"$WORK"/runs/}"
    if [ "$count" -gt "$AVERAGE" ]; then count=$AVERAGE; fi
    if [ "$count" -ge 2 ]; then
        convert average "$1" "$1/average.pt" --last "$count"
    else
        cp "$1/checkpoint_last.pt" "$1/average.part" && mv "$1/average.part" "$1/average.pt"
    fi
}

# test_options DIRECTIONS: the test set, as options of `xalign-evaluate bleu`, one per line
test_options() {
    local n
    if [ -z "$NTREX" ]; then
        printf '%s\n' --data "$WORK/data" --split test
        return
    fi
    printf '%s\n' --training-data "$WORK/data"
    for n in $(tr ',:' '\n\n' <<< "$1" | awk '!seen[$0]++'); do
        [ ! -f "$XALIGN_CACHE/ntrex/test.$n.txt" ] || printf '%s\n' --text "$n=$XALIGN_CACHE/ntrex/test.$n.txt"
    done
}

# Stage 5: translate_model DIRECTIONS FOLDER OPTIONS...: BLEU and chrF of every direction; what is there is not translated again
translate_model() {
    local options=()
    mapfile -t options < <(test_options "$1")
    evaluate bleu --checkpoint "$2/average.pt" --name "$(basename "$2")" "${options[@]}" --beam "$BEAM" --output "$2/bleu" "${@:3}"
}
translate_named() { translate_model "$(directions_of "$1")" "$WORK/runs/$5" > "$WORK/runs/$5/bleu.txt"; }
translate_bilingual() { translate_model "$1" "$2" > "$2/bleu.txt"; }

# The tables of all models: the first one beside bilingual models, then each of the others beside the first.
bleu_tables() {
    local file baselines=()
    for file in "$WORK"/runs/bilingual.*/bleu/bleu.json; do [ ! -f "$file" ] || baselines+=(--baseline "$file"); done
    each_model bleu_table ${baselines[@]+"${baselines[@]}"} > "$WORK/bleu.txt"
    cat "$WORK/bleu.txt"
}
bleu_table() {
    local model=("${@: -5}") baselines=("${@:1:$#-5}")
    if [ "${model[4]}" != "$(first_model)" ]; then baselines=(--baseline "$WORK/runs/$(first_model)/bleu/bleu.json"); fi
    translate_model "$(directions_of "${model[0]}")" "$WORK/runs/${model[4]}" ${baselines[@]+"${baselines[@]}"}
    echo
}

# One sentence through fairseq's own command, as a worked example.
interactive_example() {
    local language device=()
    language=$(all_languages) && language=${language%% *}
    if [ "$DEVICE" = cpu ]; then device=(--cpu); fi
    title "fairseq-interactive, one sentence from English to $language:"
    head -1 "$WORK/text/test.en-$language.en.txt" |
        "$PYTHON" -m fairseq_cli.interactive "$WORK/data" --user-dir fairseq_xalign --task mnmt --path "$WORK/runs/$(first_model)/average.pt" \
            --source-lang en --target-lang "$language" --beam "$BEAM" ${device[@]+"${device[@]}"} > "$WORK/interactive.txt" 2> "$WORK/interactive.log" ||
        { tail -1 "$WORK/interactive.log" >&2; title "stopped: fairseq-interactive failed; the whole log is $WORK/interactive.log"; exit 1; }
    grep -E '^[SDH]-' "$WORK/interactive.txt"
}

# Stage 6: the encoder of the first model, and of each other model
convert_encoder() {
    local folder=$WORK/runs/$5
    [ -f "$folder/encoder/checkpoint_last.pt" ] && return
    title "encoder of $5"
    mkdir -p "$folder/encoder"
    convert from-mnmt "$folder/average.pt" "$folder/encoder/checkpoint_last.pt"
}

# Labelled folders of the zero-shot tasks, for the languages that have a test set.
label_tasks() {
    local task n split folder
    for task in $TASKS; do
        folder=$WORK/$task
        [ -f "$WORK/labelled.$task/labels.json" ] && continue
        mkdir -p "$folder"
        if [ "$task" = intents ]; then
            [ -d "$XALIGN_CACHE/intents" ] || continue
            for n in en $(all_languages); do for split in train valid test; do
                [ ! -f "$XALIGN_CACHE/intents/$split.$n.tsv" ] || cp "$XALIGN_CACHE/intents/$split.$n.tsv" "$folder/"
            done; done
            preprocess benchmark classification --from "$folder" --output "$WORK/labelled.$task"
        else
            [ -d "$XALIGN_CACHE/ud-english-ewt" ] || continue
            for split in train valid test; do cp "$XALIGN_CACHE/ud-english-ewt/$split.en.conllu" "$folder/"; done
            for n in $(all_languages); do
                [ ! -d "$XALIGN_CACHE/ud-$(treebank_of "$n")-pud" ] || cp "$XALIGN_CACHE/ud-$(treebank_of "$n")-pud"/test.*.conllu "$folder/test.$n.conllu"
            done
            preprocess benchmark pos --from "$folder" --output "$WORK/labelled.$task"
        fi
    done
}

# Stage 7: zero_shot ENCODER-FOLDER NAME OBJECTIVE SEED: fine-tune on English, score every language that has a test set
zero_shot() {
    local encoder=$1 name=$2 objective=$3 seed=$4 task n out kind metric options known ARCH=${ARCH}_encoder TAG_PRESET TAG_UPDATES=$TAG_UPDATES
    for task in $TASKS; do
        [ -f "$WORK/labelled.$task/labels.json" ] || continue
        out=$WORK/zero-shot/$name/$task
        if [ "$task" = intents ]; then kind=classification metric=classification TAG_PRESET=$INTENT_PRESET options=(); else kind=tagging metric=pos TAG_PRESET=$POS_PRESET options=(); fi
        if [ "$task" = intents ] && [ -z "$TAG_PRESET" ]; then options=(--pooling mean); fi  # a preset brings its own head
        # shellcheck disable=SC2206 # several words
        if [ -n "$HEAD_OPTIONS" ]; then options=($HEAD_OPTIONS); fi
        mkdir -p "$out"
        finetune "$encoder" "$WORK/labelled.$task" en "$out/en" "$seed" "$kind" ${options[@]+"${options[@]}"}
        known=en
        for n in $(all_languages); do [ ! -f "$WORK/labelled.$task/test.$n.jsonl" ] || known+=,$n; done
        [ -f "$out/source.json" ] || {
            evaluate predict --checkpoint "$out/en/checkpoint_last.pt" --data "$WORK/labelled.$task" --languages "$known" --output "$out/source.jsonl"
            evaluate score --task "$metric" --predictions "$out/source.jsonl" --json > "$out/source.json"
        }
        for n in ${known//,/ }; do
            [ "$n" != en ] || continue
            [ -f "$out/$n/result.json" ] && continue
            mkdir -p "$out/$n"
            cp "$out/source.json" "$out/$n/"
            evaluate retrieve --checkpoint "$encoder/checkpoint_last.pt" --source en="$WORK/text/valid.en-$n.en.txt" \
                --target "$n=$WORK/text/valid.en-$n.$n.txt" --json > "$out/$n/retrieval.json"
            evaluate result "$out/$n" --objective "$objective" --source en --target "$n" --transform natural --task "$metric" --seed "$seed" \
                --setting "benchmark=\"$task\""
        done
    done
}

# zero_shot_model LANGUAGES TOKEN TEMPERATURE SEED NAME: what the table calls a model says what is different from the first one
zero_shot_model() {
    local objective=mnmt
    if [ "$1" != "${LANGUAGE_SETS%% *}" ]; then objective+=".$(count_of "$1")-languages"; fi
    if [ "$2" != "${TARGET_TOKENS%% *}" ]; then objective+=".$2"; fi
    if [ "$3" != "${TEMPERATURES%% *}" ]; then objective+=".T$3"; fi
    zero_shot "$WORK/runs/$5/encoder" "$5" "$objective" "$4"
}
zero_shot_mlm() { zero_shot "$WORK/runs/mlm.seed$1" "mlm.seed$1" mlm "$1"; }

count_runs() { echo $(($(model_names | wc -w) + 2 * $(wc -w <<< "$BILINGUAL") + $([ -z "$MLM_BASELINE" ] && echo 0 || wc -w <<< "$SEEDS"))); }
# Where fewer models are trained than may run at once, each of them gets several cores.
use_idle_cores() {
    local runs
    runs=$(count_runs)
    if [ "$DEVICE" = cpu ] && [ "$runs" -lt "$JOBS" ]; then export OMP_NUM_THREADS=$((JOBS / runs)); fi
}

run_translation_stages() {
    local s name
    require_gpu 3 7
    mkdir -p "$WORK/runs"
    if stage 0; then fetch_parallel; fi
    if stage 1; then make_translation_vocabulary; fi
    if stage 2; then binarize_translation; fi
    if stage 3; then
        title "stage 3: training, $JOBS at a time, precision: ${PRECISION/none/float32}"
        use_idle_cores
        each_model in_background train_model
        each_bilingual in_background train_bilingual
        if [ -n "$MLM_BASELINE" ]; then for s in $SEEDS; do in_background train_mlm "$s"; done; fi
        wait_for_jobs
    fi
    if stage 4; then
        title "stage 4: averages of the last $AVERAGE checkpoints"
        for name in $(model_names); do average_model "$WORK/runs/$name" "$UPDATES"; done
        each_bilingual average_bilingual
    fi
    if stage 5; then
        title "stage 5: translation and BLEU"
        each_model in_background translate_named
        each_bilingual in_background translate_bilingual
        wait_for_jobs
        bleu_tables
        interactive_example
    fi
    if stage 6; then
        title "stage 6: encoders"
        each_model convert_encoder
    fi
    if stage 7; then
        title "stage 7: fine-tuning on English, tested on every language"
        label_tasks
        each_model in_background zero_shot_model
        if [ -n "$MLM_BASELINE" ]; then for s in $SEEDS; do in_background zero_shot_mlm "$s"; done; fi
        wait_for_jobs
    fi
    if stage 8; then translation_tables; fi
}
average_bilingual() { average_model "$2" "${BILINGUAL_UPDATES:-$UPDATES}"; }

# Stage 8: the zero-shot tasks; BLEU and chrF of all models; the sizes of the corpora (MMTE, Figure 1)
translation_tables() {
    local format suffix
    title "stage 8: tables"
    for format in csv markdown json; do
        suffix=${format/markdown/md}
        evaluate compare "$WORK/zero-shot" --format "$format" --output "$WORK/table.$suffix"
        evaluate compare "$WORK/runs" --format "$format" --output "$WORK/bleu.$suffix"
    done
    for suffix in png svg; do
        evaluate plot bleu "$WORK/runs" --output "$WORK/bleu.$suffix"
        evaluate plot corpus-sizes "$WORK/data" --output "$WORK/sizes.$suffix"
    done
}

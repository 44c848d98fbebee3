# Encoders trained further on parallel text, and what that changes: retrieval and zero-shot tasks, before and after (TPP, PPA, WEAM).
# Sourced by a recipe's run.sh after options, jobs, training, treebanks and transfer.
#
# A row of a paper's table is one model, or one for each language. For a row R of ROWS a configuration may say
#   CHAIN_R      on what it is trained: corpora of `xalign-preprocess fetch`, % standing for each language, joined by + where they are
#                mixed; > begins the next step, which goes on from the checkpoint of the one before; "best" takes each language's chain
#                of BEST. With @each behind it there is a model for each language; otherwise one for all. Default: CHAIN
#   OPTIONS_R    more options of fairseq-train. Default: none
#   LINKS_R      which pieces of linked words are linked. Default: LINKS

more_settings() {
    START=""                        # the encoder that training begins with: a checkpoint, or a folder or hub name of transformers
    SUBWORD=""                      # its subword folder (empty: the folder of the checkpoint)
    LANGUAGES=""                    # languages beside English
    ROWS="" ALL_ROWS=""             # the rows that are run, and those of which the commands are printed
    NO_CS=""                        # how the row of Table 5 without code-switching is made, if there is one: it is FULL with TRANSLATIONS
    CHAIN="" BEST=""                # BEST: LANGUAGE:CHAIN, one word for each language
    CRITERION="" OPTIONS=""         # of fairseq-train, for every row
    LINKS=""                        # which pieces of linked words are linked, --link-pieces of binarize (empty: no word is linked)
    DICTIONARY=""                   # what stands for a word of several pieces in a dictionary found in the text, --pieces of dictionary (empty: none)
    SMALLEST_OPTIONS=""             # more of them, for --smallest
    SEEDS=1
    PAIRS=10000000                  # at most this many pairs per language for training
    BITEXT=""                       # options of `xalign-preprocess bitext`, which chooses the PAIRS; spread over the text if empty
    MOST_WORDS=""                   # longest English sentence in words; no limit if empty
    VALID_PAIRS=100
    EPOCHS=""                       # passes over the pairs of a step (empty: UPDATES)
    UPDATES=1000
    BATCH=16                        # pairs
    LENGTH=128                      # longest pair in pieces
    WARMUP=100                      # updates, or their share of all, as 0.1
    LEARNING_RATE=2e-5 WEIGHT_DECAY=0.01 CLIP_NORM=1.0
    ADAM_BETAS="(0.9, 0.999)"
    EQUAL=1                         # 1: languages are drawn equally often
    RETRIEVAL_POOLING=mean_all
    RETRIEVAL_LINES=""              # first sentences of NTREX-128 that are retrieved among (empty: all 1,997)
    TASKS="pos topics"              # zero-shot tasks of recipes/xtreme; none if empty
    TASK_SEEDS="1 2"
    TASK_SETTINGS=""                # more of recipes/xtreme's settings, NAME=VALUE, separated by ";"
    TRANSLATIONS=""                 # folder with translated training sets: xnli and squad are then trained on them too, with code-switching and without
    MINUTES_PER_RUN=10
    GIGABYTES_PER_RUN=3
    MEGABYTES_PER_RUN=1500
}
more_smallest_settings() {
    LANGUAGES=$(cut -d ' ' -f 1,2 <<< "$LANGUAGES") START=made-up SUBWORD="" PAIRS=100 VALID_PAIRS=10 MOST_WORDS="" UPDATES=2 EPOCHS="" BATCH=4
    LENGTH=64 TASKS=${TASKS:+topics} TASK_SEEDS=1 TASK_SETTINGS="" RETRIEVAL_LINES=${RETRIEVAL_LINES:+5} ARCH=xalign_tiny ENCODERS="start=made-up"
    OPTIONS="$OPTIONS $SMALLEST_OPTIONS" BITEXT=${BITEXT:+--least 2}
}

# check_rows: refuse rows that neither the paper's tables nor the settings know, which would train the default model under another name.
check_rows() {
    local row chain options links
    for row in $ROWS; do
        case "$row" in *[!A-Za-z0-9_]*) ;; *)
            chain=CHAIN_$row options=OPTIONS_$row links=LINKS_$row
            case " $ALL_ROWS " in *" $row "*) continue ;; esac
            [ -z "${!chain+set}${!options+set}${!links+set}" ] || continue ;;
        esac
        echo "run.sh: no row '$row'; there are: ${ALL_ROWS:-none}, and those that a configuration describes by CHAIN_ROW or OPTIONS_ROW" >&2
        exit 2
    done
}

# The chain of a row, without @each; whether it has a model for each language; its steps, one per line, for the languages of a model.
setting_of() { local name=$1_$2; echo "${!name:-${3:-}}"; }
chain_of() { local chain; chain=$(setting_of CHAIN "$1" "$CHAIN"); echo "${chain%@each}"; }
is_single() { case $(setting_of CHAIN "$1" "$CHAIN") in *@each) return 0 ;; *) return 1 ;; esac; }
steps_of() { # ROW LANGUAGES
    local chain one
    chain=$(chain_of "$1")
    if [ "$chain" = best ]; then
        chain=""
        for one in $BEST; do [ "${one%%:*}" != "$2" ] || chain=${one#*:}; done
        [ -n "$chain" ] || { echo "run.sh: BEST has no chain of corpora for $2" >&2; exit 2; }
    fi
    tr '>' '\n' <<< "$chain"
}
# each_model COMMAND...: call it with ROW LANGUAGES SEED NAME for every model; languages are separated by commas.
each_model() {
    local row seed languages
    for seed in $SEEDS; do for row in $ROWS; do
        if is_single "$row"; then
            for languages in $LANGUAGES; do
                "$@" "$row" "$languages" "$seed" "$row.$languages.seed$seed"
                [ -z "$SMALLEST" ] || break
            done
        else
            "$@" "$row" "$(tr ' ' ',' <<< "$LANGUAGES")" "$seed" "$row.seed$seed"
        fi
    done; done
}
model_names() { each_model echo | awk '{ print $4 }'; }
print_steps() { steps_of "$1" "$2"; }
all_steps() { each_model print_steps | awk '!seen[$0]++'; }
corpora_in() { # STEP: the names of its corpora
    local one n
    for one in ${1//+/ }; do
        case "$one" in *%*) for n in $LANGUAGES; do echo "${one//%/$n}"; done ;; *) echo "$one" ;; esac
    done
}
languages_in() { # STEP: those of LANGUAGES that its corpora have
    local n corpus found
    for n in $LANGUAGES; do
        found=""
        for corpus in $(corpora_in "$1"); do
            if [ -f "$XALIGN_CACHE/$corpus/train.en-$n.$n.txt" ] || [ -f "$XALIGN_CACHE/$corpus/train.$n.txt" ]; then found=1; fi
        done
        [ -z "$found" ] || echo "$n"
    done
}
folder_of() { echo "$WORK/$1/$(tr '+%' '_x' <<< "$2")"; }
links_of() { setting_of LINKS "$1" "$LINKS"; } # ROW
data_of() { local links; links=$(links_of "$2"); echo "$(folder_of data "$1")${links:+.$links}"; } # STEP ROW: text with other links is another folder
each_data() { # COMMAND...: call it with STEP ROW for each data folder
    local row languages step made="" data
    while read -r row languages _; do
        for step in $(steps_of "$row" "$languages"); do
            data=$(data_of "$step" "$row")
            case " $made " in *" $data "*) ;; *) made+=" $data"; "$@" "$step" "$row" < /dev/null ;; esac
        done
    done <<< "$(each_model echo)"
}

# check_start: refuse a missing encoder, and rows that nothing describes.
check_start() {
    [ -n "$START" ] || refuse "name an encoder: --set START=FOLDER; see --help"
    check_encoder START "$START"
    check_rows
}
posttraining_dry_run() {
    local models one
    check_start
    models=$(model_names | wc -l)
    echo "configuration $CONFIG into $WORK: $START on English with $LANGUAGES"
    for one in $ROWS; do echo "$one: $(setting_of CHAIN "$one" "$CHAIN") $CRITERION $(setting_of OPTIONS "$one")"; done
    echo "$models model$([ "$models" = 1 ] || echo s), ${EPOCHS:+$EPOCHS passes}${EPOCHS:-$UPDATES updates} of $BATCH pairs in each step ($DEVICE), zero-shot on ${TASKS:-nothing}" | sed 's/passes[0-9.]*/passes/'
    row_commands
    resources "$models" $((models * MEGABYTES_PER_RUN + 200)) "without the zero-shot tasks"
}

# Stage 0
fetch_bitext() {
    local step
    title "stage 0: fetch (cache: $XALIGN_CACHE)"
    # shellcheck disable=SC2046 # several corpora
    preprocess fetch ntrex $(for step in $(all_steps); do corpora_in "$step"; done | awk '!seen[$0]++') > "$WORK/fetch.log"
}

# Stage 1: prepare_step STEP: its text, split by English sentence
prepare_step() {
    local folder corpus corpora=() lines=$PAIRS
    folder=$(folder_of text "$1")
    [ ! -f "$folder/counts.json" ] || return 0
    for corpus in $(corpora_in "$1"); do corpora+=(--corpus "$XALIGN_CACHE/$corpus"); done
    if [ -n "$BITEXT" ]; then lines=1000000000; fi
    if [ -n "$MOST_WORDS" ]; then corpora+=(--most-words "$MOST_WORDS"); fi
    "$PYTHON" recipes/lib/prepare_bitext.py "${corpora[@]}" --languages "$(languages_in "$1" | paste -sd ' ')" --output "$folder" --lines "$lines" \
        --valid-lines "$VALID_PAIRS" --test-lines "$VALID_PAIRS" --least-words 1
}

# link_step STEP: the word links of its text. Those of validation are found together with those of training: 100 pairs teach an
# aligner nothing.
link_step() {
    local text n all side
    text=$(folder_of text "$1")
    for n in $(languages_in "$1"); do
        [ ! -f "$text/train.en-$n.links" ] || continue
        all=$text/all.en-$n
        for side in en "$n"; do cat "$text/valid.en-$n.$side.txt" "$text/train.en-$n.$side.txt" > "$all.$side"; done
        preprocess links --source "en=$all.en" --target "$n=$all.$n" --output "$all.links"
        head -n "$(wc -l < "$text/valid.en-$n.en.txt")" "$all.links" > "$text/valid.en-$n.links"
        tail -n "$(wc -l < "$text/train.en-$n.en.txt")" "$all.links" > "$text/train.en-$n.part"
        rm "$all".*
        mv "$text/train.en-$n.part" "$text/train.en-$n.links"
    done
}

# Stage 2: the encoder that training begins with, and binarize_step STEP ROW: a data folder in its vocabulary
prepare_start() {
    ENCODERS="start=$START"
    prepare_encoder start
    SUBWORD=${SUBWORD:-$(checkpoint_of start)}
    if [ -f "$SUBWORD" ]; then SUBWORD=$(dirname "$SUBWORD"); fi
    [ -f "$SUBWORD/subword.json" ] || { echo "run.sh: $SUBWORD has no subword.json; name the subword folder of $START: --set SUBWORD=FOLDER" >&2; exit 2; }
}
binarize_step() {
    local text data split n streams links dictionaries from pieces
    pieces=$(links_of "$2")
    text=$(folder_of text "$1") data=$(data_of "$1" "$2")
    [ ! -f "$data/ready" ] || return 0
    [ -z "$pieces" ] || [ -z "$BITEXT" ] || { echo "run.sh: BITEXT chooses pairs, but links are those of all; leave BITEXT or LINKS empty" >&2; exit 2; }
    for split in train valid; do
        streams=() links=() dictionaries=()
        for n in $(languages_in "$1"); do
            from="$text/$split.en-$n.en.txt,$text/$split.en-$n.$n.txt"
            if [ -n "$BITEXT" ] && [ "$split" = train ]; then
                # shellcheck disable=SC2086 # several words
                preprocess bitext --source "en=${from%,*}" --target "$n=${from#*,}" --subword "$SUBWORD" $BITEXT --first "$PAIRS" \
                    --output "$text/chosen.en-$n" --json > "$text/chosen.en-$n.json"
                from="$text/chosen.en-$n.en,$text/chosen.en-$n.$n"
            fi
            streams+=(--bitext "en:$n=$from")
            if [ -n "$DICTIONARY" ] && [ "$split" = train ]; then
                preprocess dictionary --bitext "$from" --source en --target "$n" --pieces "$DICTIONARY" --subword "$SUBWORD" --output "$text/words.en-$n.tsv"
                dictionaries+=(--dictionary "en-$n=$text/words.en-$n.tsv")
            fi
        done
        for n in ${pieces:+$(languages_in "$1")}; do links+=(--links "en:$n=$text/$split.en-$n.links"); done
        preprocess binarize --subword "$SUBWORD" --split "$split" --output "$data" "${streams[@]}" ${pieces:+--link-pieces "$pieces" "${links[@]}"} ${dictionaries[@]+"${dictionaries[@]}"}
    done
    touch "$data/ready"
}

# Stage 3: posttrain ROW LANGUAGES SEED NAME
posttrain() {
    local folder=$WORK/runs/$4 previous step number=0 updates weights warmup preset=""
    [ ! -f "$folder/checkpoint" ] || return 0
    previous=$(checkpoint_of start)
    while read -r step; do
        number=$((number + 1))
        updates=$(updates_of "$step" "$2")
        weights=$(equal_weights "$step" "$2")
        case "$WARMUP" in 0.*) warmup=$(awk -v share="$WARMUP" -v updates="$updates" 'BEGIN { print int(share * updates) }') ;; *) warmup=$WARMUP ;; esac
        if [ ! -f "$folder/step$number/done" ]; then
            title "train $4, step $number: $step, $updates updates"
            # shellcheck disable=SC2046,SC2086 # several words
            train "$4" "$folder/step$number/train.log" "$updates" "$(data_of "$step" "$1")" --task align_mlm $(sed -n 1p "$WORK/encoders/start/arch") \
                --criterion "$CRITERION" $OPTIONS $(setting_of OPTIONS "$1") --finetune-from-model "$previous" --languages "en,$2" \
                ${weights:+--sampling-weights "$weights"} --batch-size "$BATCH" --update-freq "$UPDATE_FREQUENCY" --tokens-per-sample "$LENGTH" \
                --lr "$LEARNING_RATE" --warmup-updates "$warmup" --weight-decay "$WEIGHT_DECAY" --clip-norm "$CLIP_NORM" --seed "$3" \
                --save-dir "$folder/step$number" --save-interval-updates "$SAVE_INTERVAL" --keep-interval-updates 1 < /dev/null
            touch "$folder/step$number/done"
        fi
        previous=$folder/step$number/checkpoint_last.pt
    done <<< "$(steps_of "$1" "$2")"
    echo "$previous" > "$folder/checkpoint"
}
updates_of() { # STEP LANGUAGES: how many updates EPOCHS passes take; languages that are drawn equally often all count as the largest
    if [ -z "$EPOCHS" ]; then echo "$UPDATES"; return; fi
    "$PYTHON" - "$(folder_of text "$1")" "$2" "$EPOCHS" "$((BATCH * UPDATE_FREQUENCY))" "$EQUAL" <<'PY'
import json, math, pathlib, sys
folder, languages, epochs, batch, equal = sys.argv[1:]
counts = json.loads(pathlib.Path(folder, "counts.json").read_text("utf-8"))["pairs"]
sizes = {name: counts[name]["train"] for name in languages.split(",") if name in counts}
for name in sizes:
    chosen = pathlib.Path(folder, f"chosen.en-{name}.json")
    if chosen.exists():
        sizes[name] = json.loads(chosen.read_text("utf-8"))["kept"]
sizes = [*sizes.values()]
print(math.ceil(float(epochs) * (max(sizes) * len(sizes) if equal else sum(sizes)) / int(batch)))
PY
}
equal_weights() { # STEP LANGUAGES
    local n weights=()
    [ -n "$EQUAL" ] || return 0
    for n in $(languages_in "$1"); do case ",$2," in *",$n,"*) weights+=("en-$n:1") ;; esac; done
    [ ${#weights[@]} -lt 2 ] || (IFS=,; echo "${weights[*]}")
}

# Stage 4: ntrex_of LANGUAGE: its file of sentences; retrieve_ntrex NAME CHECKPOINT LANGUAGES: both directions
ntrex_of() {
    local given=$XALIGN_CACHE/ntrex/test.$1.txt file=$WORK/text/ntrex.$RETRIEVAL_LINES/$1.txt part
    if [ -z "$RETRIEVAL_LINES" ]; then echo "$given"; return; fi
    if [ ! -f "$file" ]; then
        mkdir -p "${file%/*}"
        part=$file.$BASHPID  # models are tried at the same time
        head -n "$RETRIEVAL_LINES" "$given" > "$part" && mv "$part" "$file"
    fi
    echo "$file"
}
retrieve_ntrex() {
    local n english pairs=() file=$WORK/retrieval/$1.json
    [ ! -f "$file" ] || return 0
    mkdir -p "$WORK/retrieval"
    english=$(ntrex_of en)
    for n in ${3//,/ }; do
        if [ ! -f "$XALIGN_CACHE/ntrex/test.$n.txt" ]; then title "NTREX-128 has no $n"; continue; fi
        pairs+=(--source "$n=$(ntrex_of "$n")" --target "en=$english")
    done
    evaluate retrieve --checkpoint "$2" "${pairs[@]}" --pooling "$RETRIEVAL_POOLING" --json > "$file.part" && mv "$file.part" "$file"
}
retrieve_model() { retrieve_ntrex "$4" "$(cat "$WORK/runs/$4/checkpoint")" "$2"; }

# Stage 5: the zero-shot tasks of recipes/xtreme, of the first encoder and of every model
zero_shot() {
    local name encoders one settings=()
    [ -n "$TASKS" ] || return 0
    title "stage 5: zero-shot tasks ($TASKS)"
    encoders="start=$(checkpoint_of start)"
    for name in $(model_names | if [ -n "$SMALLEST" ]; then tail -n 1; else cat; fi); do
        encoders+=" $name=$(cat "$WORK/runs/$name/checkpoint")"
    done
    while IFS= read -r -d ';' one; do settings+=(--set "$one"); done <<< "${TASK_SETTINGS:+$TASK_SETTINGS;}"
    if [ -n "$TRANSLATIONS" ]; then settings+=(--set TRANSLATIONS="$TRANSLATIONS" --set TRAININGS="zero-shot translate-train translate-train-plain"); fi
    bash recipes/xtreme/run.sh --conf demo --work "$WORK/zero-shot" ${SMALLEST:+--smallest} --jobs "$JOBS" --set ENCODERS="$encoders" \
        --set TASKS="$TASKS" --set SEEDS="$TASK_SEEDS" --set SEVERAL_SEEDS="$TASKS" --set DEVICE="$DEVICE" ${settings[@]+"${settings[@]}"} > "$WORK/zero-shot.log" ||
        { title "stopped: the zero-shot tasks failed (see above); --set TASKS=\"\" leaves them out"; exit 1; }
}

# Stage 6: the table, and a command for each row of the paper's
posttraining_tables() {
    local summary=()
    title "stage 6: table, and a command for each row"
    if [ -n "$TASKS" ]; then summary=(--zero-shot "$WORK/zero-shot/summary.md"); fi
    if [ -n "$RETRIEVAL_LINES" ]; then summary+=(--sentences "$RETRIEVAL_LINES"); fi
    "$PYTHON" recipes/lib/posttraining_table.py --retrieval "$WORK/retrieval" ${summary[@]+"${summary[@]}"} --output "$WORK/table.md"
    cat "$WORK/table.md"
    echo
    row_commands
}
row_commands() { # the command of each row of the paper's table
    local row
    for row in ${ALL_ROWS:-$ROWS}; do echo "$row:  recipes/$NAME/run.sh --conf $CONFIG --set ROWS=$row"; done
    [ -z "$NO_CS" ] || echo "NO_CS:  recipes/$NAME/run.sh --conf $CONFIG --set ROWS=FULL --set TRANSLATIONS=FOLDER    # $NO_CS"
}

run_posttraining_stages() {
    local step
    require_gpu 3 5
    check_start
    mkdir -p "$WORK"
    if stage 0; then fetch_bitext; fi
    if stage 1; then
        title "stage 1: text"
        for step in $(all_steps); do prepare_step "$step"; done
        for step in ${LINKS:+$(all_steps)}; do link_step "$step"; done
    fi
    if [ "$STOP_STAGE" -ge 2 ]; then prepare_start; fi
    if stage 2; then
        title "stage 2: data folders"
        each_data binarize_step
    fi
    if stage 3; then
        title "stage 3: training, $JOBS at a time, precision: ${PRECISION/none/float32}"
        each_model in_background posttrain
        wait_for_jobs
    fi
    if stage 4; then
        title "stage 4: retrieval on NTREX-128"
        in_background retrieve_ntrex start "$(checkpoint_of start)" "$(tr ' ' ',' <<< "$LANGUAGES")"
        each_model in_background retrieve_model
        wait_for_jobs
    fi
    if stage 5; then zero_shot; fi
    if stage 6; then posttraining_tables; fi
}

# posttraining_recipe OPTIONS...: all that such a recipe does
posttraining_recipe() {
    parse_options "$@"
    if [ -n "$DRY_RUN" ]; then
        posttraining_dry_run
        return
    fi
    run_posttraining_stages
    title "done: $WORK/table.md"
}

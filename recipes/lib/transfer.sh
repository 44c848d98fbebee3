# Encoders fine-tuned on labelled sets in one language and tested in the others. Sourced by a recipe's run.sh after options, jobs,
# training and treebanks.

# What a configuration may leave out.
more_settings() {
    ENCODERS=""                     # checkpoints, or folders of transformers; NAME=FOLDER gives one a name
    POS_TRAIN=ewt                   # English treebanks that pos is trained on; pud, which has a test set alone, is then not tested on
    TRAININGS=zero-shot             # how models are trained: zero-shot in-language few-shot joint feature-based translate-train translate-train-plain; see --help
    TRANSLATIONS=""                 # folder with the machine-translated training sets of xnli and squad, in their original files
    SELECT=""                       # 1: keep the checkpoint that is best on the source's validation set, where there is one, not the last
    TEST_LANGUAGES=""               # those that are tested beside the source language, as test sets name them (empty: all)
    XNLI="" SQUAD="" MASSIVE="" MASAKHANER="" PANX="" ARCD="" HOME_ASSISTANT=""
    RETRIEVAL_POOLING=mean_all      # the mean over all tokens, as sentence-transformers pools
    WEIGHT_DECAY=0.01
    CLIP_NORM=1.0
    ADAM_BETAS="(0.9, 0.999)"
    KEEP_CHECKPOINTS=""             # 1: keep the fine-tuned models; otherwise only their predictions and scores are kept
    MINUTES_PER_RUN=20
    GIGABYTES_PER_RUN=3
    MEGABYTES_PER_RUN=1500
}
more_smallest_settings() {
    local one
    for one in POS TOPICS NER NLI QA INTENTS SENTIMENT XNLI SQUAD MASSIVE MASAKHANER PANX ARCD HOME_ASSISTANT; do
        printf -v "$one" '%s' "1 150 1e-4 1 64"
    done
    POS_TRAIN="gum pud" TEST_LANGUAGES="" TRAININGS="zero-shot in-language few-shot joint feature-based" TRANSLATIONS="" SELECT=1 QA="1 40 1e-4 1 64" ARCD="1 40 1e-4 1 64" TASKS="pos ner nli-en nli-id qa topics intents sentiment retrieval" ENCODERS="made-up" QUESTIONS=30
    SEVERAL_SEEDS=pos SEEDS="1 2" RETRIEVAL_LANGUAGES=all ARCH=xalign_tiny
    # Of the tasks that full alone has, those whose sets smallest.py makes up; demo tries the others.
    if [ "$CONFIG" = full ]; then TASKS="xnli arcd panx home-assistant retrieval" SEVERAL_SEEDS=panx; fi
}

# What a run may be: task_settings TASK sets, in the caller's scope, what `score` calls the task, its kind, its source language, the
# name of its labelled corpus, and its settings of training.
task_settings() {
    local settings
    metric=classification kind=classification source=en
    case "$1" in
        pos) metric=pos kind=tagging benchmark=ud settings=$POS ;;
        ner) metric=ner kind=tagging source=da benchmark=uner settings=$NER ;;
        panx) metric=ner kind=tagging benchmark=panx settings=$PANX ;;
        masakhaner) metric=ner kind=tagging source=swa benchmark=masakhaner settings=$MASAKHANER ;;
        nli-en) metric=pairs benchmark=cad-nli settings=$NLI ;;
        nli-id) metric=pairs source=id benchmark=indonli settings=$NLI ;;
        xnli) metric=pairs benchmark=xnli settings=$XNLI ;;
        qa) metric=qa kind=qa source=ja benchmark=jaquad settings=$QA ;;
        arcd) metric=qa kind=qa source=ar benchmark=arcd settings=$ARCD ;;
        squad) metric=qa kind=qa benchmark=squad settings=$SQUAD ;;
        topics) source=eng_Latn benchmark=sib-200 settings=$TOPICS ;;
        intents) benchmark=xsid settings=$INTENTS ;;
        massive) benchmark=massive settings=$MASSIVE ;;
        home-assistant) benchmark=home-assistant-intents settings=$HOME_ASSISTANT ;;
        sentiment) benchmark=nusax settings=$SENTIMENT ;;
        *) echo "run.sh: no task '$1'; there are: pos ner nli-en nli-id qa topics intents sentiment xnli squad massive masakhaner panx arcd home-assistant retrieval" >&2; exit 2 ;;
    esac
    read -r epochs batch rate warmup length <<< "$settings"
}

# corpora_of TASK: what `fetch` calls its sets.
corpora_of() {
    local n
    case "$1" in
        pos) for n in $POS_TRAIN; do echo "ud-english-$n"; done; echo ud-english-pud; for n in $PUD; do echo "ud-$(treebank_of "$n")-pud"; done ;;
        ner) echo uner-danish-ddt uner-english-ewt uner-german-pud uner-portuguese-pud uner-chinese-pud ;;
        nli-*) echo cad-nli indonli kornli americasnli ;;
        xnli) echo multinli xnli kornli americasnli ;;
        qa) echo jaquad xquad ;;
        squad | arcd) echo "$1" xquad ;;
        panx) echo wikiann ;;
        topics) echo sib-200 ;;
        intents) echo xsid ;;
        home-assistant) echo intents ;; # what `fetch` calls them
        sentiment) echo nusax ;;
        retrieval) echo tatoeba ;;
        *) echo "$1" ;;
    esac
}
PUD="ar de es fr hi id it ja ru tr zh"

# corpus_folder NAME: where a corpus is: in the cache, or, where only a part of a set that `benchmark` reads is on this machine,
# below XALIGN_DATA.
corpus_folder() {
    local folder
    if [ -d "$XALIGN_CACHE/$1" ]; then
        echo "$XALIGN_CACHE/$1"
        return
    fi
    case "$1" in ud-* | uner-* | tatoeba) return 1 ;; esac # these are read from the cache
    [ -n "${XALIGN_DATA:-}" ] || return 1
    folder=$(preprocess fetch --list --json "$1" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[0]["data_folder"])')
    [ -n "$folder" ] && [ -d "$XALIGN_DATA/$folder" ] || return 1
    echo "$XALIGN_DATA/$folder"
}

# is_there TASK: whether all of its corpora are.
is_there() {
    local corpus
    for corpus in $(corpora_of "$1"); do corpus_folder "$corpus" > /dev/null || return 1; done
}

# The names of the encoders, and encoder_of NAME: what was given for one.
encoder_names() { local one; for one in $ENCODERS; do encoder_name "$one"; done; }
encoder_name() {
    local name=${1%%=*}
    case "$1" in
        *=*) ;;
        */checkpoint*.pt) name=$(basename "$(dirname "$1")") ;;
        *) name=$(basename "$1" .pt) ;;
    esac
    echo "${name//[^A-Za-z0-9._-]/_}"
}
encoder_of() { local one; for one in $ENCODERS; do [ "$(encoder_name "$one")" != "$1" ] || echo "${one#*=}"; done | head -1; }
checkpoint_of() { cat "$WORK/encoders/$1/checkpoint"; }

seeds_of() { case " $SEVERAL_SEEDS " in *" $1 "*) echo "$SEEDS" ;; *) echo "${SEEDS%% *}" ;; esac; }

# each_run COMMAND...: call it with ENCODER TASK SEED TRAINING for every run.
each_run() {
    local name task seed training
    for task in $TASKS; do
        [ "$task" != retrieval ] || continue
        for training in $(trainings_of "$task"); do for seed in $(seeds_of "$task"); do
            for name in $(encoder_names); do "$@" "$name" "$task" "$seed" "$training"; done
        done; done
    done
}

# check_transfer: refuse encoders, tasks and ways of training that there are not.
check_transfer() {
    local name one task
    [[ "$ENCODERS" = *[![:space:]]* ]] || refuse "name an encoder: --set ENCODERS=FOLDER; see --help"
    for one in $ENCODERS; do check_encoder ENCODERS "${one#*=}"; done
    name=$(encoder_names | sort | uniq -d)
    [ -z "$name" ] || refuse "two encoders are called $name; write --set ENCODERS=\"NAME=FOLDER OTHER=FOLDER\""
    [[ "$TASKS" = *[![:space:]]* ]] || refuse "TASKS is empty; name some, as in --set TASKS=\"pos topics\""
    for task in $TASKS; do [ "$task" = retrieval ] || (task_settings "$task") || exit 2; done
    check_trainings
}
# check_encoder SETTING NAME: refuse what is no file or folder and can be no name on the hub either, as model or owner/model.
check_encoder() {
    [ ! -e "$2" ] || return 0
    case "$2" in
        /* | .* | *.pt | */*/* | */)
            refuse "$1: there is no $2; name a checkpoint, a folder of transformers, or a model on the hub such as intfloat/multilingual-e5-small" ;;
        "") refuse "$1: a name without an encoder; write --set $1=NAME=FOLDER" ;;
    esac
}

transfer_dry_run() {
    local runs task metric kind source benchmark epochs batch rate warmup length
    check_transfer
    runs=$(each_run echo | wc -l)
    echo "configuration $CONFIG into $WORK: $(encoder_names | wc -w) encoders"
    for task in $TASKS; do
        [ "$task" != retrieval ] || continue
        task_settings "$task"
        echo "$task: $benchmark from $source, $epochs passes in batches of $batch, learning rate $rate, seeds $(seeds_of "$task")"
        [ "$TRAININGS" = zero-shot ] || echo "    trained $(trainings_of "$task" | paste -sd' ')$(is_in_language "$task" && echo ", and in-language")"
    done
    echo "$runs runs, $(resources "$runs" $((JOBS * MEGABYTES_PER_RUN + 200)))"
}

# Stage 0
fetch_sets() {
    local corpus
    title "stage 0: fetch (cache: $XALIGN_CACHE)"
    for corpus in $(for task in $TASKS; do corpora_of "$task"; done | awk '!seen[$0]++'); do
        [ -f "$XALIGN_CACHE/$corpus/corpus.json" ] || preprocess fetch "$corpus" > /dev/null 2> "$WORK/fetch.log" ||
            { tail -n 1 "$WORK/fetch.log" >&2; title "$corpus: $(corpus_folder "$corpus" > /dev/null && echo "what is in $XALIGN_DATA is used" || echo "not there")"; }
    done
}

# Without the tasks whose sets are not there.
leave_out_absent() {
    local task kept=""
    for task in $TASKS; do
        if is_there "$task"; then
            kept+=" $task"
        else
            title "$task is left out: not all of $(corpora_of "$task" | tr '\n' ' ')could be fetched"
        fi
    done
    TASKS=${kept# }
    [ -n "$TASKS" ] || { title "stopped: no task is left"; exit 1; }
}

# Stage 1: label_task TASK: its labelled folder
benchmark_of() { # NAME [CORPUS]: the labelled folder of a published set; CORPUS is what `fetch` calls it, if not NAME
    [ -f "$WORK/sets/$1/labels.json" ] || preprocess benchmark "$1" --from "$(corpus_folder "${2:-$1}")" --output "$WORK/sets/$1" >> "$WORK/sets.log"
}
joined() { # TASK SET PART...: the labelled folder of a task, of parts of those of sets
    local task=$1 known=$2 one
    shift 2
    "$PYTHON" recipes/lib/join_labelled.py --output "$WORK/labelled/$task" --set "$known" --sets "$WORK/sets" "$@" >> "$WORK/sets.log"
}
label_task() {
    local inputs=() set n first
    [ ! -f "$WORK/labelled/$1/labels.json" ] || return 0
    mkdir -p "$WORK/sets" "$WORK/labelled"
    title "stage 1: labelled folder of $1"
    case "$1" in
        pos)
            english_treebanks > "$WORK/sets/train.en.conllu"
            first=$XALIGN_CACHE/ud-english-${POS_TRAIN%% *}
            inputs=(--input "train.en=$WORK/sets/train.en.conllu" --input "valid.en=$first/valid.en.conllu" --input "test.en=$first/test.en.conllu")
            case " $POS_TRAIN " in *" pud "*) ;; *) inputs+=(--input "test.en-PUD=$XALIGN_CACHE/ud-english-pud/test.en.conllu") ;; esac
            for n in $PUD; do inputs+=(--input "test.$n=$(echo "$XALIGN_CACHE/ud-$(treebank_of "$n")-pud"/test.*.conllu)"); done
            preprocess benchmark pos "${inputs[@]}" --output "$WORK/labelled/pos" >> "$WORK/sets.log"
            ;;
        ner)
            inputs=(--from "$XALIGN_CACHE/uner-danish-ddt")
            for n in english-ewt german-pud portuguese-pud chinese-pud; do
                first=$(echo "$XALIGN_CACHE/uner-$n"/*-test.iob2)
                inputs+=(--input "test.$(basename "$first" | cut -d_ -f1)=$first")
            done
            preprocess benchmark ner "${inputs[@]}" --output "$WORK/labelled/ner" >> "$WORK/sets.log"
            ;;
        masakhaner) preprocess benchmark ner --from "$(corpus_folder masakhaner)" --output "$WORK/labelled/masakhaner" >> "$WORK/sets.log" ;;
        nli-*)
            for set in cad-nli indonli kornli americasnli; do benchmark_of "$set"; done
            if [ "$1" = nli-en ]; then first=cad-nli; else first=indonli; fi
            joined "$1" "$first" "train=$first/train" "valid=$first/valid" test=cad-nli/test test=indonli/test test=kornli/test test=americasnli/test
            ;;
        xnli)
            for set in multinli xnli kornli americasnli; do benchmark_of "$set"; done
            inputs=(train.en=multinli/train.en)
            if [ -n "$TRANSLATIONS" ]; then
                [ -f "$WORK/sets/xnli-translated/labels.json" ] || preprocess benchmark xnli --from "$TRANSLATIONS" --output "$WORK/sets/xnli-translated" >> "$WORK/sets.log"
                inputs=(train=xnli-translated/train) # English among them, with the ids by which translations are joined
            fi
            joined xnli xnli "${inputs[@]}" valid.en=xnli/valid.en test=xnli/test test=kornli/test test=americasnli/test
            ;;
        panx) preprocess benchmark ner --from "$(corpus_folder wikiann)" --output "$WORK/labelled/panx" >> "$WORK/sets.log" ;;
        arcd)
            benchmark_of arcd
            benchmark_of xquad
            joined arcd arcd "train.ar=arcd/train.ar[:$QUESTIONS]" test.ar=arcd/test.ar test=xquad/test
            ;;
        qa | squad)
            if [ "$1" = qa ]; then first=jaquad n=ja; else first=squad n=en; fi
            benchmark_of "$first"
            benchmark_of xquad
            # The test sets of neither are public: their development sets are tested on, and nothing is selected by them.
            inputs=("train.$n=$first/train.$n[:$QUESTIONS]")
            if [ "$1" = squad ] && [ -n "$TRANSLATIONS" ]; then
                [ -f "$WORK/sets/squad-translated/labels.json" ] || preprocess benchmark squad-xtreme --from "$TRANSLATIONS" --output "$WORK/sets/squad-translated" >> "$WORK/sets.log"
                inputs+=(train=squad-translated/train)
            fi
            joined "$1" "$first" "${inputs[@]}" "test.$n=$first/valid.$n" test=xquad/test
            ;;
        topics)
            benchmark_of sib-200
            joined topics sib-200 train.eng_Latn=sib-200/train.eng_Latn train.eng_Latn=sib-200/valid.eng_Latn train=sib-200/train test=sib-200/test
            ;;
        intents)
            # The training set of xSID is not in its repository's release: the English development set is what is learned from.
            benchmark_of xsid
            joined intents xsid train=xsid/valid test=xsid/test
            ;;
        *)
            task_settings "$1"
            benchmark_of "$benchmark" "$(corpora_of "$1")"
            joined "$1" "$benchmark" train="$benchmark/train" "valid.$source=$benchmark/valid.$source" test="$benchmark/test"
            ;;
    esac
}

english_treebanks() { # the sentences of POS_TRAIN, one treebank after the other
    local n folder
    for n in $POS_TRAIN; do
        folder=$XALIGN_CACHE/ud-english-$n
        if [ "$n" = pud ]; then cat "$folder/test.en.conllu"; else cat "$folder/train.en.conllu"; fi
    done
}

# Stage 2: prepare_encoder NAME: a checkpoint, and the options of fairseq-train that fit its shape
prepare_encoder() {
    local given folder=$WORK/encoders/$1
    [ ! -f "$folder/arch" ] || return 0
    given=$(encoder_of "$1")
    mkdir -p "$folder"
    title "stage 2: encoder $1 ($given)"
    if [ "$given" = made-up ]; then
        made_up_encoder "$folder"
    elif [ -f "$given" ]; then
        echo "$given" > "$folder/checkpoint"
    elif [ -f "$given/checkpoint_best.pt" ] || [ -f "$given/checkpoint_last.pt" ]; then
        echo "$given" > "$folder/checkpoint"
    else
        [ -f "$folder/from-hf/settings.json" ] || convert from-hf "$given" "$folder/from-hf"
        echo "$folder/from-hf" > "$folder/checkpoint"
    fi
    "$PYTHON" recipes/lib/encoder_arch.py "$(checkpoint_of "$1")" > "$folder/arch.part"
    mv "$folder/arch.part" "$folder/arch"
}

# For --smallest: an encoder of one layer, trained for two updates and taken through transformers' form and back.
made_up_encoder() {
    local text=$XALIGN_CACHE/verses preset="" TAG_PRESET="" split
    preprocess subword --input en="$text/train.en.txt" --vocab-size 60 --output "$1/subword"
    for split in train valid; do
        preprocess binarize --subword "$1/subword" --split "$split" --mono en="$text/$split.en.txt" --output "$1/data"
    done
    train made-up "$1/train.log" 2 "$1/data" --task align_mlm --arch "$ARCH" --criterion mlm --tokens-per-sample 64 --batch-size 4 \
        --lr 1e-3 --warmup-updates 1 --seed 1 --save-dir "$1/trained" --positions learned
    convert to-hf "$1/trained/checkpoint_last.pt" "$1/hf"
    convert from-hf "$1/hf" "$1/from-hf"
    echo "$1/from-hf" > "$1/checkpoint"
}

# Stage 4: retrieve_with ENCODER
retrieve_with() {
    local n pairs=() languages=$RETRIEVAL_LANGUAGES file=$WORK/retrieval/$1.json
    [ ! -f "$file" ] || return 0
    mkdir -p "$WORK/retrieval"
    title "stage 4: retrieval with $1"
    if [ "$languages" = all ]; then languages=$(cd "$XALIGN_CACHE/tatoeba" && for n in *.eng; do n=${n#tatoeba.}; echo "${n%-eng.eng}"; done); fi
    for n in $languages; do
        pairs+=(--source "$n=$XALIGN_CACHE/tatoeba/tatoeba.$n-eng.$n" --target "eng=$XALIGN_CACHE/tatoeba/tatoeba.$n-eng.eng")
    done
    evaluate retrieve --checkpoint "$(checkpoint_of "$1")" "${pairs[@]}" --pooling "$RETRIEVAL_POOLING" --json > "$file.part" && mv "$file.part" "$file"
}

# Stage 5. Averages are over languages: each counts once, however many test sets it has.
FURTHER_TEST_SETS="id-expert id-diagnostic"
transfer_tables() {
    local form name files=() absent further=()
    title "stage 5: tables"
    absent=$(each_run run_is_absent | paste -sd' ')
    if [ -n "$(each_run echo)" ] && [ -d "$WORK/runs" ]; then
        for name in $FURTHER_TEST_SETS; do ! compgen -G "$WORK/runs/*/*/$name" > /dev/null || further+=("$name"); done
        if [ ${#further[@]} -gt 0 ]; then further=(--not-averaged "$(IFS=,; echo "${further[*]}")"); fi
        for form in csv markdown json; do
            evaluate compare "$WORK/runs" --by language ${further[@]+"${further[@]}"} --format "$form" --output "$WORK/table.${form/markdown/md}"
        done
        files+=(--table "$WORK/table.json")
    fi
    "$PYTHON" recipes/lib/transfer_table.py ${files[@]+"${files[@]}"} --retrieval "$WORK/retrieval" --without-scores "$absent" \
        --output "$WORK/summary.md"
    cat "$WORK/summary.md"
}

run_transfer_stages() {
    local task name
    require_gpu 3 4
    check_transfer
    mkdir -p "$WORK"
    if stage 0; then fetch_sets; fi
    leave_out_absent
    if stage 1; then for task in $TASKS; do [ "$task" = retrieval ] || label_task "$task"; done; fi
    if stage 2; then for name in $(encoder_names); do prepare_encoder "$name"; done; fi
    if stage 3; then
        title "stage 3: fine-tuning, $JOBS at a time, precision: ${PRECISION/none/float32}"
        each_run in_background transfer_run
        wait_for_jobs
    fi
    if stage 4; then case " $TASKS " in *" retrieval "*) for name in $(encoder_names); do retrieve_with "$name"; done ;; esac; fi
    if stage 5; then
        transfer_tables
        title "done: $WORK/summary.md, $WORK/table.{csv,md,json}"
    fi
    name=$(each_run run_is_absent | paste -sd' ')
    [ -z "$name" ] || { title "these runs failed; the same command tries them again: $name"; exit 1; }
}
run_is_absent() { local run; run=$(run_folder "$@"); [ -f "$run/done" ] || [ "$STOP_STAGE" -lt 3 ] || echo "${run#"$WORK"/runs/}"; }

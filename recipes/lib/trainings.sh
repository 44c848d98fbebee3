# How models are fine-tuned on labelled sets: zero-shot and the other ways in which the papers compare encoders. Sourced by
# recipes/xtreme/run.sh, beside transfer.sh.

# trainings_of TASK: those of TRAININGS that its sets have data for. In-language models belong to the zero-shot run, as its SUP.
trainings_of() {
    local one
    for one in $TRAININGS; do
        case "$one/$1" in
            zero-shot/* | feature-based/*) echo "$one" ;;
            translate-train*/xnli | translate-train*/squad) [ -z "$TRANSLATIONS" ] || echo "$one" ;;
            joint/xnli | joint/squad) ;; # the same as translate-train-plain
            few-shot/* | joint/*) ! has_many_languages "$1" || echo "$one" ;;
        esac
    done
}
has_many_languages() { # TASK: whether it has training examples in other languages than its source
    case "$1" in
        topics | intents | sentiment | massive | masakhaner | panx | home-assistant) true ;;
        xnli | squad) [ -n "$TRANSLATIONS" ] ;;
        *) false ;;
    esac
}
is_in_language() { case " $TRAININGS " in *" in-language "*) has_many_languages "$1" ;; *) false ;; esac; } # TASK
run_folder() { if [ "$4" = zero-shot ]; then echo "$WORK/runs/$1/$2.seed$3"; else echo "$WORK/runs/$1/$2.$4.seed$3"; fi; }

# check_trainings: refuse names that are none, in-language models without the run that they belong to, and what nothing can be trained on.
check_trainings() {
    local one
    for one in $TRAININGS; do
        case "$one" in
            zero-shot | in-language | few-shot | joint | feature-based | translate-train | translate-train-plain) ;;
            *) echo "run.sh: no training '$one'; there are: zero-shot in-language few-shot joint feature-based translate-train translate-train-plain" >&2; exit 2 ;;
        esac
    done
    case " $TRAININGS " in *" zero-shot "*) ;; *" in-language "*)
        echo "run.sh: in-language scores stand beside zero-shot ones: --set TRAININGS=\"zero-shot in-language\"" >&2; exit 2 ;;
    esac
    case " $TRAININGS " in *" translate-train"*)
        [ -n "$TRANSLATIONS" ] || { echo "run.sh: translate-train needs --set TRANSLATIONS=FOLDER with the translated training sets; see docs/pairs.md and docs/questions.md" >&2; exit 2; }
        case " $TASKS " in *" xnli "* | *" squad "*) ;; *) echo "run.sh: only the tasks xnli and squad have translated training sets: --conf full" >&2; exit 2 ;; esac ;;
    esac
}

# Stage 3: transfer_run ENCODER TASK SEED TRAINING
transfer_run() {
    local run metric kind source benchmark epochs batch rate warmup length targets about n
    run=$(run_folder "$@")
    [ ! -f "$run/done" ] || return 0
    task_settings "$2"
    mkdir -p "$run"
    targets=$(targets_of "$2" "$source")
    [ -n "$targets" ] || { echo "run.sh: no test set of $2 is of TEST_LANGUAGES: $TEST_LANGUAGES" >&2; exit 2; }
    about=(--objective "$1" --source "$source" --target "$targets" --task "$metric" --seed "$3" --setting "benchmark=$benchmark")
    case "$4" in
        zero-shot) ;;
        translate-train-plain) about+=(--setting training=translate-train --setting code_switching=none) ;; # a row of the same table
        *) about+=(--setting "training=$4") ;;
    esac
    if (fine_tune "$run" "$@" && scored "$2" "$run" "$source,$targets" source && if [ "$4" = zero-shot ]; then in_language "$run" "$@" "$targets"; fi); then
        evaluate result "$run" "${about[@]}" 2> /dev/null
        [ -n "$KEEP_CHECKPOINTS" ] || rm -f "$run"/checkpoint*.pt "$run"/in-language.*/checkpoint*.pt
        touch "$run/done"
    else
        # Counted in the tables; the next run of this script tries again.
        evaluate result "$run" "${about[@]}" --failed "see $run/train.log" 2> /dev/null
        title "failed: $1, $2, $4, seed $3"
    fi
}

targets_of() { # TASK SOURCE: the languages that are tested, without the source
    local n
    for n in "$WORK/labelled/$1"/test.*.jsonl; do
        n=${n##*/test.} n=${n%.jsonl}
        if [ "$n" != "$2" ]; then case " ${TEST_LANGUAGES:-$n} " in *" $n "*) echo "$n" ;; esac; fi
    done | paste -sd,
}

# in_language RUN ENCODER TASK SEED TRAINING TARGETS: a model of each target that has training examples, for SUP
in_language() {
    local n source
    is_in_language "$3" || return 0
    for n in ${6//,/ }; do
        [ -f "$WORK/labelled/$3/train.$n.jsonl" ] || continue
        source=$n # in fine_tune and scored
        (fine_tune "$1/in-language.$n" "$2" "$3" "$4" zero-shot && scored "$3" "$1/in-language.$n" "$n" "target.$n") || return 1
        cp "$1/in-language.$n/target.$n.json" "$1/target.$n.json"
    done
}

# fine_tune RUN ENCODER TASK SEED TRAINING: from the examples of $source
fine_tune() {
    local run=$1 data=$WORK/labelled/$3 preset="" examples updates languages=$source best=accuracy options=() read=()
    [ ! -f "$run/trained" ] || return 0
    mkdir -p "$run"
    examples=$(wc -l < "$data/train.$source.jsonl")
    case "$5" in
        few-shot) options=(--few-shot-languages all) examples=$((examples + FEW_SHOT * ($(training_languages "$data" | wc -w) - 1))) ;;
        joint | translate-train*) languages=$(training_languages "$data" | paste -sd,) examples=$(cat "$data"/train.*.jsonl | wc -l) ;;
        feature-based) options=(--freeze-encoder) ;;
    esac
    if [ "$5" = translate-train ]; then options=(--code-switch "$source"); fi
    # shellcheck disable=SC2046,SC2207 # several words
    read=("$data" --user-dir fairseq_xalign --task "xling_$kind" $(sed -n 1p "$WORK/encoders/$2/arch") --criterion xling --train-languages "$languages"
        --finetune-from-model "$(checkpoint_of "$2")" --batch-size "$batch" --max-length "$length")
    if [ "$kind" = qa ] || [ "$5" = translate-train ]; then # a line is not one example
        examples=$("$PYTHON" recipes/lib/count_examples.py "${read[@]}" ${options[@]+"${options[@]}"} 2> "$run/examples.log" | tail -n 1) || # the last line: fairseq may log others
            { tail -n 1 "$run/examples.log" >&2; return 1; }
    fi
    updates=$(awk -v epochs="$epochs" -v batches="$(((examples + batch - 1) / batch))" 'BEGIN { n = epochs * batches; print int(n) + (n > int(n)) }')
    # As BERT and XLM-R classify: a layer with tanh between the first token and the scores.
    if [ "$kind" = classification ]; then options+=(--head-hidden "$(sed -n 2p "$WORK/encoders/$2/arch")"); fi
    if [ -n "$SELECT" ] && [ -f "$data/valid.$source.jsonl" ]; then
        if [ "$metric" = ner ]; then best=chunk_f1; fi
        options+=(--valid-languages "$source" --best-checkpoint-metric "$best" --maximize-best-checkpoint-metric)
    else
        options+=(--disable-validation)
    fi
    train "${run#"$WORK"/runs/}" "$run/train.log" "$updates" "${read[@]}" --lr "$rate" --warmup-updates "$warmup" \
        --weight-decay "$WEIGHT_DECAY" --clip-norm "$CLIP_NORM" --seed "$4" --save-dir "$run" "${options[@]}" && touch "$run/trained"
}
FEW_SHOT=1000 # examples per language, after 10 have been repeated (MMTE, Table 8)
training_languages() { local n; for n in "$1"/train.*.jsonl; do n=${n##*/train.}; echo "${n%.jsonl}"; done; }

scored() { # TASK RUN LANGUAGES NAME
    local checkpoint=$2/checkpoint_last.pt
    if [ -n "$SELECT" ] && [ -f "$2/checkpoint_best.pt" ]; then checkpoint=$2/checkpoint_best.pt; fi
    [ -f "$2/$4.jsonl" ] ||
        evaluate predict --checkpoint "$checkpoint" --data "$WORK/labelled/$1" --languages "$3" --output "$2/$4.jsonl" 2>> "$2/predict.log" ||
        { tail -n 1 "$2/predict.log" >&2; return 1; }
    evaluate score --task "$metric" --predictions "$2/$4.jsonl" --split test --json > "$2/$4.part" && mv "$2/$4.part" "$2/$4.json"
}

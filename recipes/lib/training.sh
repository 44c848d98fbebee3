# Pre-training and fine-tuning with fairseq-train.

uses_dictionary() { case "$1" in dict_mlm | align_mlm) return 0 ;; *) return 1 ;; esac; }

# train NAME LOG TOTAL fairseq-options...: progress on the terminal, everything in LOG. The caller may set $optimizer, or $preset
# and $examples, the number of training examples, on which the length of some presets depends.
train() {
    local name=$1 log=$2 total=$3 device=() precision=(--autocast "$PRECISION")
    local optimization=(--optimizer "${optimizer:-adamw}" --adam-betas "$ADAM_BETAS" --lr-scheduler polynomial_decay --total-num-update "$3")
    shift 3
    if [ "$DEVICE" = cpu ]; then device=(--cpu); fi
    if [ "$PRECISION" = fp16 ]; then precision=(--fp16); fi
    # shellcheck disable=SC2207 # these are several words
    if [ -n "${preset:-}" ]; then
        optimization=($("$PYTHON" -m fairseq_xalign --presets "$preset" --width "$PRESET_WIDTH" ${examples:+--examples "$examples"}))
    fi
    # A preset that counts epochs says how many updates these are.
    if [[ "${optimization[*]}" =~ --total-num-update\ ([0-9]+)\ .*--max-epoch ]] && [ "${BASH_REMATCH[1]}" -lt "$total" ]; then
        total=${BASH_REMATCH[1]}
    fi
    local fixed=(--user-dir fairseq_xalign ${device[@]+"${device[@]}"} --log-format json --log-interval 50 "${optimization[@]}" --max-update
        "$total" "${precision[@]}" --no-epoch-checkpoints --required-batch-size-multiple 1 --num-workers 0)
    if [ -n "$DRY_RUN" ]; then
        # shellcheck disable=SC2086 # ARCH_OPTIONS are several words
        printf '  %s%s\n' "${TRAINER:-fairseq-train}" "$(printf ' %q' "$@" $ARCH_OPTIONS "${fixed[@]}")"
        return
    fi
    mkdir -p "$(dirname "$log")"
    # shellcheck disable=SC2086 # TRAINER and ARCH_OPTIONS are several words
    if ! ${TRAINER:-"$PYTHON" -m fairseq_cli.train} "$@" $ARCH_OPTIONS "${fixed[@]}" 2>&1 |
        tee -a "$log" | "$PYTHON" recipes/lib/progress.py "$name" "$total"; then
        echo "run.sh: training failed; the whole log is $log" >&2
        exit 1
    fi
}

# pretrain OBJECTIVE DATA FOLDER SEED ALPHA
pretrain() {
    local objective=$1 data=$2 folder=$3 seed=$4 alpha=$5 options=() block=$BLOCK batch=$BATCH preset=$PRESET
    [ -f "$folder/done" ] && return
    case "$objective" in
        xlm)
            options=(--language-embeddings --tlm-packing halves)
            # Longer sequences, so that a pair of sentences fits into two halves; as many tokens per update.
            if [ -n "$XLM_BLOCK" ]; then batch=$((BATCH * BLOCK / XLM_BLOCK)) block=$XLM_BLOCK; fi
            ;;
        dict_mlm) options=(--language-embeddings --dict-mlm-target "$DICT_TARGET") ;;
        align_mlm) options=(--align-weight "$alpha") ;;
    esac
    if [ -n "$WHOLE_SENTENCES" ] && [[ $objective == xlm || $objective == dict_mlm ]]; then
        options+=(--sample-break-mode complete)
    fi
    title "pre-train ${folder#"$WORK"/runs/}"
    # shellcheck disable=SC2086 # PRETRAIN_OPTIONS are several words
    train "${folder#"$WORK"/runs/}" "$folder/train.log" "$UPDATES" "$data" --task align_mlm --arch "$ARCH" --criterion "$objective" \
        --tokens-per-sample "$block" --batch-size "$batch" --update-freq "$UPDATE_FREQUENCY" --lr "$LEARNING_RATE" \
        --warmup-updates "$WARMUP" --mask-prob "$MASK" --seed "$seed" --save-dir "$folder" \
        --save-interval-updates "$SAVE_INTERVAL" --keep-interval-updates 1 $PRETRAIN_OPTIONS ${options[@]+"${options[@]}"}
    touch "$folder/done"
}

# finetune CKPT LABELLED LANGUAGE FOLDER SEED KIND OPTIONS...
finetune() {
    [ -f "$4/done" ] && return
    local options=("${@:7}") preset=$TAG_PRESET examples
    examples=$(wc -l <"$2/train.$3.jsonl" 2>/dev/null) || examples=""
    train "${4#"$WORK"/runs/}" "$4/train.log" "$TAG_UPDATES" "$2" --task "xling_$6" --arch "$ARCH" --criterion xling \
        --finetune-from-model "$1/checkpoint_last.pt" --train-languages "$3" --batch-size "$TAG_BATCH" \
        --lr "$TAG_LEARNING_RATE" --warmup-updates "$TAG_WARMUP" --seed "$5" --save-dir "$4" \
        --best-checkpoint-metric accuracy --maximize-best-checkpoint-metric ${options[@]+"${options[@]}"}
    touch "$4/done"
}

# Natural languages: English with another one, real bitext, a real bilingual dictionary, real labels.
# Sourced by run.sh; uses the functions and settings of recipes/lib.
#
# Text: Bible verses and user interfaces in both languages, which are the bitext, and the demo's English.
# Dictionary: induced from the bitext. Labels: intents of Home Assistant, and parts of speech (UD English EWT, tested on PUD) if the
# language has any.

source recipes/lib/treebanks.sh

natural_fetch() {
    preprocess fetch verses ui intents
    for n in $NATURAL; do
        preprocess fetch "ud-$(treebank_of "$n")-pud" || title "no PUD treebank for $n: parts of speech are left out"
    done
}

natural_data() {
    local n=$1 folder=$WORK/natural.$1 split words
    [ -f "$folder/ready" ] && return
    title "English and $n: vocabulary, dictionary, data folder"
    mkdir -p "$folder/intents" "$folder/treebank"
    for split in train valid; do
        cat "$XALIGN_CACHE/verses/$split.en.txt" "$XALIGN_CACHE/ui/$split.en-$n.en.txt" > "$folder/$split.pair.en.txt"
        cat "$XALIGN_CACHE/verses/$split.$n.txt" "$XALIGN_CACHE/ui/$split.en-$n.$n.txt" > "$folder/$split.pair.$n.txt"
    done
    cat "$WORK/text/train.en.txt" "$folder/train.pair.en.txt" > "$folder/train.en.txt"
    preprocess subword --input en="$folder/train.en.txt" --input "$n=$folder/train.pair.$n.txt" --model-type bpe \
        --vocab-size "$NATURAL_VOCABULARY" --character-coverage 0.9995 --output "$folder/subword"
    preprocess dictionary --bitext "$folder/train.pair.en.txt,$folder/train.pair.$n.txt" --source en --target "$n" --pieces mean --subword "$folder/subword" --output "$folder/words.tsv"
    preprocess binarize --subword "$folder/subword" --split train --output "$folder/data" --mono en="$folder/train.en.txt" \
        --mono "$n=$folder/train.pair.$n.txt" --bitext "en-$n=$folder/train.pair.en.txt,$folder/train.pair.$n.txt" \
        --dictionary "en-$n=$folder/words.tsv"
    preprocess binarize --subword "$folder/subword" --split valid --output "$folder/data" --mono en="$WORK/text/valid.en.txt" \
        --mono "$n=$folder/valid.pair.$n.txt"
    for split in train valid test; do
        cp "$XALIGN_CACHE/intents/$split.en.tsv" "$XALIGN_CACHE/intents/$split.$n.tsv" "$folder/intents/"
        [ "$TASK" != pos ] || cp "$WORK/text/$split.en.conllu" "$folder/treebank/"
    done
    preprocess benchmark classification --from "$folder/intents" --output "$folder/labelled.intents"
    if [ "$TASK" = pos ] && [ -d "$XALIGN_CACHE/ud-$(treebank_of "$n")-pud" ]; then
        cp "$XALIGN_CACHE/ud-$(treebank_of "$n")-pud"/*test* "$folder/treebank/test.$n.conllu"
        preprocess benchmark pos --from "$folder/treebank" --output "$folder/labelled.pos"
    fi
    touch "$folder/ready"
}

# natural_run LANGUAGE OBJECTIVE SEED: pre-train, fine-tune on English (and, intents, on the language), score
natural_run() {
    local n=$1 objective=$2 seed=$3 home=$WORK/natural.$1 about=() folder task
    folder=$WORK/runs/en-$n/$objective.seed$seed
    pretrain "$objective" "$home/data" "$folder/pretrain" "$seed" "${ALPHAS%% *}"
    if uses_dictionary "$objective"; then about=(--dictionary induced); fi
    if [ "$objective" = xlm ]; then
        "$PYTHON" recipes/lib/parallel_share.py "$home/data" --tokens-per-sample "${XLM_BLOCK:-$BLOCK}" > "$folder/parallel.json"
        about=(--setting "parallel_seen=$(cat "$folder/parallel.json")")
    fi
    for task in intents pos; do
        [ -d "$home/labelled.$task" ] || continue
        local out=$folder/$task kind=tagging name=pos options=()
        [ -f "$out/result.json" ] && continue
        if [ "$task" = intents ]; then kind=classification name=classification options=(--pooling mean); fi
        mkdir -p "$out"
        finetune "$folder/pretrain" "$home/labelled.$task" en "$out/en" "$seed" "$kind" ${options[@]+"${options[@]}"}
        evaluate predict --checkpoint "$out/en/checkpoint_last.pt" --data "$home/labelled.$task" --languages "en,$n" --output "$out/source.jsonl"
        evaluate score --task "$name" --predictions "$out/source.jsonl" --json > "$out/source.json"
        if [ "$task" = intents ]; then
            finetune "$folder/pretrain" "$home/labelled.$task" "$n" "$out/$n" "$seed" "$kind" "${options[@]}"
            evaluate predict --checkpoint "$out/$n/checkpoint_last.pt" --data "$home/labelled.$task" --languages "$n" --output "$out/target.jsonl"
            evaluate score --task "$name" --predictions "$out/target.jsonl" --json > "$out/target.json"
        fi
        evaluate retrieve --checkpoint "$folder/pretrain/checkpoint_last.pt" --source en="$XALIGN_CACHE/verses/valid.en.txt" \
            --target "$n=$XALIGN_CACHE/verses/valid.$n.txt" --json > "$out/retrieval.json"
        evaluate align --checkpoint "$folder/pretrain/checkpoint_last.pt" --dictionary "$home/words.tsv" --json > "$out/alignment.json"
        evaluate result "$out" --objective "$objective" --source en --target "$n" --transform natural \
            --task "$name" --seed "$seed" \
            --setting "benchmark=\"$([ "$task" = intents ] && echo intents || echo "ud-$(treebank_of "$n")-pud")\"" ${about[@]+"${about[@]}"}
    done
}

natural_runs() {
    local n o s
    for s in $SEEDS; do for n in $NATURAL; do for o in $OBJECTIVES; do in_background natural_run "$n" "$o" "$s"; done; done; done
    wait_for_jobs
}

more_fetching() { if [ -n "$NATURAL" ]; then natural_fetch; fi; }
more_data() { for n in $NATURAL; do natural_data "$n"; done; }
more_runs() { natural_runs; }

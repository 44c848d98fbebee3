#!/usr/bin/env bash
# Every stage of every configuration and ablation of every recipe, on 200 made-up lines with two updates.
#
#   recipes/test.sh [--work DIR] [--jobs N] [RECIPE/CONFIGURATION[.ABLATION]...]
#
# Without names: all; N at once, by default one per core. A run's log is shown if it fails, and then the script fails.
# PYTHON names the interpreter.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORK="" WANTED=() JOBS=$(getconf _NPROCESSORS_ONLN)
while [ $# -gt 0 ]; do
    case "$1" in
        --work) WORK=$2; shift 2 ;;
        --jobs) JOBS=$2; shift 2 ;;
        -h | --help) sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit ;;
        -*) echo "test.sh: unknown option $1" >&2; exit 2 ;;
        *) WANTED+=("$1"); shift ;;
    esac
done
case "$JOBS" in *[!0-9]* | "" | 0) echo "test.sh: --jobs '$JOBS' is not a number of runs; give 1 or more" >&2; exit 2 ;; esac
OWN=$(mktemp -d)
source recipes/lib/jobs.sh
end() {
    end_jobs
    wait 2> /dev/null # without the line that bash prints of each
    rm -rf "$OWN"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
WORK=${WORK:-$OWN/work}

# Importing fairseq would take most of the time: commands run in forks of one process, which ends with this script. It
# puts fairseq's settings together as tests do, quickly. One thread per command: there is a configuration for each core.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
coproc WARM {
    PYTHONPATH=$PWD exec "${PYTHON:-python3}" recipes/lib/warm_python.py serve "$OWN/socket" tests.support.quick_hydra
}
said=""
until [ "$said" = ready ]; do
    read -r said <&"${WARM[0]}" || { echo "test.sh: ${PYTHON:-python3} cannot import fairseq_xalign (see above)" >&2; exit 1; }
done
printf '#!/bin/sh\nexec "%s" -I -S "%s/recipes/lib/warm_python.py" run "%s/socket" "$@"\n' \
    "${PYTHON:-python3}" "$PWD" "$OWN" > "$OWN/python"
chmod +x "$OWN/python"
export PYTHON=$OWN/python

# Ablations are tried with one configuration: they change what is varied, not how it is trained.
all_names() {
    local recipe conf ablation
    for recipe in recipes/*/run.sh; do
        recipe=$(basename "$(dirname "$recipe")")
        for conf in recipes/"$recipe"/conf/*.sh; do echo "$recipe/$(basename "$conf" .sh)"; done
        for ablation in recipes/"$recipe"/ablations/*.sh; do
            [ ! -f "$ablation" ] || echo "$recipe/demo.$(basename "$ablation" .sh)"
        done
    done
}
if [ ${#WANTED[@]} = 0 ]; then mapfile -t WANTED < <(all_names); fi

# try NAME: says how it went; a run that failed leaves a file in $OWN/failed.
try() {
    local name=$1 recipe=${1%%/*} conf=${1#*/} ablation=() began=$SECONDS
    if [ "$conf" != "${conf#*.}" ]; then ablation=(--ablation "${conf#*.}"); fi
    if [ "${ablation[*]-}" = "--ablation syntax" ] && ! "$PYTHON" -c "import spacy" 2> /dev/null; then
        echo "left out $name (it needs spaCy: the extra syntax)"
        return
    fi
    mkdir -p "$WORK/$recipe"
    if bash "recipes/$recipe/run.sh" --conf "${conf%%.*}" ${ablation[@]+"${ablation[@]}"} --smallest \
        --work "$WORK/$recipe/$conf" > "$WORK/$recipe/$conf.log" 2>&1 && [ -s "$WORK/$recipe/$conf/table.md" ]; then
        echo "passed  $name ($((SECONDS - began)) s)"
    else
        touch "$OWN/failed/$recipe.$conf"
        { tail -n 30 "$WORK/$recipe/$conf.log"; echo "FAILED  $name"; } >&2
    fi
}

mkdir "$OWN/failed"
JOBS=$((JOBS + 1)) # the warm interpreter is one of them
for name in "${WANTED[@]}"; do in_background try "$name"; done
wait_for_jobs
failures=$(find "$OWN/failed" -type f | wc -l)
echo "${#WANTED[@]} configurations, $((failures)) failed"
[ "$((failures))" = 0 ]

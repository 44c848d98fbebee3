# Several runs at once: at most $JOBS in the background; one that fails ends the recipe and all others.

# Each background job is a process group of its own (set -m), so that its programs end with it.
set -m
JOB_IDS=()

# in_background COMMAND...: start it as soon as fewer than $JOBS run; wait_for_jobs waits for all.
in_background() {
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n || failed; done
    "$@" &
    JOB_IDS+=($!)
}
wait_for_jobs() {
    local id
    for id in ${JOB_IDS[@]+"${JOB_IDS[@]}"}; do wait "$id" || failed; done
    JOB_IDS=()
}
end_jobs() { for id in $(jobs -rp); do kill -TERM -- "-$id" 2> /dev/null || true; done; }
failed() {
    end_jobs
    title "stopped: a run failed (see above). The same command resumes"
    exit 1
}
trap 'end_jobs; title "interrupted; the same command resumes"; exit 130' INT TERM

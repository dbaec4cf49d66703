# ce_put FILE LINE...: writes a file in one step. A reader sees all of it or nothing.
ce_put() {
    local file=$1
    shift
    printf '%s\n' "$@" >"$file.new.$$" && mv "$file.new.$$" "$file"
}

ce_now() { date +%s%3N; }

# ce_sleep_until MS: without a program of its own, which would outlive whoever ends this one.
ce_sleep_until() {
    local left never
    exec {never}<> <(:)
    while left=$(($1 - $(ce_now))) && [ "$left" -gt 0 ]; do
        [ "$left" -le 60000 ] || left=60000
        read -r -t "$((left / 1000)).$(printf %03d $((left % 1000)))" -u "$never"
    done
    exec {never}>&-
}

# Tells the daemon that something changed: a folder changes when a file moves into it.
ce_wake() { ce_put "$ce_wakes/$ce_job" "$1" 2>/dev/null; }

# ce_await PID: its exit code, in $ce_code. A trap that runs meanwhile sets $ce_trapped and is no end.
ce_await() {
    while :; do
        ce_trapped=
        wait "$1" 2>/dev/null
        ce_code=$?
        [ "$ce_trapped" ] || return 0
    done
}

# Milliseconds since 1970 of the TERM and the KILL that end the job's lifetime; a day in the year 2286 where it has none.
ce_deadlines() {
    ce_term_at=9999999999999 ce_kill_at=9999999999999
    [ ! -e "$ce_dir/deadline" ] || read -r ce_term_at ce_kill_at <"$ce_dir/deadline"
}

ce_done() {
    ce_put "$ce_dir/done" "code=$1" "reason=$2" "ended=$(ce_now)"
    ce_wake done
    exit "$1"
}

# --- the batch step: one for the job, on the first node ---

# Slurm starting its own job once more tells that the first run was ended by a requeue.
ce_leave() {
    local first=$SLURM_JOB_ID
    [ ! -e "$ce_dir/launch/id" ] || read -r first <"$ce_dir/launch/id"
    if [ "$first" = "$SLURM_JOB_ID" ] && [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
        ce_put "$ce_dir/launch/again" "$SLURM_RESTART_COUNT"
        ce_wake again
    fi
    exit 0
}

ce_batch() {
    # Once: whoever makes this folder is the job's only run. A second copy of it, or one that Slurm requeued, leaves.
    mkdir "$ce_dir/launch" || ce_leave
    ce_put "$ce_dir/launch/id" "$SLURM_JOB_ID"
    ce_wake launched
    ce_deadlines
    [ ! -e "$ce_dir/cancel" ] || ce_done 143 cancelled
    [ "$(ce_now)" -lt "$ce_term_at" ] || ce_done 1 expired
    # Jobs with neighbouring numbers run at the same time: each gets eight ports below those that systems hand out themselves.
    export CE_MASTER=$SLURMD_NODENAME CE_PORT=$((20000 + SLURM_JOB_ID % 1500 * 8))
    # A scancel of the whole job, preemption or the time limit send TERM here too. The ranks end by themselves; their records and
    # this one are still to be written.
    local reason=ended
    trap 'ce_trapped=1; reason=signalled' TERM
    "${ce_srun[@]}" bash "$ce_dir/script" rank 3>&- &
    local ranks=$! timer
    # TERM makes srun kill the tasks at once: the last resort, after each rank's own timer.
    (ce_sleep_until $((ce_kill_at + 2000)) && kill -TERM "$ranks") >/dev/null 2>&1 &
    timer=$!
    ce_await "$ranks"
    kill "$timer" 2>/dev/null
    ce_done "$ce_code" "$reason"
}

# --- a rank: one program on each task's node, started by srun ---

ce_rank() {
    ce_number=$SLURM_PROCID
    ce_box=$ce_dir/ranks/$ce_number
    mkdir -p "$ce_box/io" "$ce_box/scratch"
    ce_program=
    trap 'ce_trapped=1; ce_cancelled=1; [ -z "$ce_program" ] || ce_terminate' TERM
    [ ! -e "$ce_dir/input" ] || cp "$ce_dir/input" "$ce_box/io/input"
    [ ! -e "$ce_dir/cancel" ] || ce_cancelled=1
    ce_began=$(ce_now)
    if [ "$ce_cancelled" ]; then ce_code=143; else ce_run; fi
    ce_record
    exit "$ce_code"
}

# The output goes through a pipe: a program that opens /dev/stdout anew would otherwise cut its own log.
ce_run() {
    local sink timer
    ce_variables
    ce_place
    exec 3> >(trap '' TERM; exec cat >>"$ce_box/log")
    sink=$!
    "${ce_exec[@]}" </dev/null >&3 2>&1 3>&- &
    ce_program=$!
    [ -z "$ce_cancelled" ] || ce_terminate
    ce_timer 3>&- >/dev/null 2>&1 &
    timer=$!
    exec 3>&-
    ce_await "$ce_program"
    kill "$timer" 2>/dev/null
    wait "$sink"
}

# Apptainer's own arguments that only the rank knows.
ce_place() {
    local workdir=/
    [ ! -r "$ce_image.workdir" ] || workdir=$(cat "$ce_image.workdir")
    ce_exec=("${ce_apptainer[@]}" --pwd "${workdir:-/}" --workdir "$ce_box/scratch" --bind "$ce_box/io:$ce_io" "$ce_image" "${ce_command[@]}")
}

# Before the wrapper has set its trap, a TERM would be lost: Apptainer does not pass it on yet, and process 1 ignores it.
ce_terminate() {
    if [ -e "$ce_box/io/.started" ]; then kill -TERM "$ce_program"; else kill -KILL "$ce_program"; fi 2>/dev/null
}

# Ends the program at its walltime or the job's lifetime, whichever comes first, and says which.
ce_timer() {
    local cause=lifetime now
    ce_deadlines
    while [ "$ce_walltime" ] && now=$(ce_now) && [ "$now" -lt "$ce_term_at" ]; do
        if [ -e "$ce_box/io/.started" ] && [ $((now + ce_walltime)) -lt "$ce_term_at" ]; then
            cause=walltime ce_term_at=$((now + ce_walltime)) ce_kill_at=$((now + ce_walltime + ce_grace))
        fi
        [ ! -e "$ce_box/io/.started" ] || break
        ce_sleep_until $((now + 50))
    done
    ce_sleep_unless_over
    [ ! -e "$ce_dir/over" ] || cause=over ce_kill_at=0
    ce_put "$ce_box/cause" "$cause"
    [ "$cause" = over ] || ce_terminate
    ce_sleep_until "$ce_kill_at"
    kill -KILL "$ce_program"
}

# The program of a node that Slurm has lost runs on, while the job counts as ended and may be launched anew.
ce_sleep_unless_over() {
    local now
    while now=$(ce_now) && [ "$now" -lt "$ce_term_at" ] && [ ! -e "$ce_dir/over" ]; do
        ce_sleep_until $((ce_term_at < now + 5000 ? ce_term_at : now + 5000))
    done
}

ce_record() {
    local cause
    cause=$(ce_cause)
    [ "$cause" != cancelled ] || ce_code=143
    ce_put "$ce_dir/exits/$ce_number" "code=$ce_code" "began=$ce_began" "ended=$(ce_now)" "node=$SLURMD_NODENAME" "cause=$cause" "term=$ce_cancelled"
    ce_wake "rank $ce_number"
}

# Why the program ended, where its exit code does not tell. Without the wrapper's sign of life the code is Apptainer's own.
ce_cause() {
    if [ -e "$ce_box/cause" ]; then
        cat "$ce_box/cause"
    elif [ ! -e "$ce_box/io/.started" ]; then
        if [ "$ce_cancelled" ]; then echo cancelled; else echo unstarted; fi
    fi
}

if [ "$1" = rank ]; then ce_rank; else ce_batch; fi

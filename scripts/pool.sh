# pool.sh: parts of a long check side by side. Read by a bash script that has a folder $work of its own.
# What a part prints comes out whole, and in the order in which the parts were added; what goes on is told on standard
# error. Each part runs on its own share of the cores, in a folder $work of its own; $POOL_SLOT counts those beside one
# another from 0. Nothing outlives the script.
# shellcheck shell=bash disable=SC2030,SC2031

pool_names=() pool_lanes=() pool_commands=() pool_states=() pool_slots=() pool_begun=() pool_pids=()

# The lane says what may run meanwhile: any; LANE: no other of this lane; alone: nothing at all.
pool_add() { # LANE NAME COMMAND..., without spaces in its words
    pool_lanes+=("$1") pool_names+=("$2") pool_states+=(waiting)
    shift 2
    pool_commands+=("$*")
}

pool_say() { echo "${0##*/}: $*" >&2; }

pool_cores() { # those that this process may use, a line each
    awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status | tr ',' '\n' |
        awk -F- '{ for (core = $1; core <= ($2 == "" ? $1 : $2); core++) print core }'
}

# Those of the slot, between commas: without a share of its own every program would bind its threads to the same cores.
pool_share() { # SLOT
    local cores first last
    mapfile -t cores < <(pool_cores)
    first=$(($1 * ${#cores[@]} / pool_size)) last=$((($1 + 1) * ${#cores[@]} / pool_size))
    ((last > first)) || last=$((first + 1))
    (IFS=,; echo "${cores[*]:first:last-first}")
}

pool_start() { # PART SLOT
    local part=$1
    pool_states[part]=running pool_slots[part]=$2 pool_begun[part]=$SECONDS
    mkdir "$work/$part"
    (
        [[ ${pool_lanes[part]} == alone ]] || taskset -cp "$(pool_share "$2")" "$BASHPID" >/dev/null 2>&1
        out=$work/$part.out
        work=$work/$part
        export POOL_SLOT=$2
        export TMPDIR=$work # launchers that start at the same time clash in a common one
        ${pool_commands[part]} >"$out" 2>"$out.errors"
    ) &
    pool_pids[part]=$!
}

# Leaves the next part that may start now in part.
pool_pick() {
    local other busy=" "
    for other in "${!pool_names[@]}"; do
        [[ ${pool_states[other]} == running ]] && busy+="${pool_lanes[other]} "
    done
    [[ $busy == *" alone "* ]] && return 1
    for part in "${pool_order[@]}"; do
        [[ ${pool_states[part]} == waiting ]] || continue
        case ${pool_lanes[part]} in
        any) return ;;
        alone) [[ $busy == " " ]] && return ;;
        *) [[ $busy == *" ${pool_lanes[part]} "* ]] || return 0 ;;
        esac
    done
    return 1
}

# Lanes first, since they take longest; what wants to be alone last.
pool_sort() {
    local part
    pool_order=()
    for part in "${!pool_names[@]}"; do [[ ${pool_lanes[part]} == @(any|alone) ]] || pool_order+=("$part"); done
    for part in "${!pool_names[@]}"; do [[ ${pool_lanes[part]} == any ]] && pool_order+=("$part"); done
    for part in "${!pool_names[@]}"; do [[ ${pool_lanes[part]} == alone ]] && pool_order+=("$part"); done
}

pool_collect() { # what has ended; prints what comes next in order
    local part
    for part in "${!pool_names[@]}"; do
        [[ ${pool_states[part]} == running ]] || continue
        kill -0 "${pool_pids[part]}" 2>/dev/null && continue
        pool_states[part]=ended
        pool_free+=("${pool_slots[part]}") pool_left=$((pool_left - 1))
        pool_say "${pool_names[part]}: $((SECONDS - pool_begun[part])) s; $pool_left to go"
    done
    while ((pool_shown < ${#pool_names[@]})) && [[ ${pool_states[pool_shown]} == ended ]]; do
        cat "$work/$pool_shown.out"
        cat "$work/$pool_shown.out.errors" >&2
        pool_shown=$((pool_shown + 1))
    done
}

pool_run() { # SIZE
    local part slot
    pool_size=$1 pool_left=${#pool_names[@]} pool_shown=0 pool_free=()
    for ((slot = 0; slot < pool_size; slot++)); do pool_free+=("$slot"); done
    pool_sort
    while ((pool_left > 0)); do
        while ((${#pool_free[@]} > 0)) && pool_pick; do
            slot=${pool_free[0]}
            pool_free=("${pool_free[@]:1}")
            pool_start "$part" "$slot"
        done
        wait -n
        pool_collect
    done
}

pool_family() { # PROCESS: and its descendants
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do pool_family "$child"; done
}
# What runs of our parts: by descent, and what has lost its parent but still has a part's TMPDIR.
pool_alive() {
    local part
    {
        for part in "${!pool_names[@]}"; do
            [[ ${pool_states[part]} == running ]] && pool_family "${pool_pids[part]}"
        done
        grep -lzE "^TMPDIR=$work/[0-9]+" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
    } | sort -u | while read -r id; do
        grep -qs '^State:[[:space:]]*[^Z]' "/proc/$id/status" && echo "$id"
    done
}
# Ends everything that this script has started, and the script. A signal from the terminal, or to the whole group, does
# not reach it by itself: timeout has put programs into groups of their own.
pool_stop() { # EXIT STATUS
    local alive try
    trap '' INT TERM HUP
    pool_say "stopped"
    for try in {1..40}; do
        alive=$(pool_alive)
        [[ -n $alive ]] || break
        # shellcheck disable=SC2086
        kill -s "$( ((try < 30)) && echo TERM || echo KILL)" $alive 2>/dev/null
        sleep 0.1
    done
    exit "$1"
}
trap 'pool_stop 130' INT
trap 'pool_stop 143' TERM
trap 'pool_stop 129' HUP

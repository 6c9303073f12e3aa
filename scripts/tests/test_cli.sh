#!/bin/sh
# Every program refuses bad words by one line that names the word and the valid ones, and says what --help, --schema,
# --list, --describe and --version promise.
set -u
. scripts/tests/expect.sh

axes_of() { # name and kind of every axis, by --help: an axis with words says so
    "$BUILD/bin/$1" --help | awk '/^Axes/ { inside = 1 } /^Variants/ { inside = 0 }
        inside && /^  --/ { if (name) print name, kind; name = substr($1, 3); kind = "integer" }
        inside && /^      words:/ { kind = "word" } END { if (name) print name, kind }'
}

# What every program must be asked, because its own axes and variants take part.
own_options() {
    refuse "$1: unknown option" 2 "--frobnicate --preset --resume" "$program" --frobnicate
    refuse "$1: stray word" 2 "frobnicate" "$program" frobnicate
    refuse "$1: preset" 2 "huge smoke quick full" "$program" --preset huge
    refuse "$1: variant" 2 "nosuch --variant" "$program" --variant nosuch
    refuse "$1: backend" 2 "nosuch --backend" "$program" --backend nosuch
}

# One table parses these for all programs: one program is enough.
common_options() {
    refuse "$1: option without its value" 2 "--preset" "$program" --preset
    refuse "$1: empty preset" 2 "--preset smoke quick full" "$program" --preset ""
    refuse "$1: place" 2 "nowhere host device" "$program" --place nowhere
    refuse "$1: cache" 2 "tepid cold hot" "$program" --cache tepid
    refuse "$1: data" 2 "ones random zeros" "$program" --data ones
    for word in -1 x 1.5 99999999999999999999 ""; do
        refuse "$1: seed '$word'" 2 "--seed '$word'" "$program" --seed "$word"
    done
    for word in 0 -3 x 4x 1e99; do refuse "$1: threads $word" 2 "--threads '$word'" "$program" --threads "$word"; done
    for word in 0 -1 nan inf x; do
        refuse "$1: time cap $word" 2 "--time-cap '$word'" "$program" --time-cap "$word"
    done
    refuse "$1: launch 0" 2 "--launch '0'" "$program" --launch 0
    refuse "$1: failed in flight without resume" 2 "--resume" "$program" --failed-in-flight
    refuse "$1: device 1000000" 2 "--device '1000000'" "$program" --device 1000000
}

bad_numbers() { # the first axis of numbers gets all of them: one function reads them all
    echo -1 abc 99999999999999999999
    [ -n "$spelled" ] || echo 1.5 4kk 16777216t nan 0x10 8, 1:8:0 1:8:1 8:1:2 1:8:2:2
}
axis_options() {
    spelled=""
    axes_of "$1" >"$work/axes"
    while read -r axis kind; do
        refuse "$1: empty $axis" 2 "--$axis" "$program" "--$axis" ""
        if [ "$kind" = word ]; then
            valid=$("$program" --help | sed -n "/^  --$axis /,/words:/s/^ *words: all, \([^,]*\).*/\1/p")
            refuse "$1: word of $axis" 2 "--$axis 'nosuch' $valid" "$program" "--$axis" nosuch
            continue
        fi
        bad_numbers | tr ' ' '\n' >"$work/words"
        spelled=yes
        while read -r word; do
            refuse "$1: $axis '$word'" 2 "--$axis '$word'" "$program" "--$axis" "$word"
        done <"$work/words"
        if echo "$axis" | grep -qE '^(size|bytes|tokens|seq|hidden|head-dim|group|batch|heads|layers|steps)$'; then
            refuse "$1: $axis 0" 2 "--$axis '0'" "$program" "--$axis" 0
        fi
    done <"$work/axes"
}

promises() {
    wrong=""
    "$program" --help >"$work/help" 2>"$work/err" || wrong="--help: $(ending $?)"
    "$program" --schema >"$work/schema" 2>>"$work/err" || wrong="$wrong; --schema: $(ending $?)"
    "$program" --preset smoke --list >"$work/list" 2>>"$work/err" || wrong="$wrong; --list: $(ending $?)"
    "$program" --version >"$work/version" 2>>"$work/err" || wrong="$wrong; --version: $(ending $?)"
    [ ! -s "$work/err" ] || wrong="$wrong; words on standard error: $(head -n 4 "$work/err" | tr '\n' '|')"
    [ -s "$work/list" ] || wrong="$wrong; --list lists nothing"
    grep -q '^plumbline [0-9]' "$work/version" || wrong="$wrong; --version names no version"
    for option in preset variant backend place cache data seed threads device time-cap case-timeout out resume launch \
        inject-fault list describe schema version help; do
        grep -q -- "^  --$option" "$work/help" || wrong="$wrong; --help lacks --$option"
    done
    while read -r axis _; do
        grep -q "^| $(echo "$axis" | tr - _) |" "$work/schema" || wrong="$wrong; --schema lacks $axis"
    done <"$work/axes"
    cut -d' ' -f1 "$work/list" | sort -u >"$work/variants"
    while read -r variant; do
        grep -qE "^  $variant +[a-z]" "$work/help" || wrong="$wrong; --help lacks variant $variant"
    done <"$work/variants"
    "$program" --describe >"$work/described" 2>"$work/err" ||
        wrong="$wrong; --describe: $(ending $?): $(tail -n 3 "$work/err" | tr '\n' '|')"
    awk -F'\t' -v name="$1" 'NF == 4 && $2 == name && $3 ~ /^[01]$/ && $4 ~ /\?$/ { good = 1 } END { exit !good }' \
        "$work/described" || wrong="$wrong; --describe is not suite, name, ranks and a question"
    verdict "$1: help, schema, list, describe, version"
}

no_device() {
    if "$program" --place device --list >/dev/null 2>&1; then
        skip "$1: no device" "there is one"
        return
    fi
    refuse "$1: --place device without one" 3 "device" "$program" --place device
    refuse "$1: --device 0 without one" 3 "--device '0'" "$program" --device 0
}

for name in $(programs); do
    program=$BUILD/bin/$name
    own_options "$name"
    [ "$name" != "$(programs | head -n 1)" ] || common_options "$name"
    axis_options "$name"
    promises "$name"
    no_device "$name"
done
finish

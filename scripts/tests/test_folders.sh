#!/bin/sh
# What a program does with result folders that cannot be written, are full, damaged, or of another machine: one line,
# exit status 2, and nothing lost or half-written.
# shellcheck disable=SC2086 # $case and $many are lists of words
set -u
. scripts/tests/expect.sh

name=harness_cost
program=$BUILD/bin/$name
case="--preset smoke --place host --time-cap 0.001"
mounted=""
# shellcheck disable=SC2317 # called by the trap
clean() {
    for folder in $mounted; do umount "$folder" 2>/dev/null; done
    rm -rf "$work"
}
trap clean EXIT

# mount_tmpfs FOLDER OPTIONS: only root may
mount_tmpfs() {
    mkdir -p "$1" && [ "$(id -u)" = 0 ] && mount -t tmpfs -o "$2" tmpfs "$1" 2>/dev/null && mounted="$1 $mounted"
}

# Every row is whole, the journal tells of each exactly once, and resuming gives every case exactly once.
sound() { # FOLDER
    fields <"$1/$name.csv" >"$work/fields" || { wrong="$wrong; not RFC 4180"; return; }
    awk -F'\t' 'NR == 1 { n = NF } NF != n { exit 1 }' "$work/fields" || wrong="$wrong; a row is cut"
    [ -z "$(sed -n 's/^done [0-9]* [0-9]* [a-z]* //p' "$1/$name.journal" | sort | uniq -d)" ] ||
        wrong="$wrong; a case twice"
}
whole() { # FOLDER OPTION...
    whole_folder=$1
    shift
    sound "$whole_folder"
    "$program" $case "$@" --list | sort >"$work/list"
    sed -n 's/^done [0-9]* [0-9]* [a-z]* //p' "$whole_folder/$name.journal" | sort >"$work/done"
    cmp -s "$work/list" "$work/done" || wrong="$wrong; not every case once"
}

unwritable() {
    echo "kept" >"$work/file"
    refuse "out: a file" 2 "$work/file" "$program" $case --out "$work/file"
    refuse "out: below a file" 2 "$work/file/below" "$program" $case --out "$work/file/below"
    [ "$(cat "$work/file")" = kept ] || not_ok "out: a file" "the file was changed"
    refuse "out: /proc" 2 "/proc/plumbline" "$program" $case --out /proc/plumbline
    refuse "out: empty word" 2 "--out" "$program" $case --out ""
    refuse "resume: no folder" 2 "$work/absent" "$program" $case --resume "$work/absent"
    [ ! -e "$work/absent" ] || not_ok "resume: no folder" "it was made"
    if mount_tmpfs "$work/readonly" ro,size=64k; then
        refuse "out: read-only" 2 "$work/readonly" "$program" $case --out "$work/readonly"
    else skip "out: read-only" "may not mount"; fi
    if [ -w /dev/full ]; then
        "$program" $case >/dev/full 2>"$work/err"
        status=$? wrong=""
        [ "$status" = 2 ] || wrong="exit status $status, not 2"
        [ "$(wc -l <"$work/err")" = 1 ] || wrong="$wrong; not one line"
        grep -q "No space left" "$work/err" || wrong="$wrong; the reason is not told"
        verdict "standard output: full"
    else skip "standard output: full" "no /dev/full"; fi
}

# The disk fills up in the middle of a run; with room again it goes on.
full_disk() {
    mount_tmpfs "$work/small" size=1m || { skip "full disk" "may not mount"; return; }
    folder=$work/small/run
    many="--adds 1:2000:+1 --launch 1"
    "$program" $case --adds 1 --out "$folder" 2>/dev/null || { not_ok "full disk" "no run to begin with"; return; }
    free=$(df -k --output=avail "$work/small" | tail -n 1)
    head -c $(((free - 24) * 1024)) /dev/zero >"$work/small/ballast"
    "$program" $case $many --resume "$folder" >"$work/out" 2>"$work/err"
    status=$? wrong=""
    [ "$status" = 2 ] || wrong="exit status $status, not 2"
    [ "$(grep -c "No space left" "$work/err")" = 1 ] ||
        wrong="$wrong; the reason is not told once: $(tail -n 1 "$work/err")"
    rows=$(grep -c '^done ' "$folder/$name.journal")
    [ "$rows" -gt 2 ] || wrong="$wrong; no row before the disk was full"
    sound "$folder"
    rm "$work/small/ballast"
    "$program" $case --adds 1:$((rows + 5)):+1 --resume "$folder" 2>/dev/null || wrong="$wrong; it does not go on"
    sound "$folder"
    [ "$(grep -c '^done ' "$folder/$name.journal")" -ge "$rows" ] || wrong="$wrong; rows were lost"
    verdict "full disk"
}

# damaged NAME WORD COMMAND: COMMAND damages a copy of a sound run; resuming it is refused, and nothing is changed.
damaged() {
    rm -rf "$work/damaged"
    cp -r "$work/sound" "$work/damaged"
    (cd "$work/damaged" && eval "$3")
    cp -r "$work/damaged" "$work/before"
    refuse "$1" 2 "$2" "$program" $case --resume "$work/damaged"
    diff -r "$work/before" "$work/damaged" >/dev/null || not_ok "$1" "files were changed"
    rm -rf "$work/before"
}
damages() {
    "$program" $case --out "$work/sound" 2>/dev/null || not_ok "a sound run" "exit status $?"
    wrong=""
    whole "$work/sound"
    verdict "a sound run"
    damaged "csv: its header" "$name.csv" "sed -i '1s/suite/sweet/' $name.csv"
    damaged "csv: cut" "$name.csv" "truncate -s -20 $name.csv"
    damaged "csv: empty" "$name.csv" ": >$name.csv"
    damaged "csv: gone" "$name.csv" "rm $name.csv"
    damaged "samples: cut" "$name.samples.csv" "truncate -s -1 $name.samples.csv"
    damaged "journal: a strange line" "$name.journal" "echo nonsense >>$name.journal"
    damaged "journal: another version" "$name.journal" "sed -i '1s/.*/plumbline-journal 999/' $name.journal"
    damaged "journal: gone" "journal" "rm $name.journal"
    damaged "manifest: cut" "manifest.json" "truncate -s 100 manifest.json"
    damaged "manifest: empty" "manifest.json" ": >manifest.json"
    damaged "manifest: no JSON" "manifest.json" "echo plain words >manifest.json"
    damaged "manifest: a later schema" "manifest.json newer" "sed -i 's/\"schema\":.*/\"schema\": 999,/' manifest.json"
    damaged "manifest: no fingerprint" "manifest.json" "sed -i 's/\"hardware\"/\"hardwear\"/' manifest.json"
    damaged "resume: another machine" "Abacus; 1 core; no GPU" \
        "sed -i 's/\"hardware\":.*/\"hardware\": \"Abacus; 1 core; no GPU\",/' manifest.json"
    refuse "out: a run is there" 2 "--resume" "$program" $case --out "$work/sound"
}

unwritable
full_disk
damages
finish

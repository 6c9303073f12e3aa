#!/bin/sh
# Standard output is CSV alone (RFC 4180), with the columns of --schema, the same in every locale.
# shellcheck disable=SC2086 # options are lists of words
set -u
. scripts/tests/expect.sh

number='^-?([0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|nan|inf)$'
numbers="value samples time_us ci_low_us ci_high_us noise bytes_moved limit error tolerance clock_mhz"
fixed="variant dtype ranks mode metric unit better status bytes_moved flops tolerance"

numeric() { # CSV
    for name in $numbers; do
        column $name <"$1" | grep -v '^$' | grep -qvE "$number" && wrong="$wrong; $name is no number"
    done
}

well_formed() { # PROGRAM OPTIONS
    "$BUILD/bin/$1" $2 >"$work/plain" 2>"$work/log"
    wrong=""
    fields <"$work/plain" >"$work/fields" 2>"$work/err" || wrong="not RFC 4180: $(cat "$work/err")"
    [ "$(wc -l <"$work/fields")" -ge 2 ] || wrong="$wrong; no row"
    awk -F'\t' 'NR == 1 { n = NF } NF != n { exit 1 }' "$work/fields" || wrong="$wrong; rows differ in length"
    "$BUILD/bin/$1" --schema |
        awk -F' *[|] *' '/^\| metric \|/ && seen { exit } { print $2 } /^\| metric/ { seen = 1 }' |
        grep -vxE 'column|-+|' >"$work/schema"
    head -n 1 "$work/fields" | tr '\t' '\n' >"$work/columns"
    head -n "$(wc -l <"$work/columns")" "$work/schema" | cmp -s - "$work/columns" ||
        wrong="$wrong; the columns are not those of --schema"
    numeric "$work/plain"
    verdict "$1: standard output"
}

# What must not change from one measurement to the next. A variant that takes its own time may choose by it what it
# measures (gemm_peak a shape), and the tolerance follows.
unchanging() { # COLUMN <CSV
    if [ "$1" = tolerance ]; then column mode,tolerance | grep -v '^own'; else column "$1"; fi
}

# The same measurement under a locale that writes 1,5 for 1.5: but for what is measured, the same.
locale_free() { # PROGRAM OPTIONS
    (
        export LOCPATH="$work" LC_ALL=de_DE.UTF-8
        "$BUILD/bin/$1" $2 >"$work/german" 2>"$work/log"
    )
    wrong=""
    [ "$(head -n 1 "$work/plain")" = "$(head -n 1 "$work/german")" ] || wrong="the columns differ"
    for name in $fixed; do
        unchanging $name <"$work/plain" >"$work/a"
        unchanging $name <"$work/german" >"$work/b"
        cmp -s "$work/a" "$work/b" || wrong="$wrong; $name differs"
    done
    numeric "$work/german"
    LOCPATH=$work LC_ALL=de_DE.UTF-8 "$BUILD/bin/$1" --time-cap 0,5 --list >/dev/null 2>&1 &&
        wrong="$wrong; --time-cap 0,5 is taken for a number"
    verdict "$1: under de_DE.UTF-8"
}

locale_missing=""
if ! command -v localedef >/dev/null 2>&1 || ! localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" >/dev/null 2>&1; then
    locale_missing="cannot make the locale"
elif [ "$(LOCPATH=$work LC_ALL=de_DE.UTF-8 locale decimal_point 2>/dev/null)" != , ]; then
    locale_missing="it has no effect"
fi
[ -z "$locale_missing" ] || skip "under de_DE.UTF-8" "$locale_missing"
for program in $(programs); do
    # no launcher: with one rank a collective may decline its case, which makes a row as well
    options=$(RANKS=0 first_case "$program" host "")
    if [ -z "$options" ]; then
        skip "$program" "no host variant"
        continue
    fi
    options="$options --time-cap 0.001"
    well_formed "$program" "$options"
    [ -n "$locale_missing" ] || locale_free "$program" "$options"
done
finish

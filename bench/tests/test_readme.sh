#!/bin/sh
# README.md's table of columns is what --schema prints, and its example of a benchmark compiles.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$BUILD/bin/harness_cost" --schema >"$work/schema"
sed -n '/^<!-- columns:/,/^<!-- end of columns/p' README.md | sed '1d;$d' >"$work/readme"
diff "$work/schema" "$work/readme" || { echo "README.md's columns are not those of --schema"; exit 1; }
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$work/example.c"
[ -s "$work/example.c" ] && ${CC:-gcc} -std=gnu11 -Wall -Werror -I. -fsyntax-only "$work/example.c" ||
    { echo "README.md's example does not compile"; exit 1; }

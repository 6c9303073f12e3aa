#!/bin/sh
# README.md's table of columns is what --schema prints.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$BUILD/bin/harness_cost" --schema >"$work/schema"
sed -n '/^<!-- columns:/,/^<!-- end of columns/p' README.md | sed '1d;$d' >"$work/readme"
diff "$work/schema" "$work/readme" || { echo "README.md's columns are not those of --schema"; exit 1; }

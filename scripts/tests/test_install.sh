#!/bin/sh
# make install puts programs, run_all.sh and the published figures where they find one another, and uninstall takes
# everything away again; the installed run_all.sh runs and reports without the checkout.
set -u
. scripts/tests/expect.sh

make="make --no-print-directory BUILD=$BUILD DESTDIR=$work/image PREFIX=/usr"
$make install >"$work/log" 2>&1 || { not_ok "install" "$(tail -n 1 "$work/log")"; finish; }
bin=$work/image/usr/bin share=$work/image/usr/share/plumbline
wrong=""
while read -r name; do
    [ -x "$bin/plumbline-$name" ] || wrong="$wrong; $name is not there"
done <"$BUILD/programs"
[ -L "$bin/plumbline-run" ] && [ -x "$share/run_all.sh" ] || wrong="$wrong; run_all.sh is not there"
for file in */published.csv; do
    [ ! -e "$file" ] || cmp -s "$file" "$share/published/$(dirname "$file").csv" || wrong="$wrong; $file is not there"
done
verdict "install"

wrong=""
mkdir "$work/elsewhere"
(cd "$work/elsewhere" && unset BUILD && "$bin/plumbline-run" --preset smoke --only harness_cost --out run) \
    >"$work/out" 2>"$work/log" || wrong="exit status $?: $(tail -n 1 "$work/log")"
[ -s "$work/elsewhere/run/harness_cost.csv" ] || wrong="$wrong; no rows"
if [ -x "$BUILD/bin/report" ]; then
    [ "$(cat "$work/out")" = run/report/index.html ] && [ -s "$work/elsewhere/run/report/index.html" ] ||
        wrong="$wrong; no report"
fi
verdict "the installed run_all.sh"

$make uninstall >"$work/log" 2>&1
wrong=$(find "$work/image" ! -type d)
verdict "uninstall"
finish

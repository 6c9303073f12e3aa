#!/bin/sh
# The page in a real browser: its one script sorts and filters and no other runs; texts have contrast in light and dark,
# drawings have texts, tables have heads, nothing is wider than a phone; without scripts everything is there.
set -u
. reports/tests/complain.sh
browser=""
for name in chromium chromium-browser google-chrome; do
    if [ -z "$browser" ] && command -v "$name" >/dev/null; then browser=$name; fi
done
if [ -z "$browser" ]; then
    echo "skipped: no browser (chromium, google-chrome)"
    exit 77
fi
if ! command -v gnuplot >/dev/null; then
    echo "skipped: no gnuplot, so no drawings to look at"
    exit 77
fi

# dom FILE OPTIONS..: the document after its scripts have run
dom() {
    file=$1
    shift
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" "$@" --dump-dom \
        "file://$file" 2>/dev/null
}

"$BIN/report" --out "$tmp/page.html" reports/gallery/h200 2>"$tmp/err" || complain "report: $(cat "$tmp/err")"

# The policy's hash is the script's.
awk '/<script>/ { sub(/.*<script>/, ""); inside = 1 } /<\/script>/ { exit } inside { print }' \
    "$tmp/page.html" >"$tmp/script"
digest=$(sha256sum "$tmp/script" | cut -c 1-64 | sed 's/../\\x&/g')
hash=sha256-$(/usr/bin/printf "$digest" | base64)
grep -q "script-src '$hash'" "$tmp/page.html" || complain "page_script_hash should be $hash"

# Another script does not run.
sed 's|</main>|<script>document.title = "foreign"</script></main>|' "$tmp/page.html" >"$tmp/foreign.html"
dom "$tmp/foreign.html" >"$tmp/foreign.dom"
grep -q '<button' "$tmp/foreign.dom" || complain "the page's own script did not run"
if grep -q '<title>foreign' "$tmp/foreign.dom"; then complain "a foreign script ran"; fi

cat >"$tmp/probe.js" <<'PROBE'
var failed = [];
function check(good, what) { if (!good && failed.length < 20) failed.push(what); }
function each(selector, work) { Array.prototype.forEach.call(document.querySelectorAll(selector), work); }
function channel(c) { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); }
function luminance(rgb) { return 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]); }
function parse(color) { return (color.match(/[\d.]+/g) || []).map(Number); }
function contrast(a, b) {
  var x = luminance(a), y = luminance(b);
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}
function background(element) {
  for (var e = element; e; e = e.parentElement) {
    var rgb = parse(getComputedStyle(e).backgroundColor);
    if (rgb.length === 3 || (rgb.length === 4 && rgb[3] > 0.9)) return rgb;
  }
  return [255, 255, 255];
}
var texts = 0;
each("body *", function (element) {
  var own = Array.prototype.some.call(element.childNodes, function (node) {
    return node.nodeType === 3 && node.textContent.trim();
  });
  if (!own || ["SCRIPT", "STYLE", "title", "desc"].indexOf(element.tagName) >= 0) return;
  var drawn = element instanceof SVGElement, fill = getComputedStyle(element)[drawn ? "fill" : "color"];
  var asked = element.getAttribute("fill") || element.parentElement.getAttribute("fill") || "";
  if (drawn && asked !== "var(--ink)") return;
  texts++;
  check(contrast(parse(fill), background(element)) >= 4.5, "contrast of '" + element.textContent.slice(0, 30) + "'");
});
check(texts > 500, "too few texts: " + texts);
var drawings = 0;
each("svg", function (svg) {
  if (svg.getAttribute("aria-hidden") === "true") return;
  drawings++;
  var ids = (svg.getAttribute("aria-labelledby") || "").split(" ");
  check(svg.getAttribute("role") === "img" && ids.every(function (id) {
    var text = document.getElementById(id);
    return text && text.textContent.length > 3;
  }), "a drawing without a text");
});
check(drawings > 40, "too few drawings: " + drawings);
var seen = {};
each("[id]", function (element) { check(!seen[element.id], "id twice: " + element.id); seen[element.id] = 1; });
each("table", function (table) {
  check(table.caption && table.tHead, "a table without caption or head");
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) {
    check(cell.scope === "col", "a head's scope");
  });
});
each(".scroll", function (region) { check(region.tabIndex === 0, "a region that the keyboard cannot scroll"); });
var level = 0;
each("h1,h2,h3,h4", function (head) {
  var next = Number(head.tagName[1]);
  check(next <= level + 1, "a heading skips a level: " + head.textContent);
  level = next;
});
each("a[href]", function (link) {
  check(document.getElementById(link.getAttribute("href").slice(1)), "a link to nowhere: " + link.getAttribute("href"));
});
check(document.documentElement.scrollWidth <= window.innerWidth, "wider than the window: " +
      document.documentElement.scrollWidth + " of " + window.innerWidth);
var table = document.querySelector(".program table"), body = table.tBodies[0], number = -1;
Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell, i) {
  if (/^bandwidth/.test(cell.textContent)) number = i;
});
function column() {
  return Array.prototype.map.call(body.rows, function (row) {
    return parseFloat(row.cells[number].textContent.replace(/\u202f/g, ""));
  }).filter(function (value) { return value === value; });
}
var button = table.tHead.rows[0].cells[number].querySelector("button");
function sorted(down) {
  return column().every(function (v, i, all) { return !i || (down ? all[i - 1] >= v : all[i - 1] <= v); });
}
check(!sorted(true) && !sorted(false), "sorted before anybody asked");
button.click();
check(sorted(true) && button.parentNode.getAttribute("aria-sort") === "descending", "not sorted downwards");
button.click();
check(sorted(false) && button.parentNode.getAttribute("aria-sort") === "ascending", "not sorted upwards");
button.focus();
check(document.activeElement === button, "the keyboard does not reach the buttons");
var bytes = -1;
Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell, i) {
  if (cell.textContent === "bytes") bytes = i;
});
table.tHead.rows[0].cells[bytes].querySelector("button").click();
check(/[KM]iB/.test(body.rows[0].cells[bytes].textContent) && /* as words 1 GiB would precede 64 MiB */
      /GiB/.test(body.rows[body.rows.length - 1].cells[bytes].textContent), "MiB does not come before GiB");
var input = document.querySelector(".program .filter input"), all = body.rows.length;
function filter(words) {
  input.value = words;
  input.dispatchEvent(new Event("input"));
  return Array.prototype.filter.call(body.rows, function (row) { return row.getClientRects().length > 0; }).length;
}
var triads = filter("triad"), others = filter("-triad");
check(triads > 0 && triads < all && triads + others === all, "filter: " + triads + " and " + others + " of " + all);
check(filter("") === all, "filter: not all came back");
each("input", function (element) {
  var label = element.labels[0]; /* its size is not known where what is not in view has not been laid out */
  check(label && /leaves out/.test(label.textContent) && getComputedStyle(label).display === "block",
        "an input without a label");
});
var result = document.createElement("pre");
result.id = "probe";
result.textContent = failed.length ? "PROBE failed: " + failed.join("; ")
                                   : "PROBE passed: " + texts + " texts, " + drawings + " drawings";
document.body.appendChild(result);
PROBE
# The probe stands where the policy was taken out.
sed 's|<meta http-equiv="Content-Security-Policy"[^>]*>||; s|</body>|<script src="probe.js"></script></body>|' \
    "$tmp/page.html" >"$tmp/probed.html"
probe() {
    what=$1
    shift
    dom "$tmp/probed.html" "$@" >"$tmp/probed.dom"
    line=$(sed -n 's/.*id="probe">\(PROBE[^<]*\).*/\1/p' "$tmp/probed.dom")
    case $line in
    "PROBE passed"*) echo "$what: ${line#PROBE }" ;;
    *) complain "$what: ${line:-the probe did not end}" ;;
    esac
}
probe wide --window-size=1300,900
probe phone --window-size=390,900
probe dark --window-size=1000,900 --blink-settings=preferredColorScheme=0

# Without scripts: every case and figure is in the file itself, and no control that does nothing.
sed '/<script>/,/<\/script>/d' "$tmp/page.html" >"$tmp/plain.html"
dom "$tmp/plain.html" >"$tmp/plain.dom"
if grep -q '<button\|<input' "$tmp/plain.dom"; then complain "controls without a script"; fi
[ "$(grep -c '<tr>' "$tmp/plain.dom")" -gt 500 ] || complain "the tables are not there without scripts"
# On paper: pages, and of a long table its first lines.
"$BIN/report" --out "$tmp/paper.html" --pdf "$tmp/paper.pdf" reports/gallery/h200 2>"$tmp/err" ||
    complain "$(cat "$tmp/err")"
[ "$(head -c 5 "$tmp/paper.pdf")" = "%PDF-" ] || complain "--pdf wrote no PDF"
pages=$(grep -ac '/Type */Page$\|/Type */Page[^s]' "$tmp/paper.pdf")
if [ "$pages" -lt 10 ] || [ "$pages" -gt 100 ]; then complain "the PDF has $pages pages"; fi
[ "$failures" -eq 0 ]

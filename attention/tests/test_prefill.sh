#!/bin/sh
# test_prefill.sh: every host variant is right under every mask, at shapes that fit no tile; corrupted results are
# wrong; what cannot be is declined or refused with a reason.
set -u
. scripts/tests/rows.sh
open_program prefill
host="--place host --preset smoke --time-cap 0.002"

measure $host --mask all --seq 131 --past 700 --tokens 3 --hidden 192 --head-dim 48 --group 4 --block 32 \
    --window 90 --dtype fp32
expect "odd shapes are right" all_right
for mask in $("$program" --help | sed -n '/--mask LIST/,/smoke/s/^ *words: all, //p' | tr -d ,); do
    for variant in tiled openblas; do
        [ "$mask" = file ] || expect "$variant $mask has rows" has variant,mask,status "$variant,$mask,(ok|skipped)"
    done
done
expect "tiled has a row of chosen blocks" has variant,mask,status tiled,uniform_blocks,ok
expect "a mask file that nobody named is declined" has mask,status file,skipped
measure $host --mask full,causal,strided --seq 1 --past 0,1500 --tokens 3 --hidden 192 --head-dim 96 --dtype fp32,bf16
expect "one token is right" all_right
measure $host --variant tiled --mask causal --seq 200 --tokens 400 --dtype fp32,bf16 --option all --inputs all --group 2
expect "options and outliers are right" all_right
for option in none soft_cap alibi sink gate clipped together; do
    expect "tiled $option has rows" has variant,option,dtype,status "tiled,$option,bf16,ok"
done
measure $host --variant tiled,tiled_amx --mask full,causal_sliding,strided --seq 200 --past 100 --tokens 400 --dtype bf16
expect "the matrix unit is right" all_right
expect "tiled_amx is measured or says why not" has variant,dtype,status,reason "tiled_amx,bf16,(ok,|skipped,.*AMX.*|skipped,.*AVX512.*)"
measure $host --variant tiled_amx --dtype fp32,bf16 --head-dim 48 --hidden 96
expect "what the matrix unit cannot do is skipped" all_skipped_for "the matrix unit"
measure $host --variant tiled --mask uniform_blocks --seq 512 --kept 0,20,100 --block 16,64 --dtype fp32
expect "every share of blocks is right" all_right
measure $host --mask causal --threads 1 --seq 100 --tokens 300 --data zeros
expect "zeros are right" all_right
measure $host --mask full --seed 12345 --seq 300
expect "another seed is right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
for variant in tiled openblas; do
    expect "corrupted $variant is wrong" has variant,status "$variant,(wrong|skipped)"
done
measure $host --seq 130 --mask causal --inject-fault
expect "corrupted small results are wrong" all_wrong

measure $host --seq 64 --hidden 100 --head-dim 64
expect "a hidden size of no whole heads is declined" all_skipped_for "does not divide"
measure $host --seq 64 --hidden 128 --head-dim 64 --group 3
expect "a group of no whole heads is declined" all_skipped_for "does not divide"
measure $host --mask full --seq 64 --dtype fp16
expect "fp16 on the host is declined" all_skipped_for "fp32"
measure $host --variant openblas --mask full --seq 64 --dtype fp32 --option soft_cap
expect "options of openblas are declined" all_skipped_for "knows none"
measure $host --variant tiled --mask full --seq 16m --tokens 1g --hidden 1m
expect "more than the memory is skipped" all_skipped_for "GiB available"
measure $host --variant tiled --mask full --seq 1 --past 16m --tokens 1g --hidden 1m
expect "more than can be counted is skipped" all_skipped_for "any memory"
for bad in "--mask diagonal" "--dtype int8" "--seq 0" "--past -1" "--head-dim 1025" "--group 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

ranges() { # TEXT, lines between |
    printf '%s' "$1" | tr '|' '\n' >"$work/ranges"
    measure $host --mask file --mask-file "$work/ranges" --seq 40 --tokens 40 --group 1 --dtype fp32
}
head="queries 40 keys 40"
ranges "# a document|$head|0 16 0 16 causal|16 40 0 4|16 40 20 40 inverse_causal # in two pieces|"
expect "a mask file is right" all_right
expect "a mask file has rows" has variant,mask,status tiled,file,ok
ranges "queries 41 keys 40|0 16 0 16|"
expect "a mask file of another length is declined" all_skipped_for "41 queries and 40 keys"
refused_file() { # NAME TEXT WORDS
    ranges "$2"
    expect "$1 is refused" refused "$3"
}
refused_file "a range out of bounds" "$head|0 16 0 16|16 41 0 4|" "ranges:3: 41 is out of bounds"
refused_file "a range that overlaps" "$head|0 16 0 16|8 9 15 20|" "ranges:3: overlaps the range of line 2"
refused_file "an unsorted range" "$head||8 9 0 4|0 8 0 4|" "ranges:4: unsorted"
refused_file "an empty range" "$head|8 8 0 4|" "ranges:2: an empty range"
refused_file "a word for a number" "$head|0 x 0 4|" "ranges:2: 'x'"
refused_file "a negative number" "$head|-1 8 0 4|" "ranges:2: '-1'"
refused_file "a range of three numbers" "$head|1 8 0|" "ranges:2: expected"
refused_file "an unknown kind" "$head|1 8 0 4 diagonal|" "ranges:2: 'diagonal'"
refused_file "a mask file without lengths" "0 8 0 4|" "ranges:1: expected"
refused_file "a number above all lengths" "queries 99999999999999999999 keys 40|" "ranges:1: 9* is out of bounds"
refused_file "a mask file of a comment" "# nothing|" "ranges:1: the file ends without"
refused_file "an empty mask file" "" "ranges: an empty file"
printf '%s\n0 16\0000 16\n' "$head" >"$work/ranges"
measure $host --mask file --mask-file "$work/ranges"
expect "a mask file that is no text is refused" refused "ranges:2: not a text"
measure $host --mask file --mask-file "$work"
expect "a folder as a mask file is refused" refused "Is a directory"
measure $host --mask file --mask-file "$work/absent"
expect "an absent mask file is refused" refused "absent"

finish

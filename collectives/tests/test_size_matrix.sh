#!/bin/sh
# test_size_matrix.sh: all_to_all_v with a matrix from a file: every element right whoever sends how much, bytes and bus
# bandwidth those of the matrix, and one line with file and line for a file that is none.
set -u
. scripts/tests/rows.sh
open_ranks all_to_all_v

cat >"$work/matrix" <<'END'
# who sends, down; who receives, across
10 0 5 1
3, 3, 3, 3

0 0 0 0
16	0	0	0
END
host="--preset smoke --place host --variant mpi --time-cap 0.01"
launch -np 4 --oversubscribe "$program" $host --file "$work/matrix" --bytes 64,64k,300004
expect "every element is exact" all_exact
expect "the sizes are the matrix's" [ "$(column sizes <"$work/out" | sort -u)" = matrix ]
# 64 B are 16 elements, the sum of the first row: rank 0 receives 10 + 3 + 16, of which 10 are its own, and sends 16
expect "bytes of the busiest rank" has bytes,bytes_moved 64,180
ratio=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } $at["bytes"] == 64 { v[$at["metric"]] = $at["value"] }
    END { printf "%.4f", v["bus_bandwidth"] / v["algorithm_bandwidth"] }' "$work/out")
expect "bus bandwidth is what its link carries" [ "$ratio" = 1.1875 ] # 19 of 16 elements
launch -np 4 --oversubscribe "$program" $host --file "$work/matrix" --bytes 24k --dtype bf16,int8,fp64
expect "in every number format" all_exact
launch -np 4 --oversubscribe "$program" $host --file "$work/matrix" --bytes 64k --inject-fault
expect "corrupted results are wrong" all_wrong
launch -np 2 "$program" $host --file "$work/matrix" --bytes 64
expect "other ranks than the matrix's are skipped" one_skipped_for "the matrix is for another number of ranks"
launch -np 2 "$program" $host --sizes matrix --skew 0 --bytes 64
expect "a matrix that is not there is skipped" one_skipped_for "there is no matrix"

printf '1 2\n3 4\n' >"$work/one"
printf '1 2\n3 5\n' >"$work/other"
launch -np 1 "$program" $host --bytes 64 --file "$work/one" : -np 1 "$program" $host --bytes 64 --file "$work/one"
expect "two ranks, one matrix" all_exact
absolute=$(realpath "$program")
launch -np 1 sh -c "cd '$work' && cp one mine && exec '$absolute' $host --bytes 64 --file mine" : \
    -np 1 sh -c "mkdir -p '$work/b' && cd '$work/b' && cp ../other mine && exec '$absolute' $host --bytes 64 --file mine"
expect "different matrices of one name fail" [ $status -ne 0 ]
expect "and are said to differ" grep -q "the ranks have read different matrices" "$work/out"

bad_file() { # NAME CONTENT WORDS
    printf "$2" >"$work/bad"
    measure --file "$work/bad" --list
    expect "$1: file and line" refused "$work/bad:$3"
}
bad_file "a word" '1 2\n3 x\n' "2: 'x' is not a whole number"
bad_file "a negative number" '1 -2\n3 4\n' "1: '-2' is not a whole number"
bad_file "a fraction" '1 2.5\n3 4\n' "1: '2.5' is not a whole number"
bad_file "a number too large" '1 99999999999999999999\n3 4\n' "1: '99999999999999999999' is not"
bad_file "a sum too large" '9007199254740992 1\n3 4\n' "1: '1' is too large"
bad_file "a short row" '1 2 3\n4 5\n6 7 8\n' "2: 2 numbers, and 3 in the first row"
bad_file "too many rows" '1 2\n3 4\n5 6\n' "3: more rows than the 2 numbers"
bad_file "too few rows" '1 2\n' "2: ends after 1 of 2 rows"
bad_file "nothing" '' "1: ends after 0 of 0 rows"
bad_file "zeros" '0 0\n0 0\n' "3: nobody sends anything"
"$program" --file "$work/nowhere" --list >"$work/out" 2>"$work/err"
status=$?
expect "no file" [ $status -eq 2 -a "$(wc -l <"$work/err")" -eq 1 ]
"$BUILD/bin/all_to_all" --file "$work/one" --list >"$work/out" 2>"$work/err"
status=$?
expect "a program that reads none" [ $status -eq 2 -a "$(wc -l <"$work/err")" -eq 1 ]

finish

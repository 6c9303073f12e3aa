#!/bin/sh
# test_backward_device.sh: gradients on a device: the plain and the flash kernels at shapes that fit no tile and under
# every mask, cuDNN at those it takes, deterministic or not.
set -u
. scripts/tests/rows.sh
open_device backward
device="--place device --preset smoke --time-cap 0.01"

measure $device --variant plain --dtype fp32,bf16,fp16 --seq 1,200 --past 0,1500 --tokens 3 --hidden 480 \
    --head-dim 60,240 --group 2
expect "plain is right at odd shapes" all_right
measure $device --variant plain --mask all --dtype fp32,bf16 --seq 1000 --tokens 1000 --hidden 256 --head-dim 64 --group 2
expect "plain is right under every mask" all_right
measure $device --variant plain --mask causal --seq 700 --tokens 700 --head-dim 256 --hidden 512 --group 1,2
expect "plain is right at 256" all_right
measure $device --variant flash --dtype bf16,fp16 --seq 1,200,1000 --past 0,300 --tokens 2k --hidden 768 \
    --head-dim 64,96,128,192,256 --group 1
if grep -q "needs the instructions of sm_90a" "$work/out" "$work/err"; then
    echo "skip flash: not a Hopper device or build"
else
    expect "flash is right at odd shapes" all_right
    for head_dim in 64 96 128 192 256; do
        for deterministic in 0 1; do
            expect "flash $head_dim $deterministic has rows" \
                has variant,head_dim,deterministic,status "flash,$head_dim,$deterministic,ok"
        done
    done
    measure $device --variant flash --mask all --seq 1000 --tokens 1000 --hidden 512 --head-dim 64,128,256 --group 2
    expect "flash is right under every mask" all_right
    measure $device --variant flash --mask full,causal --seq 500 --tokens 500 --hidden 2048 --head-dim 64,128,256 \
        --group 8
    expect "flash is right where few keys are shared by many heads, each work of its own" all_right
fi
measure $device --dtype bf16,fp16 --seq 512,1000,2k --tokens 4k
expect "all are right" all_right
if has variant,status "cudnn,skipped" && grep -q "built without cuDNN" "$work/out"; then
    echo "skip cuDNN: built without cuDNN"
else
    for mask in full causal causal_sliding; do
        for deterministic in 0 1; do
            expect "cudnn $mask $deterministic has rows" \
                has variant,mask,deterministic,status "cudnn,$mask,$deterministic,ok"
        done
    done
    measure $device --variant cudnn --seq 512 --past 1536 --group 1,2
    expect "a prompt read in chunks is right" all_right
    measure $device --variant cudnn --cache hot --seq 512
    expect "cudnn in a graph is right" all_right
fi
measure $device --data zeros --seq 512
expect "zeros are right" all_right
measure $device --seq 512 --inject-fault
expect "corrupted results are wrong" all_wrong

finish

#!/bin/sh
# test_prefill_device.sh: the same on a device: the plain and the mma kernel at shapes that fit no tile, cuDNN at those
# it takes.
set -u
. scripts/tests/rows.sh
open_device prefill
device="--place device --preset smoke --time-cap 0.01"

measure $device --variant plain --mask full,causal,causal_sliding --dtype fp32,bf16,fp16 --seq 1,200 --past 0,1500 \
    --tokens 3 --hidden 480 --head-dim 60,240 --group 2
expect "plain is right at odd shapes" all_right
for mask in full causal causal_sliding; do
    for dtype in fp32 bf16 fp16; do
        expect "plain $mask $dtype has rows" has variant,mask,dtype,status "plain,$mask,$dtype,ok"
    done
done
measure $device --variant plain --mask all --dtype bf16 --seq 200,1500 --past 0,700 --tokens 3 --head-dim 64 --group 4 \
    --block 48 --window 100
expect "plain is right under every mask" all_right
expect "plain has rows of chosen blocks" has variant,mask,status "plain,landmark_blocks,ok"
measure $device --variant plain --mask causal --seq 300 --dtype fp32 --option all --inputs all --head-dim 64 --group 2
expect "plain is right with options and outliers" all_right
for option in soft_cap alibi sink gate clipped together; do
    expect "plain $option has rows" has variant,option,status "plain,$option,ok"
done
measure $device --variant mma --mask full,causal,causal_sliding --dtype bf16,fp16 --seq 1,77,1030 --past 0,1000 \
    --tokens 2 --hidden 768 --head-dim 64,96,128,192,256
expect "mma is right at odd lengths and every head_dim" all_right
for head_dim in 64 96 128 192 256; do
    expect "mma $head_dim has rows" has variant,head_dim,status "mma,$head_dim,ok"
done
measure $device --variant mma --mask all --dtype bf16 --seq 300,1500 --past 0,700 --tokens 3 --hidden 768 \
    --head-dim 64,192 --group 2 --block 48 --window 100
expect "mma is right under every mask" all_right
measure $device --variant mma --mask causal,full --seq 300 --dtype fp16 --option all --inputs all --hidden 768 \
    --head-dim 96 --group 4
expect "mma is right with options and outliers" all_right
for option in soft_cap alibi sink gate clipped together; do
    expect "mma $option has rows" has variant,option,status "mma,$option,ok"
done
measure $device --variant flash --mask full,causal,causal_sliding --dtype fp8_e4m3 --seq 1,77,1030 --past 0,1000 \
    --tokens 2 --hidden 768 --head-dim 64,96,128,192,256
expect "flash in fp8 is right at odd lengths and every head_dim" all_right
measure $device --variant flash --mask all --dtype fp8_e4m3 --seq 300,1500 --past 0,700 --tokens 3 --hidden 768 \
    --head-dim 64,128 --group 2 --block 48 --window 100
expect "flash in fp8 is right under every mask" all_right
if has variant,status "flash,skipped" && grep -q "sm_90a" "$work/out"; then
    echo "skip flash: not this device"
else
    expect "flash in fp8 has rows of chosen blocks" has variant,mask,dtype,status "flash,landmark_blocks,fp8_e4m3,ok"
    measure $device --variant flash --mask full --dtype fp8_e4m3 --inputs all --seq 1000 --tokens 2k --head-dim 128
    expect "flash in fp8 is right with outliers" all_right
    expect "flash in fp8 says what rounding costs, below 10 %" \
        has inputs,metric,value "outliers,output_error,0\.0[0-9]*"
    measure $device --variant flash_token --mask full,causal --dtype fp8_e4m3 --seq 1,77,1030 --past 0,1000 \
        --tokens 2 --hidden 768 --head-dim 64,96,128,192,256
    expect "flash_token is right at odd lengths and every head_dim" all_right
    measure $device --variant flash_token --mask all --dtype fp8_e4m3 --seq 300,1500 --past 0,700 --tokens 3 \
        --hidden 768 --head-dim 128 --group 2 --block 48 --window 100
    expect "flash_token is right under every mask" all_right
    measure $device --variant flash_token --mask full --dtype fp8_e4m3 --inputs all --seq 1000 --tokens 2k --head-dim 128
    expect "flash_token is right with outliers" all_right
    expect "flash_token says what rounding its operands costs" \
        has inputs,metric,value "outliers,operand_rmse,0\.00[0-9]*"
    measure $device --variant flash_token --mask full --dtype bf16 --seq 300 --head-dim 128
    expect "flash_token declines what has no scales" all_skipped_for "takes fp8_e4m3 with a scale for each token"
    measure $device --variant flash --mask strided,axial --dtype bf16,fp16 --seq 90,777,2k --past 0,300 --tokens 2 \
        --hidden 512 --head-dim 128 --group 1,4
    expect "flash is right where a mask has two parts" all_right
    for mask in strided axial; do
        expect "flash $mask has rows" has variant,mask,past,status "flash,$mask,300,ok"
    done
    measure $device --variant flash --mask causal --dtype bf16,fp16 --seq 300 --option all --inputs normal,peaks \
        --hidden 768 --head-dim 64,96,128,192,256 --group 1
    expect "flash is right with options" all_right
    for option in soft_cap alibi sink gate clipped together; do
        expect "flash $option has rows" has variant,dtype,head_dim,option,status "flash,fp16,256,$option,ok"
    done
    measure $device --variant flash --mask all --dtype bf16 --seq 300,1500 --past 700 --tokens 3 --hidden 768 \
        --head-dim 128 --group 2 --block 48 --window 100 --option clipped,together
    expect "flash is right with a clipped softmax under every mask" all_right
    measure $device --variant flash --mask full --dtype fp8_e4m3 --seq 512 --data zeros
    expect "flash in fp8 is right of zeros" all_right
    # scores that outgrow a row's first maximum, by so much that a query tile is done again, in every kernel
    measure $device --variant flash --mask full,causal,fixed --dtype bf16,fp16,fp8_e4m3 --inputs peaks --seq 1000 \
        --tokens 2k --hidden 768 --head-dim 64,96,128,192,256 --group 1
    expect "flash is right where keys stand out" all_right
    expect "flash has rows of keys that stand out" has inputs,dtype,head_dim,status "peaks,fp16,192,ok"
fi
measure $device --variant flash --mask full --dtype fp8_e4m3 --seq 512 --option soft_cap
expect "options in fp8 are declined" all_skipped_for "no options in fp8"
measure $device --mask full,causal,causal_sliding --dtype bf16,fp16 --seq 512,1000,2k --tokens 4k
expect "all are right" all_right
if has variant,status "cudnn,skipped" && grep -q "built without cuDNN" "$work/out"; then
    echo "skip cuDNN: built without cuDNN"
else
    for mask in full causal causal_sliding; do
        for dtype in bf16 fp16; do
            expect "cudnn $mask $dtype has rows" has variant,mask,dtype,status "cudnn,$mask,$dtype,ok"
        done
    done
    measure $device --variant cudnn --mask full,causal,causal_sliding --seq 512 --past 1536
    expect "a prompt read in chunks is right" all_right
    expect "cudnn has chunked rows" has variant,mask,status "cudnn,causal,ok"
    measure $device --variant cudnn --cache hot --seq 512
    expect "cudnn in a graph is right" all_right
fi
measure $device --data zeros --seq 512
expect "zeros are right" all_right
measure $device --seq 512 --inject-fault
expect "corrupted results are wrong" all_wrong

finish

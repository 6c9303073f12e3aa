#!/bin/sh
# test_machine_code.sh: the tensor cores' own instructions are in the machine code: HGMMA and QGMMA (fp8) of wgmma, IGMMA
# of int8, their sparse forms, HMMA and DMMA of mma, VIADDMNMX of dpx. By cuobjdump of the programs, else by nvdisasm of a
# kernel compiled here, else by the PTX of that kernel.
set -u
. scripts/tests/expect.sh
bin=$BUILD/bin
nvcc=$(sed -n 's/^NVCC *:*= *//p' "$BUILD/config.mk" 2>/dev/null)
[ -x "$bin/wgmma" ] || { echo "no CUDA in this build"; exit 77; }
grep -q 90a "$BUILD/settings" 2>/dev/null || { echo "not built for sm_90a"; exit 77; }

contains() { # FILE INSTRUCTION
    if grep -q -E -- "$2" "$1"; then ok "$2 is there"; else not_ok "$2" "it is not there"; fi
}

if command -v cuobjdump >/dev/null 2>&1; then
    for program in wgmma mma dpx; do cuobjdump --dump-sass "$bin/$program" >"$work/$program" 2>/dev/null; done
    for instruction in HGMMA QGMMA IGMMA 'HGMMA.SP' 'QGMMA.SP' 'IGMMA.SP'; do contains "$work/wgmma" "$instruction"; done
    for instruction in HMMA DMMA IMMA 'HMMA.SP'; do contains "$work/mma" "$instruction"; done
    for instruction in VIADDMNMX VIMNMX3; do contains "$work/dpx" "$instruction"; done
    finish
fi
[ -n "$nvcc" ] || { echo "neither cuobjdump nor nvcc"; exit 77; }
cat >"$work/one.cu" <<'END'
#include "kernels/lib/wgmma_sparse.h"
__global__ void one(float *out, uint64_t a, uint64_t b, uint32_t metadata) {
    float d[4] = {};
    wgmma_hold(d);
    wgmma_fence();
    wgmma_fp16_fp32_n8_ss(d, a, b, true);
    wgmma_fp8_e4m3_fp32_n8_ss(d, a, b, true);
    wgmma_sparse_fp16_n8_ss(d, a, b, metadata, true);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(d);
    for (int i = 0; i < 4; i++) out[4 * threadIdx.x + i] = d[i];
}
END
target="-std=c++20 -O3 -gencode=arch=compute_90a,code=sm_90a -I."
if command -v nvdisasm >/dev/null 2>&1; then
    "$nvcc" $target -cubin -o "$work/one.cubin" "$work/one.cu" 2>"$work/log" && nvdisasm -c "$work/one.cubin" >"$work/one" || exit 1
    for instruction in HGMMA QGMMA 'HGMMA.SP'; do contains "$work/one" "$instruction"; done
else
    "$nvcc" -std=c++20 -O3 -arch=compute_90a -I. -ptx -o "$work/one" "$work/one.cu" 2>"$work/log" || exit 1
    for instruction in 'wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16' 'm64n8k32.f32.e4m3.e4m3' \
        'wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16'; do contains "$work/one" "$instruction"; done
fi
finish

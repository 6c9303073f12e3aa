#!/bin/sh
# Telemetry against a made-up NVML: medians, largest values, which throttle reasons count, links, and life without NVML.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiler=${CC:-cc}
if ! command -v "$compiler" >/dev/null; then
    echo "no C compiler to make the library with"
    exit 77
fi
mkdir "$work/nvml"
$compiler -shared -fPIC -o "$work/nvml/libnvidia-ml.so.1" bench/tests/fake_nvml.c || exit 1
$compiler -std=gnu11 -I. -o "$work/reader" bench/tests/telemetry_reader.c bench/telemetry.c -ldl || exit 1

bad=0
expect() { # name, line that must be in the output
    if grep -qxF -- "$2" "$work/out"; then echo "ok $1"; else
        echo "not ok $1: '$2' is not in:"
        cat "$work/out"
        bad=1
    fi
}
read_with() { env LD_LIBRARY_PATH="$work/nvml" "$@" "$work/reader" >"$work/out" 2>&1; }

read_with FAKE_CLOCKS=1980,1200,1755,1980,1755 FAKE_POWERS=100000,690500,300000,2,3 FAKE_REASONS=1,2,0x10,0x100,0 \
    FAKE_LINK_SPEED=26562
expect devices "gpus 2 driver 580.1.2 cuda 13.1"
expect device_without_links "NVIDIA Fake GPU-0 00000000:08:00.0 141 GiB 1980 3201 MHz 700 W pcie 5 x0 links 0 0"
expect device_with_links "NVIDIA Fake GPU-1 00000000:18:00.0 141 GiB 1980 3201 MHz 700 W pcie 5 x0 links 9 2.5e+10"
expect unknown_address "none 0"
expect opened_in_a_child "open 1"
expect harmless_reasons "polls 5 clock 1755 power 690.5 throttled 0"
expect links "links 9 rate 2.5e+10"
expect pcie "pcie 5 x0"
expect reset "reset 0 0 0 0"
read_with FAKE_CLOCKS=1980,1980,1980,1980,1980 FAKE_POWERS=815200,815200,815200,815200,815200
expect power_from_before "polls 5 clock 1980 power 0 throttled 0"
for reason in 0x4 0x8 0x20 0x40 0x80; do
    read_with FAKE_CLOCKS=1,2,3,4,5 FAKE_REASONS=0,0,$reason,0,0
    expect "reason_$reason" "polls 5 clock 3 power 0 throttled 1"
done
for pair in 19920:2e+10 20000:2e+10 25781:2.5e+10 53125:5e+10 14062:1.4062e+10; do
    read_with FAKE_LINK_SPEED=${pair%:*}
    expect "link_speed_${pair%:*}" "links 9 rate ${pair#*:}"
done
for pair in 0:0 1:2e+10 2:2.5e+10 6:2.5e+10 7:5e+10; do
    read_with FAKE_LINK_VERSION=${pair%:*}
    expect "link_version_${pair%:*}" "links 9 rate ${pair#*:}"
done
read_with FAKE_BROKEN=1
expect no_driver "gpus 0 driver  cuda "
expect no_driver_closed "open 0"
: >"$work/nvml/libnvidia-ml.so.1" # found, but no library
read_with
expect no_library "gpus 0 driver  cuda "
expect no_library_polls "polls 0 clock 0 power 0 throttled 0"
expect no_library_links "links -1 rate 0"
expect no_library_pcie "pcie 0 x0"
exit $bad

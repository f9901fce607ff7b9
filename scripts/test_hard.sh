#!/usr/bin/env bash
# Run the tests where other people run them: on processors with fewer instructions, with one thread
# and with two, and on a machine that is busy. A test that passes only here is a wrong test.
#
#   scripts/test_hard.sh [PYTEST ARGUMENT...]     e.g. tests/torch/test_decode.py, or -k resume
#   CONFIGURATIONS='default:1:idle native:1:busy' scripts/test_hard.sh
#
# A configuration is instructions:threads:load. The idle ones run the tests of torch, the busy ones
# (a loop a core, at the tests' own priority) the fast tests as well. Logs stand in build/test-hard.
# Every configuration is run; the exit status is 1 if one of them failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
python=.venv/bin/python
logs=build/test-hard
all='default:1:idle default:2:idle avx2:1:idle avx2:2:idle native:2:idle native:1:busy avx2:2:busy'
read -r -a configurations <<<"${CONFIGURATIONS:-$all}"
mkdir -p "$logs"
busy=()

be_idle() {
    [ ${#busy[@]} = 0 ] || kill "${busy[@]}" 2>/dev/null
    busy=()
}
trap be_idle EXIT
trap 'exit 130' INT TERM

be_busy() { # the loops end with this shell, however it ends
    local loop='import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    sum(range(100_000))'
    for _ in $(seq "$(nproc)"); do
        "$python" -c "$loop" $$ &
        busy+=($!)
    done
}

failed=0
rows=()
for configuration in "${configurations[@]}"; do
    IFS=: read -r instructions threads load <<<"$configuration"
    settings=("OMP_NUM_THREADS=$threads" "MKL_NUM_THREADS=$threads")
    case $instructions in
    native) ;;
    # oneDNN has its own switch; SSE41 is the least it knows, torch's default is SSE2.
    default) settings+=(ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41) ;;
    avx2) settings+=(ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2) ;;
    *)
        echo "test_hard: $configuration: instructions are native, avx2 or default" >&2
        exit 2
        ;;
    esac
    marks='torch and not slow'
    case $load in
    idle) ;;
    busy) marks='not real and not browser and not slow' && be_busy ;;
    *)
        echo "test_hard: $configuration: load is idle or busy" >&2
        exit 2
        ;;
    esac
    log=$logs/${configuration//:/-}.log
    echo "test_hard: ${settings[*]} $load → $log" >&2
    began=$SECONDS
    env "${settings[@]}" "$python" -m pytest -q --numprocesses logical --maxprocesses 4 \
        --dist worksteal -m "$marks" "$@" >"$log" 2>&1
    status=$?
    be_idle
    result=passed
    if [ $status != 0 ]; then
        result=FAILED failed=1
        grep -E '^(FAILED|ERROR) ' "$log" >&2
    fi
    last=$(tail -n 1 "$log" | tr -d '=')
    rows+=("$instructions" "$threads" "$load" "$result" "$((SECONDS - began)) s" "${last# }")
done
table='%-12s  %-7s  %-4s  %-6s  %-7s  %s\n'
# shellcheck disable=SC2059 # the format is the constant above
{
    printf "$table" instructions threads load result took pytest
    printf "$table" "${rows[@]}"
}
exit $failed

#!/bin/sh
# Writes requirements.lock (run) and requirements-dev.lock (tests), free of hosts and of torch:
# torch is installed first, by its own line in the Makefile, so that a CPU machine keeps the CPU
# build and a GPU machine takes the CUDA build (docs/adr/0009-locked-without-torch.md).
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet uv
override=$(mktemp)
trap 'rm -f "$override"' EXIT
echo "torch; sys_platform == 'never'" >"$override"
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
        --no-header --no-annotate --override "$override" "$@"
    # What only torch would have pulled in carries the same impossible platform: leave it out.
    for out in "$@"; do :; done
    grep -v "sys_platform == 'never'" "$out" >"$override.out" && mv "$override.out" "$out"
}
compile pyproject.toml --extra train --extra report --extra serve \
    -o requirements.lock
compile pyproject.toml --extra train --extra report --extra serve --extra kiwi \
    --extra wandb --extra trackio --extra tensorboard --group dev \
    -c requirements.lock \
    -o requirements-dev.lock

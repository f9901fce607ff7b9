#!/bin/sh
# Write requirements.lock (run) and requirements-dev.lock (tests): exact versions with hashes for
# Python 3.11 to 3.13, without package indexes, and without torch and its CUDA libraries, whose
# build the index of the machine decides (docs/adr/0009-locked-without-torch.md).
#
#   scripts/lock.sh                          add what pyproject.toml newly asks for, keep the rest
#   scripts/lock.sh --upgrade                take the newest versions
#   scripts/lock.sh --upgrade-package NAME   take the newest version of one package
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed -n 's/^TORCH := //p' Makefile >"$folder/torch" # what the rest has to fit
write() {                                          # LOCK ARGUMENT...
    lock=$1
    shift
    [ ! -f "$lock" ] || cp "$lock" "$folder/$lock"
    scripts/uv.sh pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --no-annotate --constraint "$folder/torch" \
        --output-file "$folder/$lock" "$@"
    # A requirement's hashes stand indented below it.
    awk '/^[^ ]/ { left_out = /^(torch|triton|cuda-|nvidia-)/ && !/^nvidia-ml-py/ } !left_out' \
        "$folder/$lock" >"$lock"
}
write requirements.lock pyproject.toml --extra train --extra serve "$@"
write requirements-dev.lock pyproject.toml --extra train --extra serve \
    --extra fast --extra kiwi --extra wandb --extra trackio --extra tensorboard --extra parquet \
    --extra tune --extra watch --extra export --group dev \
    --constraint requirements.lock "$@"

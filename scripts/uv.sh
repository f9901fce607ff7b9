#!/bin/sh
# Run uv: the one on the path, else a pinned one in a folder of its own, so that resolving and
# testing other versions never touches .venv.
set -eu
if command -v uv >/dev/null 2>&1; then exec uv "$@"; fi
home=$(cd "$(dirname "$0")/.." && pwd)/build/uv
if [ ! -x "$home/bin/uv" ]; then
    "${PYTHON:-python3}" -m venv "$home"
    "$home/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
fi
exec "$home/bin/uv" "$@"

#!/bin/sh
# Build the sdist and, from it, the wheel; install the wheel alone in a venv of its own, outside the
# checkout, and use it: version, a run without torch on the sample, and a score.
#
#   PYTHON=python3.12 scripts/ci_wheel.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p "${1:-build/wheel}"
folder=$(cd "${1:-build/wheel}" && pwd)
rm -rf "$folder/dist" "$folder/workspace"
scripts/uv.sh build --quiet --python "${PYTHON:-python3}" --out-dir "$folder/dist" .
scripts/uv.sh venv --quiet --clear --python "${PYTHON:-python3}" "$folder/venv"
scripts/uv.sh pip install --quiet --python "$folder/venv/bin/python" "$folder"/dist/*.whl
scripts/uv.sh pip check --python "$folder/venv/bin/python"
cd "$folder" # nothing of the checkout is importable from here
PATH=$folder/venv/bin:$PATH
export PATH
said=$(yoyak --version)
expected=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$root/src/yoyak/__init__.py")
case $said in *"$expected"*) echo "$said" ;; *)
    echo "ci_wheel: yoyak --version says '$said', the source says '$expected'" >&2
    exit 1
    ;;
esac
yoyak run lead --workspace workspace
sample=$(python -c 'from yoyak.data import sample; print(sample.folder())')
case $sample in "$folder"/*) ;; *)
    echo "ci_wheel: the sample is read from $sample, not from the installed wheel" >&2
    exit 1
    ;;
esac
yoyak score "$sample/dev.csv" "$sample/dev.csv" --json >score.json # its answers against themselves
python -c "import json; assert json.load(open('score.json'))['rows'] == 24"
ls -l "$folder/dist"

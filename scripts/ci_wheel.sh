#!/bin/sh
# Build sdist and wheel, twice, to the same bytes; install each in an environment of its own outside
# the checkout and use it: version, score, a run without torch on the sample. What scoring downloads
# stays below 100 MB, and the first score is timed as `uvx yoyak score` would meet it: nothing cached.
#
#   PYTHON=python3.12 scripts/ci_wheel.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-python3}
mkdir -p "${1:-build/wheel}"
folder=$(cd "${1:-build/wheel}" && pwd)
rm -rf "$folder/dist" "$folder/again" "$folder/downloads" "$folder/cache" "$folder/workspace"
uv() { "$root/scripts/uv.sh" "$@"; }
fail() {
    echo "ci_wheel: $*" >&2
    exit 1
}

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for out in dist again; do uv build --quiet --python "$python" --out-dir "$folder/$out" .; done
for file in "$folder"/dist/*.whl "$folder"/dist/*.gz; do
    cmp "$file" "$folder/again/${file##*/}" || fail "a second build of ${file##*/} has other bytes"
done
(cd "$folder/dist" && sha256sum -- *.whl *.gz)

"$python" -m pip download --quiet --disable-pip-version-check --dest "$folder/downloads" \
    "$folder"/dist/*.whl
bytes=$(cat "$folder"/downloads/*.whl | wc -c)
echo "scoring downloads $((bytes / 1000000)) MB in $(find "$folder/downloads" -name '*.whl' | wc -l) files"
[ "$bytes" -le 100000000 ] || fail "that is more than 100 MB"

expected=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/yoyak/__init__.py)
cd "$folder" # nothing of the checkout is importable from here
for file in dist/*.whl dist/*.gz; do
    uv venv --quiet --clear --python "$python" venv
    uv pip install --quiet --python venv/bin/python "$file"
    uv pip check --quiet --python venv/bin/python
    said=$(venv/bin/yoyak --version)
    [ "$said" = "$expected" ] || fail "$file: yoyak --version says '$said', the source says '$expected'"
    venv/bin/yoyak help exit-codes | grep -q '^| 65 |' || fail "$file: the documentation is not in it"
    if venv/bin/python -c "import torch" 2>/dev/null; then fail "$file: torch was installed"; fi
done
sample=$(venv/bin/python -c 'from yoyak.data import sample; print(sample.folder())')
case $sample in "$folder"/*) ;; *) fail "the sample is read from $sample, not from the package" ;; esac
venv/bin/yoyak run lead --data "$sample" --workspace workspace

cp "$sample/dev.csv" dev.csv
printf 'fname,summary\n' >pred.csv
venv/bin/python -c "
import csv
with open('dev.csv', encoding='utf-8', newline='') as file:
    for row in csv.DictReader(file):
        print(row['fname'], row['summary'].replace(',', ' ').replace('\n', ' '), sep=',')" >>pred.csv
began=$(date +%s)
UV_CACHE_DIR=$folder/cache uv tool run --quiet --python "$python" --from dist/*.whl \
    yoyak score pred.csv dev.csv --json >score.json
echo "first score from an empty cache: $(($(date +%s) - began)) s"
venv/bin/python -c "import json; assert json.load(open('score.json'))['rows'] == 24"
ls -l dist

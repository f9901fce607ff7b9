#!/bin/sh
# Prove the floors of pyproject.toml: install the lowest version that it claims of every dependency
# in a venv of its own, run the fast tests there, and train, decode and score the toy models.
#
#   PYTHON=python3.12 scripts/ci_lowest.sh [FOLDER]
#
# Not covered: `kernels`, which needs a GPU, `vllm`, whose pins choose torch, and `ray`, whose tests
# start a cluster. What the dependencies need in turn is theirs to say, so
# only the direct ones are taken low; the tools of the tests are the newest that fit.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build/lowest}
python=$folder/bin/python
extras=$("${PYTHON:-python3}" - <<'PYTHON'
import tomllib
from pathlib import Path

extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
print(*extras.keys() - {"kernels", "vllm", "ray"})
PYTHON
)
scripts/uv.sh venv --quiet --clear --python "${PYTHON:-python3}" "$folder"
set --
for extra in $extras; do set -- "$@" --extra "$extra"; done
scripts/uv.sh pip compile --quiet --python "$python" --resolution lowest-direct --no-header \
    --no-annotate --output-file "$folder/lowest.txt" pyproject.toml "$@"
scripts/uv.sh pip install --quiet --python "$python" --requirement "$folder/lowest.txt"
scripts/uv.sh pip install --quiet --python "$python" --no-deps --editable .
scripts/uv.sh pip check --python "$python"
# Peers that the tests compare with may ask for more than the project does; they do not get it.
scripts/uv.sh pip install --quiet --python "$python" --group dev --override "$folder/lowest.txt"
echo "direct dependencies at their floors:"
"$python" - "$folder/lowest.txt" <<'PYTHON'
import sys, tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
claimed = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
direct = {canonicalize_name(Requirement(one).name) for one in claimed}
for line in Path(sys.argv[1]).read_text().splitlines():
    if canonicalize_name(Requirement(line).name) in direct:
        print(f"  {line}")
PYTHON
unset PYTHONDONTWRITEBYTECODE # or each process of the tests compiles the package anew
PATH=$PWD/$folder/bin:$PATH
export PATH
OMP_NUM_THREADS=1 "$python" -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal \
    -m "not torch and not real and not browser"
yoyak run --workspace "$folder/workspace"

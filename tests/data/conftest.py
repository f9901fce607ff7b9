"""Small contest folders to read, whole or with one thing wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.corpora import *  # noqa: F403

TRAIN = (
    "fname,dialogue,summary,topic\n"
    'train_0,"#Person1#: 비 온대.\n#Person2#: 우산 챙길게.",#Person2#는 우산을 챙깁니다.,날씨\n'
    'train_1,"#Person1#: 몇 시야?\n#Person2#: 세 시.",#Person2#가 시간을 알려 줍니다.,시간\n'
)
DEV = (
    "fname,dialogue,summary,topic\n"
    'dev_0,"#Person1#: 배고파.\n#Person2#: 국수 먹자.",두 사람은 국수를 먹기로 합니다.,점심\n'
    'dev_1,"#Person1#: 열쇠 봤어?\n#Person2#: 책상 위.",#Person2#가 열쇠를 찾아 줍니다.,열쇠\n'
)
TEST = (
    "fname,dialogue\n"
    'test_0,"#Person1#: 버스 왔어.\n#Person2#: 뛰자."\n'
    'test_1,"#Person1#: 창문 닫을까?\n#Person2#: 응, 춥다."\n'
)
SAMPLE = ",fname,summary\n0,test_0,여기\n1,test_1,여기\n"


@pytest.fixture
def contest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of contest files; a keyword gives one file's text or bytes instead."""

    def write(**files: str | bytes | None) -> Path:
        texts = {"train": TRAIN, "dev": DEV, "test": TEST, "sample_submission": SAMPLE} | files
        for name, content in texts.items():
            if content is not None:
                written = content if isinstance(content, bytes) else content.encode()
                (tmp_path / f"{name}.csv").write_bytes(written)
        return tmp_path

    return write


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes one file and gives its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write

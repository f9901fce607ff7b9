"""What a user's or group's quota leaves, which no file system tells in what it has free.

Project quotas need no question: ``statvfs`` counts in them.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

KIB = 1024
GB = 1e9
TOOL_SECONDS = 10.0


def left_gb(folder: Path) -> float | None:
    """What may still be written where ``folder`` will stand; ``None`` where no quota is known."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists()).resolve()
    mount = next(each for each in (place, *place.parents) if os.path.ismount(each))
    said = _said("quota", "-u", "-g", "-w", "-p", "-f", str(mount))
    return min(_rooms(said), default=None)


def _rooms(said: str) -> Iterator[float]:
    """Of each line with a limit: ``FILESYSTEM BLOCKS QUOTA LIMIT …``, in KiB; 0 is no limit."""
    for line in said.splitlines():
        cells = [cell.removesuffix("*") for cell in line.split()[1:4]]  # a star: it is exceeded
        if len(cells) == 3 and all(cell.isdecimal() for cell in cells):
            used, soft, hard = map(int, cells)
            limits = [limit for limit in (soft, hard) if limit]
            if limits:
                yield max(min(limits) - used, 0) * KIB / GB


def _said(*words: str) -> str:
    """What the tool prints, nothing where there is none; it fails when a quota is exceeded."""
    try:
        done = subprocess.run(
            words, capture_output=True, check=False, timeout=TOOL_SECONDS, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout

"""What a user's or group's disk quota leaves, which ``statvfs`` does not include.

Project quotas need no extra question: ``statvfs`` includes them.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

KIB = 1024
GB = 1e9
TOOL_SECONDS = 10.0


def left_gb(folder: Path) -> float | None:
    """Return what may still be written below ``folder``, in GB; ``None`` without a quota."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists()).resolve()
    mount = next(each for each in (place, *place.parents) if os.path.ismount(each))
    output = _quota_output("quota", "-u", "-g", "-w", "-p", "-f", str(mount))
    return min(_left_gb(output), default=None)


def _left_gb(output: str) -> Iterator[float]:
    """Yield GB left per line with a limit: ``FILESYSTEM BLOCKS QUOTA LIMIT …``, KiB, 0: none."""
    for line in output.splitlines():
        cells = [cell.removesuffix("*") for cell in line.split()[1:4]]  # a star: it is exceeded
        if len(cells) == 3 and all(cell.isdecimal() for cell in cells):
            used, soft, hard = map(int, cells)
            limits = [limit for limit in (soft, hard) if limit]
            if limits:
                yield max(min(limits) - used, 0) * KIB / GB


def _quota_output(*words: str) -> str:
    """Return what ``quota`` prints; it exits with 1 where a quota is exceeded."""
    try:
        done = subprocess.run(
            words, capture_output=True, check=False, timeout=TOOL_SECONDS, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout

"""Fixtures that the tests of all folders share."""

import csv
import gc
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from support.hub import *  # noqa: F403
from yoyak import messages
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.runs.workspace import Workspace

# A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests compare float32 on the processor, wherever they run; a GPU rounds in formats of its own.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# A slow moment of the machine is no finding; what CI finds it has to find again.
settings.register_profile(
    "fast", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=15
)
settings.register_profile("thorough", parent=settings.get_profile("fast"), max_examples=300)


def pytest_addoption(parser):
    parser.addoption(
        "--long",
        action="store_true",
        help="more kills, races, random texts and examples of Hypothesis (make faults)",
    )


def pytest_configure(config):
    settings.load_profile("thorough" if config.getoption("--long") else "fast")


def pytest_collection_finish():
    """Leave the thousands of collected tests out of each garbage collection."""
    gc.freeze()


@pytest.fixture(scope="session")
def long(request) -> bool:
    """Whether the long version was asked for (``make faults``)."""
    return request.config.getoption("--long")


@pytest.fixture
def say(record_property):
    """Prints a figure in the summary of the session, also from one of several processes."""

    def remember(figure: str) -> None:
        record_property("said", figure)

    return remember


def pytest_terminal_summary(terminalreporter):
    said = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "said"
    ]
    for figure in dict.fromkeys(said):  # a test's teardown reports it as well
        terminalreporter.write_line(figure)


STARTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.spawn"}
_started: list[str] = []
sys.addaudithook(lambda event, _: _started.append(event) if event in STARTS else None)


@pytest.fixture(autouse=True)
def _no_process(request):
    """A test of the fast set that starts a process fails: a start costs more than most tests."""
    _started.clear()
    yield
    if _started and not {"process", "torch", "slow", "browser", "real"} & request.keywords.keys():
        pytest.fail(f"{_started[0]}: mark this test with pytest.mark.process")


@pytest.fixture(autouse=True)
def _english():
    """Messages are compared in English unless a test says otherwise."""
    with messages.speaking("en"):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the contest files and the real tokenizers; skipped by name where absent."""
    folder = Path(os.environ.get("YOYAK_SHARED", Path(__file__).parents[2] / "shared"))
    if folder.is_dir():
        return folder
    if os.environ.get("YOYAK_REQUIRE_SHARED") == "1":
        pytest.fail(f"YOYAK_REQUIRE_SHARED is set and {folder} is not there")
    pytest.skip(f"the contest files are not here: {folder} (set YOYAK_SHARED)")


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The sample's first rows of each split, as a folder."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("train", "dev", "test"):
        with (sample.folder() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[:13]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="session")
def corpus(data):
    return read_corpus(data)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


class FakeNvml:
    """A driver with the given GPUs, as the module ``pynvml`` shows one."""

    class NVMLError(Exception):
        """What every call of the library raises."""

    def __init__(self, gpus, processes=()):
        self._gpus, self._processes = gpus, processes
        self.users = 0

    def nvmlInit(self):
        self.users += 1

    def nvmlShutdown(self):
        self.users -= 1

    def nvmlDeviceGetCount(self):
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def _of(self, handle, field):
        assert self.users > 0, "not initialised"
        found = self._gpus[handle].get(field)
        if found is None:
            raise self.NVMLError(f"{field}: not supported")
        return found

    def nvmlDeviceGetUUID(self, handle):
        return self._of(handle, "uuid")

    def nvmlDeviceGetName(self, handle):
        return self._of(handle, "name")

    def nvmlSystemGetDriverVersion(self):
        return "550.54.14"

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self._of(handle, "capability")

    def nvmlDeviceGetMemoryInfo(self, handle):
        total, used = (mebibytes * 2**20 for mebibytes in self._of(handle, "memory"))
        return SimpleNamespace(total=total, used=used, free=total - used)

    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetUtilizationRates(self, handle):
        return SimpleNamespace(gpu=self._of(handle, "busy"), memory=0)

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return self._of(handle, "celsius")

    def nvmlDeviceGetPowerUsage(self, handle):
        return 1000 * self._of(handle, "watts")

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return 1000 * self._of(handle, "watts_limit")

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self._processes]


@pytest.fixture
def fake_gpus(monkeypatch):
    """Install a driver with GPUs that are an RTX 3090 but for the given fields; none: no GPU."""

    def install(*changes, processes=()):
        usual = {
            "name": "NVIDIA GeForce RTX 3090", "capability": (8, 6), "memory": (24576, 312),
            "busy": 87, "celsius": 71, "watts": 312, "watts_limit": 350,
        }  # fmt: skip
        gpus = [{"uuid": f"GPU-{n}a0b", **usual, **each} for n, each in enumerate(changes)]
        nvml = FakeNvml(gpus, processes)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return nvml

    return install

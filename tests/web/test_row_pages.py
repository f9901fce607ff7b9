"""The rows, notes and ratings over HTTP: whole, page by page, and kept only when they are right."""

from importlib.util import find_spec

import pytest

from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Prediction, Split, Turn
from yoyak.web import app, row_pages

pytestmark = [
    pytest.mark.skipif(find_spec("starlette") is None, reason="the [serve] extra is missing"),
    pytest.mark.skipif(
        find_spec("httpx") is None and find_spec("httpx2") is None, reason="httpx is missing"
    ),
]


def source(rows, split="dev", runs=("lead", "tiny-bart")):
    dialogues = tuple(
        Dialogue(id=f"{split}_{place}", turns=(Turn(speaker="#Person1#", text="네."),))
        for place in range(rows)
    )
    columns = [
        RowColumn(
            RowSystem(run=f"run-{run}", name=run, toy=False, mean=None),
            [Prediction(id=one.id, text=f"{run} {one.id}", raw="") for one in dialogues],
            None,
        )
        for run in runs
    ]
    of = Split(name=split, dialogues=dialogues, fingerprint="ab" * 32)
    return RowSource(f"{split}-abababab", "data", of, columns)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace whose tables are two; each reading of them is counted."""
    workspace = Workspace(tmp_path / "workspace")
    found = (source(96), source(8, "test"))
    monkeypatch.setattr(row_pages, "gather_rows", lambda _: readings.append(1) or found)
    readings.clear()
    return workspace


readings = []


@pytest.fixture
def client(workspace):
    from starlette.testclient import TestClient

    with TestClient(app.application(workspace), base_url=f"http://{app.HOST}") as client:
        yield client


def test_pages_of_rows_are_the_whole_table(client, monkeypatch):
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 40)
    dev, test = client.get("/api/rows").json()["tables"]
    assert (dev["split"], dev["rows"], len(dev["systems"])) == ("dev", 96, 2)
    address = f"/api/rows/{dev['key']}"
    pages = [client.get(f"{address}?start={start}").json() for start in (0, 40, 80, 120)]
    assert list(map(len, pages)) == [40, 40, 16, 0]
    assert [row[0] for page in pages for row in page] == [f"dev_{place}" for place in range(96)]
    assert len(client.get(f"/api/rows/{test['key']}").json()) == 8


@pytest.mark.parametrize("address", ["/api/rows/dev-nothing", "/api/rows/%2e%2e"])
def test_a_table_that_is_not_there_is_404(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("start", ["-1", "x", "١", "1e9"])
def test_a_start_that_is_no_number_is_400(client, start):
    assert client.get("/api/rows/dev-abababab", params={"start": start}).status_code == 400


def test_records_are_read_again_only_when_predictions_or_scores_changed(client, workspace):
    for _ in range(3):
        client.get("/api/rows")
    assert len(readings) == 1
    new = workspace.runs_folder / "run-1" / "predictions" / "dev.jsonl"
    new.parent.mkdir(parents=True)
    new.write_text("{}\n", encoding="utf-8")
    client.get("/api/rows/dev-abababab")
    assert len(readings) == 2
    new.with_name("test.jsonl").symlink_to("deleted after it was listed")
    assert client.get("/api/rows").status_code == 200


def test_a_workspace_of_runs_is_served(two_leads):
    from starlette.testclient import TestClient

    with TestClient(app.application(two_leads), base_url=f"http://{app.HOST}") as client:
        dev = client.get("/api/rows").json()["tables"][0]
        rows = client.get(f"/api/rows/{dev['key']}").json()
    assert len(rows) == dev["rows"] > 0
    assert {one["run"] for one in dev["systems"]} == {run.name for run in two_leads.runs()}


@pytest.fixture
def rating():
    return {
        "kind": "rating", "table": "dev-abababab", "row": "dev_0", "rater": "민지",
        "left": "run-lead", "right": "run-tiny-bart", "choice": "right",
    }  # fmt: skip


def test_a_rating_and_a_note_are_kept_and_summed_up(client, workspace, rating):
    for row in range(6):
        answer = client.post("/api/ratings", json=rating | {"row": f"dev_{row}"})
        assert answer.status_code == 200
    note = {key: rating[key] for key in ("table", "row", "rater")}
    note |= {"kind": "note", "text": "a\u202eb"}
    assert client.post("/api/ratings", json=note).json()["text"] == "ab"
    kept = client.get("/api/ratings").json()
    assert [one["kind"] for one in kept] == ["rating"] * 6 + ["note"]
    assert workspace.ratings_path.read_bytes().count(b"\n") == 7
    (english,) = client.get("/api/ratings/summary?lang=en").json()
    assert "tiny-bart is preferred" in english
    (korean,) = client.get("/api/ratings/summary?lang=ko").json()
    assert "더 선호합니다" in korean


@pytest.mark.parametrize(
    "change",
    [
        {"row": "dev_999"}, {"table": "dev-nothing"}, {"left": "run-x"}, {"choice": None},
        {"rater": " \u202e "}, {"rater": "가" * 41}, {"choice": "both"}, {"kind": "vote"},
        {"extra": 1}, {"kind": "note", "text": "가" * 4001},
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_a_reason_and_not_kept(client, workspace, rating, change):
    answer = client.post("/api/ratings", json=rating | change)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]
    assert not workspace.ratings_path.exists()


def test_a_system_is_not_rated_against_itself(client, rating):
    answer = client.post("/api/ratings", json=rating | {"right": rating["left"]})
    assert answer.status_code == 400


def test_another_site_can_write_nothing(client, workspace, rating):
    foreign = {"Origin": "http://evil.example"}
    assert client.post("/api/ratings", json=rating, headers=foreign).status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/ratings", json=rating, headers=cross).status_code == 403
    form = client.post("/api/ratings", data={"kind": "note"})
    assert form.status_code == 415
    assert not workspace.ratings_path.exists()


def test_a_body_without_end_is_cut_off(client, rating):
    answer = client.post("/api/ratings", json=rating | {"text": "가" * 50_000})
    assert answer.status_code == 413

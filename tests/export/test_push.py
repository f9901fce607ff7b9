"""Only what may be passed on is pushed, to a hub of the test's own; never a line of the data."""

import msgspec
import pytest

from support.hub import *  # noqa: F403
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, BadRecipe, CannotWrite, Unavailable
from yoyak.export.push import PUSHED, check_licence, push
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance

pytest.importorskip("huggingface_hub", reason="it comes with the [train] extra")
pytestmark = pytest.mark.process
NAME = "team/summaries"


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    record = msgspec.json.encode(provenance.gather(corpus))
    recipe = load.resolve("tiny-bart").recipe
    return Workspace(tmp_path_factory.mktemp("push") / "workspace").find_or_create(
        recipe, corpus, lambda: record
    )


@pytest.fixture
def folder(tmp_path):
    """An exported folder, with files that stay here."""
    made = tmp_path / "model"
    (made / "base").mkdir(parents=True)
    for name in (
        "README.md", "export.json", "config.json", "tokenizer.json", "model.safetensors",
        "base/config.json", "provenance.json", "scores.json", "manifest.json", ".yoyak",
    ):  # fmt: skip
        (made / name).write_text(f"{name}\n", "utf-8")
    return made


@pytest.fixture
def hub(fake_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake_hub.url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", fake_hub.url)
    return fake_hub


def test_the_model_is_pushed_privately_in_one_commit_without_scores_of_rows(run, folder, hub):
    done = push(run, folder, NAME)
    assert set(hub.pushed[NAME]) == {
        "README.md", "export.json", "config.json", "tokenizer.json", "model.safetensors",
        "base/config.json",
    }  # fmt: skip
    assert hub.pushed[NAME]["README.md"] == b"README.md\n"
    assert NAME not in hub.public
    assert (done.address, done.commit) == (f"{hub.url}/{NAME}", hub.COMMIT)
    assert not {"scores.json", "provenance.json"} & set(PUSHED)


def test_public_is_public_and_a_public_repository_takes_nothing_private(run, folder, hub):
    push(run, folder, NAME, public=True)
    assert NAME in hub.public
    hub.pushed.clear()
    hub.models["team/known"] = {}
    hub.public.add("team/known")
    # The hub leaves a repository that is there as it is.
    with pytest.raises(CannotWrite, match="--public"):
        push(run, folder, "team/known")
    assert hub.pushed == {}


@pytest.mark.parametrize("kind", ["turn", "reference"])
def test_a_line_of_the_data_stops_it_before_anything_leaves(kind, run, folder, hub, corpus):
    row = corpus.dev.dialogues[0]
    longest = max((turn.text for turn in row.turns), key=len)
    line = longest if kind == "turn" else max(row.references, key=len)
    (folder / "export.json").write_text(f'{{"prompt": "예: {line}"}}', "utf-8")
    with pytest.raises(BadData, match=r"export\.json"):
        push(run, folder, NAME)
    assert hub.asked == []


def test_a_line_with_quotation_marks_is_found_as_json_writes_it(
    run, folder, hub, corpus, monkeypatch
):
    from yoyak.export import push as module

    line = '#Person1#은 "내일 세 시에 정문에서 만나자"고 말합니다.'
    first, *others = corpus.dev.dialogues
    rows = (msgspec.structs.replace(first, references=(line,)), *others)
    dev = msgspec.structs.replace(corpus.dev, dialogues=rows)
    changed = msgspec.structs.replace(corpus, dev=dev)
    monkeypatch.setattr(module, "read_corpus", lambda _: changed)
    (folder / "export.json").write_bytes(msgspec.json.encode({"instruction": f"예: {line}"}))
    with pytest.raises(BadData, match=r"export\.json"):
        push(run, folder, NAME)
    assert hub.asked == []


def test_an_open_contest_stops_it_before_anything_leaves(run, folder, hub, monkeypatch):
    from yoyak.data.contest import Contest
    from yoyak.export import push as module

    open_contest = msgspec.convert({"closes_at": "2999-01-01T00:00:00+09:00"}, Contest)
    monkeypatch.setattr(module, "read_contest", lambda _: open_contest)
    with pytest.raises(BadData, match="2999"):
        push(run, folder, NAME)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "sets", "says"),
    [
        ("llama31-8b", [], "terms"),
        ("gemma3-1b", [], "terms"),
        ("exaone4-1.2b", [], "NC"),
        ("qwen3-4b", ["model.base=org/other"], "licence"),
    ],
)
def test_gated_and_unfree_bases_and_unknown_licences_are_refused(name, sets, says):
    with pytest.raises(BadRecipe, match=says):
        check_licence(load.resolve(name, sets=sets).recipe)


@pytest.mark.parametrize("name", ["qwen3-4b", "tiny-bart", "tiny-qlora"])
def test_free_bases_and_models_from_scratch_may_be_pushed(name):
    check_licence(load.resolve(name).recipe)


def test_a_hub_that_refuses_is_named_with_the_next_command(run, folder, hub):
    hub.fails_with = 403
    with pytest.raises(Unavailable, match="hf auth login"):
        push(run, folder, NAME)

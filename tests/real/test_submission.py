"""The gate on the contest's own sample and on real koBART predictions."""

from pathlib import Path

import msgspec
import pytest

from yoyak.data.clean import summary_of
from yoyak.data.corpus import read_corpus
from yoyak.data.prediction_files import read_predictions
from yoyak.ensemble.candidates import candidates
from yoyak.ensemble.cross_validation import cross_validate
from yoyak.ensemble.imports import import_files
from yoyak.ensemble.member_selection import dev_scores
from yoyak.runs.workspace import Workspace
from yoyak.submission.context import ValidationContext, gather_context
from yoyak.submission.csv_format import read_csv_format
from yoyak.submission.manifest import DevScore, Member, read_manifest
from yoyak.submission.submit import submit
from yoyak.submission.validate import validate
from yoyak.submission.write import Draft, check_file, write_submission
from yoyak.values import Corpus, Interval, Prediction, Rouge

pytestmark = pytest.mark.real

# Only the shape of a record is tested here, not its numbers.
DEV = DevScore(
    rouge=Rouge(rouge1=0.5214, rouge2=0.3210, rougeL=0.4286),
    interval=Interval(low=0.413, high=0.434),
    signature="rouge|profile:official",
    row_means=(0.42,) * 499,
)


def predictions(path: Path) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(id=key, text=summary_of(text, tags_are_tokens=True), raw=text)
        for key, text in read_predictions(path).items()
    )


@pytest.fixture(scope="module")
def corpus(shared) -> Corpus:
    return read_corpus(shared / "data" / "contest")


@pytest.fixture(scope="module")
def test_file(shared) -> Path:
    return shared / "data" / "predictions" / "test_pred_kobart_bkankim.csv"


@pytest.fixture(scope="module")
def evidence(shared, corpus) -> ValidationContext:
    dev = predictions(shared / "data" / "predictions" / "dev_pred_kobart_13gi_nlp5.csv")
    return gather_context(corpus, outputs=dev)


def drafted(outputs) -> Draft:
    return Draft(
        method="best",
        members=(Member(system="kobart", decode="imported"),),
        predictions=outputs,
        data_sha256={},
        dev=DEV,
    )


def test_the_sample_renders_back_to_its_own_bytes(shared):
    sample = (shared / "data" / "contest" / "sample_submission.csv").read_bytes()
    layout = read_csv_format(sample)
    assert layout.table.header.cells == ("", "fname", "summary")
    assert layout.placeholder is not None
    assert layout.render(dict.fromkeys(layout.ids, layout.placeholder)) == sample


def test_the_file_as_a_team_handed_it_in_lacks_the_index_and_has_loose_blanks(test_file, evidence):
    verdict = check_file(test_file, evidence)
    found = {fault.rule: len(fault.places) for fault in verdict.errors}
    assert found == {"header": 1, "column-count": 499, "edge-blank": 499}


def test_the_same_answers_through_the_writer_are_accepted(test_file, evidence, corpus, tmp_path):
    written = write_submission(drafted(predictions(test_file)), evidence, tmp_path)
    again = read_csv_format(Path(written.path).read_bytes())
    sample = evidence.csv_format
    assert written.rows == 499
    assert again.table.header == sample.table.header
    assert again.ids == sample.ids == tuple(one.id for one in corpus.test.dialogues)
    assert [record.cells[0] for record in again.records] == [
        record.cells[0] for record in sample.records
    ]


def test_the_sample_itself_is_no_answer(evidence, shared):
    verdict = check_file(shared / "data" / "contest" / "sample_submission.csv", evidence)
    found = {fault.rule: len(fault.places) for fault in verdict.errors}
    assert found["placeholder"] == 499
    assert found["duplicate-text"] == 499
    assert found["untagged"] == 499


def spoiled(outputs, change, every: int) -> tuple[Prediction, ...]:
    return tuple(
        msgspec.structs.replace(one, text=change(one.text)) if at % 100 < every else one
        for at, one in enumerate(outputs)
    )


def names(outputs, evidence) -> set[str]:
    data = evidence.csv_format.render({one.id: one.text for one in outputs})
    return {fault.rule for fault in validate(data, evidence).errors}


def test_seventy_four_per_cent_cut_endings_are_refused(test_file, evidence):
    cut = spoiled(predictions(test_file), lambda text: text[: len(text) * 3 // 4].strip(), 74)
    assert "unfinished" in names(cut, evidence)
    assert "unfinished" in names(cut, evidence._replace(outputs=None))


def test_deleted_tags_are_refused(test_file, evidence):
    bare = spoiled(
        predictions(test_file),
        lambda text: text.replace("#Person1#", "").replace("#Person2#", "").strip(),
        100,
    )
    assert "untagged" in names(bare, evidence)
    assert "untagged" in names(bare, evidence._replace(outputs=None))


# --- consensus -----------------------------------------------------------------------------------

SOLAR = ("summary_solar_filter", "re_summary_solar")


@pytest.fixture(scope="module")
def imported(shared, corpus, tmp_path_factory) -> Workspace:
    """koBART and two outputs of a zero-shot model, as a team would bring them in."""
    workspace = Workspace(tmp_path_factory.mktemp("real") / "workspace")
    folder = shared / "data" / "predictions"
    dev, test = folder / "dev_pred_kobart_13gi_nlp5.csv", folder / "test_pred_kobart_bkankim.csv"
    import_files(workspace, corpus, "kobart", [dev, test])
    for column in SOLAR:
        path = folder / "dev_solar_zeroshot_13gi_nlp5.csv"
        import_files(workspace, corpus, column, [path], column=column)
    return workspace


def test_the_consensus_is_never_worse_than_the_best_system_beyond_noise(imported, corpus):
    found = candidates(imported, corpus)
    assert found[0].lineage.system == "kobart"
    nested = cross_validate(dev_scores(found, corpus.dev))
    assert nested.blend.interval.high >= 0
    assert nested.random < nested.blend.mean <= nested.oracle
    # Two far weaker systems have nothing to add to koBART, and the figure says so.
    assert nested.choice.column == "kobart/imported"
    assert nested.blend.difference == 0
    assert all(control.interval.high < 0 for control in nested.controls)


def test_imported_predictions_are_handed_in(imported, corpus):
    submission = submit(imported, corpus, "kobart")
    manifest = read_manifest(Path(submission.manifest))
    assert manifest.members[0].system == "kobart"
    assert round(100 * manifest.dev.rouge.rouge1, 2) == 52.14
    assert check_file(Path(submission.path), gather_context(corpus)).accepted

"""A study is begun once, and continued only as what it was begun as."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.errors import UsageError
from yoyak.experiments.begin_study import StudyBudget, continued
from yoyak.experiments.train_study import new_study


@pytest.fixture
def kobart():
    return load.resolve("kobart").recipe


def test_a_study_goes_on_with_more_trials_but_not_with_other_settings_or_data(kobart, corpus):
    asked = new_study(kobart, corpus, StudyBudget(trials=4), name="kobart")
    more = new_study(kobart, corpus, StudyBudget(trials=9, seeds=5), name="kobart")
    assert continued(None, asked) == asked
    assert continued(asked, more) == msgspec.structs.replace(asked, trials_planned=9, seeds=5)
    other = load.resolve("kobart", sets=["train.weight_decay=0.3"]).recipe
    with pytest.raises(UsageError, match="other settings or ranges"):
        continued(asked, new_study(other, corpus, StudyBudget(trials=4), name="kobart"))
    elsewhere = msgspec.structs.replace(asked, dev_sha256="other")
    with pytest.raises(UsageError, match="other data"):
        continued(elsewhere, asked)

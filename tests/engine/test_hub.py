"""A base model's folder: what is there is loaded, what is missing or broken is named."""

import json

import pytest

from yoyak.engine.hub import fetch_config, fetch_generation_stops, fetch_tokenizer
from yoyak.errors import Unavailable

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("default"),  # the training stack warns about itself
]

WORDS = {"<unk>": 0, "</s>": 1, "내일": 2, "만나요": 3}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("transformers")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def base(tmp_path):
    """A folder with a tokenizer of four words, and nothing else."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = tmp_path / "base"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "eos_token": "</s>",
    })  # fmt: skip
    return folder


def write(path, fields):
    path.write_text(json.dumps(fields), "utf-8")


def refused(fetch, base):
    """Return what is said when the folder is refused, which has to name it and a next command."""
    with pytest.raises(Unavailable) as caught:
        fetch(str(base), None)
    said = str(caught.value)
    assert str(base) in said
    assert "→" in said
    return said


def test_a_tokenizer_is_read_from_a_folder(base):
    tokenizer = fetch_tokenizer(str(base), None)
    assert tokenizer("내일 만나요 ?", add_special_tokens=False).input_ids == [2, 3, 0]
    assert tokenizer.eos_token_id == 1


def test_a_configuration_is_read_from_a_folder_and_absent_beside_a_lone_tokenizer(base):
    assert fetch_config(str(base), None) is None
    write(base / "config.json", {"model_type": "bart", "d_model": 48})
    config = fetch_config(str(base), None)
    assert (config.model_type, config.d_model) == ("bart", 48)


@pytest.mark.parametrize(("eos", "stops"), [(2, (2,)), ([7, 2], (7, 2)), (None, ()), (0, (0,))])
def test_the_stops_of_the_generation_config(base, eos, stops):
    assert fetch_generation_stops(str(base), None) == ()
    write(base / "generation_config.json", {"eos_token_id": eos})
    assert fetch_generation_stops(str(base), None) == stops


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    refused(fetch_tokenizer, tmp_path)


def test_a_base_that_is_nowhere_is_named():
    refused(fetch_tokenizer, "nobody/nothing")
    refused(fetch_config, "nobody/nothing")


BROKEN = {"torn": '{"torn": ', "empty": "", "a list": "[]", "a number": "3", "text": '"x"'}


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_tokenizer_is_named(base, name, content):
    (base / name).write_text(content, "utf-8")
    refused(fetch_tokenizer, base)


@pytest.mark.parametrize(
    "content",
    ['{"torn": ', "", "{}", '{"model_type": "no-such-model"}'],
    ids=["torn", "empty", "no type", "unknown type"],
)
def test_a_broken_configuration_is_named(base, content):
    (base / "config.json").write_text(content, "utf-8")
    refused(fetch_config, base)


@pytest.mark.parametrize(
    "content",
    [*BROKEN.values(), '{"eos_token_id": "x"}', '{"eos_token_id": ["x"]}', '{"eos_token_id": {}}'],
)
def test_a_broken_generation_config_is_named_and_not_taken_for_none(base, content):
    (base / "generation_config.json").write_text(content, "utf-8")
    refused(fetch_generation_stops, base)


@pytest.mark.parametrize("field", ["added_tokens_decoder", "eos_token", "chat_template"])
@pytest.mark.parametrize("value", [3, [3], {"x": 3}])
def test_fields_of_the_wrong_type_end_in_one_sentence_or_are_left_alone(base, field, value):
    path = base / "tokenizer_config.json"
    write(path, json.loads(path.read_text("utf-8")) | {field: value})
    said = ""
    try:
        fetch_tokenizer(str(base), None)
    except Unavailable as error:
        said = str(error)
    assert "\n" not in said


def test_a_vocabulary_is_read_as_it_is_whatever_class_is_named(base):
    """transformers' T5 class fails on a vocabulary that is no SentencePiece model."""
    from transformers import AutoTokenizer

    path = base / "tokenizer_config.json"
    write(path, json.loads(path.read_text("utf-8")) | {"tokenizer_class": "T5TokenizerFast"})
    with pytest.raises(TypeError):
        AutoTokenizer.from_pretrained(base)
    tokenizer = fetch_tokenizer(str(base), None)
    assert tokenizer("내일 만나요", add_special_tokens=False).input_ids == [2, 3]


def test_code_that_comes_with_a_base_is_never_run(base):
    write(base / "config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}})
    (base / "evil.py").write_text("raise SystemExit('it ran')", "utf-8")
    assert "auto_map" in refused(fetch_config, base)


def test_a_tokenizer_class_that_comes_as_code_is_not_needed_beside_a_whole_vocabulary(base):
    path = base / "tokenizer_config.json"
    fields = json.loads(path.read_text("utf-8"))
    write(path, fields | {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}})
    (base / "evil.py").write_text("raise SystemExit('it ran')", "utf-8")
    ids = fetch_tokenizer(str(base), None)("내일", add_special_tokens=False).input_ids
    assert ids == [WORDS["내일"]]
    (base / "tokenizer.json").unlink()
    assert "auto_map" in refused(fetch_tokenizer, base)

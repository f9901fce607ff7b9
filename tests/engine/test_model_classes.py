"""What is read from transformers' source is what transformers says when it is imported."""

import subprocess
import sys

import pytest

from yoyak.engine import model_classes

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("causal", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"),
        ("seq2seq", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"),
    ],
)
def test_classes_are_those_of_the_auto_classes(kind, table):
    from transformers.models.auto import modeling_auto

    known = getattr(modeling_auto, table)
    assert len(known) > 30
    assert {name: model_classes.class_name(name, kind) for name in known} == dict(known)
    assert model_classes.class_name("nonsense", kind) is None


@pytest.mark.parametrize(
    "model_type", ["qwen3", "gemma3_text", "t5", "mbart", "gpt2", "exaone4", "phi3", "llama"]
)
def test_defaults_are_those_of_the_configuration_class(model_type):
    said = transformers.AutoConfig.for_model(model_type).to_dict()
    read = model_classes.with_defaults({"model_type": model_type})
    sizes = {name: value for name, value in read.items() if isinstance(value, int) and name in said}
    assert len(sizes) > 8
    computed = {
        "sliding_window",
        "tie_word_embeddings",
        "num_key_value_heads",
        "head_dim",
        "num_decoder_layers",
    }
    assert {name: said[name] for name in sizes if name not in computed} == {
        name: value for name, value in sizes.items() if name not in computed
    }


def test_a_nested_configuration_is_completed_and_what_is_given_stays():
    config = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "head_dim": 7}}
    text = model_classes.with_defaults(config)["text_config"]
    assert (text["head_dim"], text["num_attention_heads"], text["vocab_size"]) == (7, 8, 262_208)
    assert model_classes.with_defaults({"model_type": "../x"}) == {"model_type": "../x"}


def test_encoders_are_told_from_what_generates():
    assert model_classes.is_encoder("bert")
    assert not model_classes.is_encoder("bart")
    assert not model_classes.is_encoder("qwen3")


def test_nothing_of_it_imports_torch_or_transformers():
    code = (
        "import sys\nfrom yoyak.engine import model_classes as m\n"
        "assert m.class_name('qwen3', 'causal') and m.with_defaults({'model_type': 't5'})['d_ff']\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

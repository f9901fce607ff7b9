"""Recipes resolve from their layers, say where each value comes from, and refuse nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import messages
from yoyak.config import load
from yoyak.config.schema import BeamSearch, Greedy, LrScheduler, PublishedBase, Sampling
from yoyak.errors import BadRecipe, InputMissing


@pytest.mark.parametrize("name", load.names())
def test_every_bundled_recipe_resolves(name):
    recipe, origins, _ = load.resolve(name)
    assert recipe.name == name
    assert origins.keys() == dict(load.settings_of(recipe)).keys()


def test_the_line_up_states_the_values_of_the_report():
    lineup = {name: load.resolve(name).recipe for name in load.names()}
    kobart = lineup["kobart"]
    assert kobart.model.base == "gogamza/kobart-base-v2"
    assert kobart.model.quantisation is None
    assert (kobart.train.epochs, kobart.train.batch_size) == (20, 8)
    assert kobart.train.learning_rate == 5e-5
    llama = lineup["llama32-ko-3b"]
    assert llama.model.base == "beomi/Llama-3.2-Korean-3B-Instruct"
    assert llama.model.alternative == "Bllossom/llama-3.2-Korean-Bllossom-3B"
    assert llama.lora is not None
    assert (llama.lora.r, llama.lora.lora_alpha, llama.lora.lora_dropout) == (16, 32, 0.05)
    assert llama.train.batch_size == 8
    assert llama.train.lr_scheduler is LrScheduler.COSINE
    assert (llama.train.epochs, llama.train.warmup_ratio, llama.train.max_grad_norm) == (
        10,
        0.03,
        1,
    )
    expected = {
        "qwen3-4b": ("Qwen/Qwen3-4B-Instruct-2507", 2e-4),
        "qwen25-7b": ("Qwen/Qwen2.5-7B-Instruct", 1e-4),
        "llama3-ko-8b": ("beomi/Llama-3-Open-Ko-8B-Instruct-preview", 1e-4),
    }
    for name, (base, learning_rate) in expected.items():
        recipe = lineup[name]
        assert recipe.model.quantisation == "nf4"
        assert recipe.model.base == base
        assert recipe.train.batch_size == 8
        assert recipe.train.micro_batch_size is None, "a token budget cuts the batch"
        assert recipe.train.learning_rate == learning_rate


def test_scoring_is_deterministic_and_stops_early_by_default():
    for name in load.names():
        recipe = load.resolve(name).recipe
        assert not isinstance(recipe.decode, Sampling)
        assert recipe.evaluate.patience is not None


def test_a_setting_says_where_it_comes_from():
    project = {"recipes": {"qwen25-7b": {"train": {"epochs": 3}}}}
    recipe, origins, _ = load.resolve(
        "qwen25-7b", project=project, sets=["train.learning_rate=5e-5", "model.base=my/fork"]
    )
    assert (recipe.train.epochs, recipe.train.learning_rate) == (3, 5e-5)
    assert recipe.model.base == "my/fork"
    assert origins["train.epochs"] == "yoyak.toml"
    assert origins["train.learning_rate"] == "--set train.learning_rate=5e-5"
    assert origins["base.licence"] == "default", "what was published is of another base"
    assert recipe.base == PublishedBase()
    assert origins["lora.r"] == "recipes/qlora-base.toml"
    assert origins["train.seed"] == "default"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("train.epoch=3", "did you mean 'epochs'"),
        ('train.epochs="3"', "train.epochs takes a value of the type int, not str"),
        ("train.epochs=-1", "train.epochs has to be >= 0"),
        ("model.quantisation=int3", "model.quantisation does not know the value 'int3'"),
        ("prompt.examples=2", "prompt.examples are for chat models"),
        ("train.micro_batch_size=3", "must be a multiple of"),
        ("trian.epochs=3", "did you mean 'train'"),
        ("decode.beamz=3", "beamz"),
        ("model.quantisation=int3", "quantisation"),
        ("train.epochs", "expected a.b=value"),
        ("evaluate.metric=rougel", "did you mean 'rougeL'"),
        ("evaluate.metric=rouge", "one of rouge_mean, rouge1, rouge2, rougeL, eval_loss"),
        ("evaluate.metric=evalloss", "did you mean 'eval_loss'"),
        ("evaluate.metric=3", "no such value"),
        ("train.lr_scheduler=cosin", "did you mean 'cosine'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place(spec, said):
    with pytest.raises(BadRecipe, match=said.replace("$", r"\$").replace(".", r"\.")) as caught:
        load.resolve("qwen25-7b", sets=[spec])
    assert caught.value.exit_code == 78


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(BadRecipe, match="did you mean 'qwen25-7b'"):
        load.resolve("qwen2.5-7b")


def test_a_recipe_file_can_extend_a_bundled_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "qwen3-4b"\n[train]\nepochs = 1\n', encoding="utf-8")
    recipe, origins, _ = load.resolve(str(path))
    assert recipe.name == "mine"
    assert (recipe.train.epochs, recipe.train.learning_rate) == (1, 2e-4)
    assert origins["train.epochs"] == str(path)
    path.write_text(f'extends = "{path}"\n', encoding="utf-8")
    with pytest.raises(BadRecipe, match="extends itself"):
        load.resolve(str(path))
    path.write_text("train = [", encoding="utf-8")
    with pytest.raises(BadRecipe, match="not valid TOML"):
        load.resolve(str(path))
    with pytest.raises(InputMissing):
        load.resolve(str(tmp_path / "none.toml"))
    path.write_text("[train]\nepochs = 1\n", encoding="utf-8")
    with pytest.raises(BadRecipe, match="names no engine"):
        load.resolve(str(path))


def test_another_kind_of_decoding_forgets_the_settings_of_the_first():
    assert isinstance(load.resolve("kobart").recipe.decode, BeamSearch)
    changed = load.resolve("kobart", sets=["decode.kind=greedy"]).recipe
    assert changed.decode == Greedy()


def test_a_decoding_without_a_kind_is_greedy():
    recipe = load.resolve("lead", sets=["decode.max_new_tokens=8"]).recipe
    assert recipe.decode == Greedy(max_new_tokens=8)


def test_none_switches_an_optional_setting_off():
    assert load.resolve("kobart", sets=["evaluate.patience=none"]).recipe.evaluate.patience is None


@given(
    st.sampled_from(sorted(dict(load.settings_of(load.resolve("qwen3-4b").recipe)))),
    st.data(),
)
def test_every_misspelt_setting_is_refused(setting, data):
    position = data.draw(st.integers(0, len(setting) - 1))
    misspelt = setting[:position] + "x" + setting[position:]
    with pytest.raises(BadRecipe):
        load.resolve("qwen3-4b", sets=[f"{misspelt}=1"])


def test_the_removed_setting_of_several_gpus_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "kobart"\n[train]\nprocesses = 2', encoding="utf-8")
    with pytest.raises(BadRecipe, match=r"was removed: how many processes.*mine\.toml"):
        load.resolve(str(path))
    with pytest.raises(BadRecipe, match=r"delete train\.processes"):
        load.resolve("kobart", sets=["train.processes=1"])


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999", "99999999999999999999"])
def test_a_number_that_json_cannot_hold_is_refused(value):
    with pytest.raises(BadRecipe, match=r"max_grad_norm = .*finite number.*--set"):
        load.resolve("kobart", sets=[f"train.max_grad_norm={value}"])
    with pytest.raises(BadRecipe, match=r"decode\.length_penalty"):
        load.resolve("kobart", sets=[f"decode.length_penalty={value}"])


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["decode=greedy"], "decode is a section"),
        (["decode.num_beams.x=2"], "decode.num_beams is a single value"),
        (["train.epochs.x=2"], "train.epochs is a single value"),
        (["train=3", "train.epochs=2"], "train is a section"),
        (["train=none"], "of the type object"),
        (["lora=none", "model.quantisation=none", "lora.r=x"], "of the type int"),
        (["about=\udcff"], "about is not text"),
        (["engine=3"], "(--set engine=3)"),
        (["train.epochs=" + "[" * 5000], "of the type int"),
        ([".".join("a" * 3000) + "=1"], "a: no such setting"),
    ],
)
def test_a_value_of_another_shape_is_refused_with_its_place(sets, said):
    with pytest.raises(BadRecipe) as caught:
        load.resolve("qwen3-4b", sets=sets)
    assert said in str(caught.value)


def test_adapters_can_be_switched_off_and_on_again():
    off = ["lora=none", "model.quantisation=none"]
    assert load.resolve("qwen3-4b", sets=off).recipe.lora is None
    on = load.resolve("qwen3-4b", sets=[*off, "lora.r=4"]).recipe
    assert on.lora is not None
    assert on.lora.r == 4


def test_what_extends_names_is_a_recipe(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("extends = 3\n", "utf-8")
    with pytest.raises(BadRecipe, match=r"extends = 3.*a\.toml"):
        load.resolve(str(path))


def test_a_chain_of_extends_has_an_end(tmp_path):
    for number in range(1500):
        following = tmp_path / f"{number + 1}.toml"
        (tmp_path / f"{number}.toml").write_text(f'extends = "{following}"\n', "utf-8")
    with pytest.raises(BadRecipe, match=r"extends more than 32 others.*0\.toml"):
        load.resolve(str(tmp_path / "0.toml"))


@pytest.mark.parametrize("name", ["요약", "my recipe", "qwen2.5"])
def test_a_recipe_file_may_have_any_readable_name(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text('extends = "lead"\n', "utf-8")
    project = {"recipes": {name: {"about": "ours"}}}
    recipe = load.resolve(str(path), project=project).recipe
    assert (recipe.name, recipe.about) == (name, "ours")


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\\nb", "x" * 81])
def test_a_name_that_cannot_be_shown_on_a_line_is_refused(name):
    with pytest.raises(BadRecipe, match="name"):
        load.resolve("lead", sets=[f'name="{name}"'])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ('train.epochs="3"', "train.epochs에는 int 유형의 값이 와야"),
        ("train.epochs=-1", "train.epochs의 값은 >= 0"),
        ("model.quantisation=int3", "'int3' 값은 없습니다"),
        ("train.micro_batch_size=3", "batch_size(8)는 micro_batch_size(3)의 배수여야"),
        ("lora=none", "[lora] 없이 학습할 수 없습니다"),
    ],
)
def test_why_a_setting_is_wrong_is_said_in_korean_too(spec, said):
    with messages.speaking("ko"), pytest.raises(BadRecipe) as caught:
        load.resolve("qwen25-7b", sets=[spec])
    with messages.speaking("ko"):
        assert said in str(caught.value)
        assert "Expected" not in str(caught.value)


def test_a_recipe_from_a_file_is_named_by_it(tmp_path):
    path = tmp_path / "my pko.toml"
    path.write_text('extends = "lead"\n', encoding="utf-8")
    recipe = load.resolve(str(path)).recipe
    assert recipe.argument == f"'{path}'"
    moved = tmp_path / "elsewhere" / "my pko.toml"
    moved.parent.mkdir()
    path.rename(moved)
    assert load.resolve(str(moved)).recipe.full_hash == recipe.full_hash
    assert load.resolve("lead").recipe.argument == "lead"


@pytest.mark.parametrize(
    ("name", "content", "other"),
    [
        ("mine.yaml", "engine: lead\n", "YAML"),
        ("mine.json", '{"engine": "lead"}', "JSON"),
        ("mine.toml", "# mine\n\nengine: lead\ntrain:\n  epochs: 3\n", "YAML"),
        ("mine.toml", "---\nengine: lead\n", "YAML"),
        ("mine.toml", '{"engine": "lead"}', "JSON"),
    ],
)
def test_a_recipe_in_another_format_is_named_as_such(tmp_path, name, content, other):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadRecipe, match=f"is {other}, and recipes are TOML"):
        load.resolve(str(tmp_path / name))

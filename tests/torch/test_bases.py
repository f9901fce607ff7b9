"""Every supported architecture trains, resumes, generates and exports by the command line.

The bases are tiny random models in local folders, with a tokenizer in the format of their family.
What is found is the table of docs/bases.md: ``YOYAK_REWRITE=1 pytest tests/torch/test_bases.py``
writes it, every other run must find the same.
"""

import contextlib
import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from support.architectures import SEQ2SEQ, Shape, config_of
from support.forked_worker import *  # noqa: F403
from support.tokenizers import FORMS, Form, write_tokenizer
from yoyak.cli import main
from yoyak.errors import BadData
from yoyak.events import PreflightPassed, RunStatus, Started, TrainStep
from yoyak.runs.workspace import Workspace

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

DOCUMENT = Path(__file__).parents[2] / "docs" / "bases.md"
METHODS = ("whole", "LoRA", "4-bit")
STEPS, SAVED_AFTER = 4, 2
ROWS = {"train": range(8), "dev": range(20, 22), "test": range(24, 26)}


class Base(NamedTuple):
    """A row of the table: class of the configuration, form of the tokenizer, known models."""

    architecture: str
    form: str
    models: str


BASES = {
    "bart": Base("bart", "kobart", "koBART, BART"),
    "mbart": Base("mbart", "mbart50", "mBART, mBART-50"),
    "t5": Base("t5", "ke-t5", "T5 1.0"),
    "t5-v1.1": Base("t5-v1.1", "ke-t5", "T5 1.1, KE-T5"),
    "mt5": Base("mt5", "mt5", "mT5"),
    "pko-t5": Base("pko-t5", "pko-t5", "pko-t5"),
    "longt5": Base("longt5", "mt5", "LongT5"),
    "pegasus": Base("pegasus", "pegasus", "Pegasus"),
    "bert2bert": Base("bert2bert", "bert2bert", "two BERTs as EncoderDecoderModel"),
    "llama": Base("llama", "llama3", "Llama 3, 3.1, 3.2; Kanana"),
    "llama-base": Base("llama", "llama3-base", "a Llama without a chat template"),
    "solar": Base("llama", "solar", "SOLAR-10.7B"),
    "qwen2": Base("qwen2", "qwen2_5", "Qwen2.5, A.X 4 Light"),
    "qwen3": Base("qwen3", "qwen3", "Qwen3"),
    "qwen3.5": Base("qwen3.5", "qwen3", "Qwen3.5 (text)"),
    "gemma2": Base("gemma2", "gemma2", "Gemma 2"),
    "gemma3": Base("gemma3", "gemma3", "Gemma 3 270M, 1B"),
    "gemma3-vision": Base("gemma3-vision", "gemma3", "Gemma 3 4B, 12B, 27B"),
    "exaone4": Base("exaone4", "exaone4", "EXAONE 4.0"),
    "mistral": Base("mistral", "mistral", "Mistral 7B"),
    "phi3": Base("phi3", "phi3", "Phi-3"),
    "smollm3": Base("smollm3", "smollm3", "SmolLM3"),
    "hyperclovax": Base("hyperclovax", "hyperclova", "HyperCLOVA X SEED Think"),
    "gpt2": Base("gpt2", "kogpt2", "KoGPT2"),
    "gpt-neox": Base("gpt-neox", "polyglot", "Polyglot-Ko"),
}
QUICK = {("t5-v1.1", "whole"), ("bert2bert", "LoRA"), ("gemma3", "4-bit"), ("gpt2", "whole")}
"""One of each kind of head, wrapper, attention and layer; ``make faults`` runs the others."""

OTHER_CHARACTERS = "를 7월 30일에 말합니다. 을 회의로 옮기자고 대화 요약하세요 한 문장으로"
"""Of prompts and checks, for vocabularies without byte fallback."""

RECIPE = """
engine = "{engine}"

[model]
base = "./base"
{quantisation}
{lora}
[prompt]
style = "{style}"
system = "대화를 요약하세요."
instruction = "한 문장으로 요약하세요."
max_source_tokens = 1200
max_summary_tokens = 400

[train]
epochs = 9
max_steps = 4
batch_size = 2
learning_rate = 1e-3
save_every_steps = 2

[evaluate]
every_epochs = "none"

[decode]
kind = "greedy"
max_new_tokens = 8
"""


@pytest.fixture
def data(dialogues, tmp_path):
    """A data folder of a few rows."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, numbers in ROWS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            columns = ["fname", "dialogue"] + (["summary"] if name != "test" else [])
            table.writerow(columns)
            for number in numbers:
                row = dialogues[number]
                cells = [row.id, row.text, row.references[0]]
                table.writerow(cells[: len(columns)])
    return folder


@pytest.fixture
def base(tmp_path, dialogues):
    """Writes the base of a row of the table and returns its folder."""

    def write(row: Base) -> Path:
        import transformers as hf

        folder = tmp_path / "base"
        texts = [text for each in dialogues for text in (each.text, *each.references)]
        texts.append(OTHER_CHARACTERS)
        write_tokenizer(row.form, folder, texts)
        seq2seq = row.architecture in SEQ2SEQ
        shape = shape_of(FORMS[row.form], folder)
        auto = hf.AutoModelForSeq2SeqLM if seq2seq else hf.AutoModelForCausalLM
        with torch.random.fork_rng():
            torch.manual_seed(7)
            auto.from_config(config_of(row.architecture, shape)).save_pretrained(folder)
        write_tokenizer(row.form, folder, texts)  # a model's own generation config is none
        return folder

    return write


def shape_of(form: Form, folder: Path) -> Shape:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {role: tokenizer.token_to_id(token) for role, token in form.roles.items()}
    return Shape(
        tokens=tokenizer.get_vocab_size(),
        pad=ids.get("pad_token", 0),
        stop=ids.get("eos_token", ids.get("sep_token")),
        bos=ids.get("bos_token"),
        start=tokenizer.token_to_id(form.decoder_start or "</s>"),
    )


class Yoyak:
    """The command line in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object) -> str:
        stdout, stderr = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("YOYAK_LANG", "en")
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.chdir(self.folder)
            with (
                contextlib.redirect_stdout(stdout),
                contextlib.redirect_stderr(stderr),
                pytest.raises(SystemExit) as ended,
            ):
                main([str(word) for word in words])
        logs = [path.read_text() for path in self.folder.glob("workspace/runs/*/worker.log")]
        self.code = ended.value.code or 0
        return "\n".join([stdout.getvalue(), stderr.getvalue(), *logs])


def recipe_of(row: Base, method: str) -> str:
    seq2seq = row.architecture in SEQ2SEQ
    return RECIPE.format(
        engine="seq2seq" if seq2seq else "qlora",
        style="source" if seq2seq else "chat",
        quantisation='quantisation = "nf4"\n' if method == "4-bit" else "",
        lora="" if method == "whole" else "[lora]\nr = 4\nlora_dropout = 0.05\n",
    )


def cases():
    for name in BASES:
        for method in METHODS:
            marks = () if (name, method) in QUICK else (pytest.mark.slow,)
            yield pytest.param(name, method, marks=marks, id=f"{name}-{method}")


@pytest.mark.parametrize(("name", "method"), list(cases()))
def test_a_base_goes_all_the_way(name, method, base, data, tmp_path, forked_workers, table):
    row = BASES[name]
    folder = base(row)
    (tmp_path / "small.toml").write_text(recipe_of(row, method), encoding="utf-8")
    yoyak = Yoyak(tmp_path)
    forked_workers.kill_after_step = SAVED_AFTER
    said = yoyak("run", "./small.toml", "--data", data)  # an empty answer refuses a submission
    assert yoyak.code in {0, BadData.exit_code}, said
    (run,) = Workspace(tmp_path / "workspace").runs()
    assert run.state().status is RunStatus.FINISHED, said
    events = run.events()
    steps = [event.step for event in events if isinstance(event, TrainStep)]
    assert sum(isinstance(event, Started) for event in events) == 2, "killed once"
    assert steps == list(range(1, STEPS + 1)), "no step lost, none made twice"
    (proof,) = [event for event in events if isinstance(event, PreflightPassed)]
    assert all(check.passed for check in proof.checks)
    for split in ("dev", "test"):
        assert len(run.predictions(split)) == len(ROWS[split])
    said = yoyak("export", run.name, "--to", "exported")
    assert yoyak.code == 0, said
    assert_exported(tmp_path / "exported", folder, run, method)
    table(name, method)


def assert_exported(exported: Path, base: Path, run, method: str) -> None:
    """Without yoyak's engine: transformers and peft load it and generate what the run predicted."""
    import transformers as hf
    from peft import PeftModel

    from yoyak.data.corpus import read_corpus
    from yoyak.engine.models.model import text_config
    from yoyak.engine.tokenization.encode import encode_rows
    from yoyak.engine.tokenization.tokenizer import load_tokenizer

    seq2seq = run.recipe.engine == "seq2seq"
    auto = hf.AutoModelForSeq2SeqLM if seq2seq else hf.AutoModelForCausalLM
    if method == "whole":
        model = auto.from_pretrained(exported, dtype=torch.float32)
    else:
        plain = auto.from_pretrained(base, dtype=torch.float32)
        model = PeftModel.from_pretrained(plain, exported)
        adapters = [value for name, value in model.named_parameters() if ".lora_B." in name]
        assert adapters
        assert all(bool(value.any()) for value in adapters)
    tokenizer = load_tokenizer(str(run.engine_folder / "weights"), run.recipe)
    (dialogue, *_) = read_corpus(base.parent / "data").dev.dialogues
    (row,) = encode_rows(tokenizer, [dialogue], run.recipe.prompt, with_answers=False)
    ids = torch.tensor([row.source_ids])
    settings = hf.GenerationConfig.from_pretrained(exported)
    spare = range(tokenizer.vocab_size, text_config(model).vocab_size)
    settings.suppress_tokens = [*(settings.suppress_tokens or ()), *spare] or None
    with torch.no_grad():
        new = model.eval().generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )[0]
    if method == "4-bit":
        return  # the run's base was rounded, so its words may differ
    answer = new[1:] if seq2seq else new[ids.shape[1] :]
    predicted = {each.id: each.raw for each in run.predictions("dev")}
    assert tokenizer.decode(answer.tolist()) == predicted[dialogue.id]


# --- docs/bases.md -------------------------------------------------------------------------------

BEGIN, END = "<!-- table: tests/torch/test_bases.py -->", "<!-- end of the table -->"
HEAD = "| base | known models | trained whole | LoRA | 4-bit LoRA | generates, exports |\n" + (
    "|---|---|---|---|---|---|\n"
)


def cells_of(document: str) -> dict[str, set[str]]:
    """Read which methods the table says work, by base."""
    found: dict[str, set[str]] = {}
    for line in document.split(BEGIN)[1].split(END, maxsplit=1)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in BASES:
            found[cells[0]] = {
                method for method, cell in zip(METHODS, cells[2:5], strict=True) if cell == "✔"
            }
    return found


def table_of(works: dict[str, set[str]]) -> str:
    lines = [HEAD]
    for name, row in BASES.items():
        marks = ["✔" if method in works.get(name, set()) else "–" for method in METHODS]
        through = "✔" if works.get(name) else "–"
        lines.append(f"| {' | '.join((name, row.models, *marks, through))} |\n")
    return "".join(lines)


@pytest.fixture(scope="session")
def table():
    """Notes that a base went all the way with a method; compared with the document."""
    document = DOCUMENT.read_text(encoding="utf-8")
    works = cells_of(document)
    rewriting = os.environ.get("YOYAK_REWRITE") == "1"

    def note(name: str, method: str) -> None:
        if rewriting:
            works.setdefault(name, set()).add(method)
        else:
            assert method in works.get(name, set()), f"{DOCUMENT.name} says that it does not work"

    yield note
    if rewriting:
        before, rest = document.split(BEGIN)
        after = rest.split(END)[1]
        text = f"{before}{BEGIN}\n{table_of(works)}{END}{after}"
        DOCUMENT.write_text(text, encoding="utf-8")


def test_the_table_has_every_base_and_says_what_is_known_of_it():
    document = DOCUMENT.read_text(encoding="utf-8")
    assert table_of(cells_of(document)) in document

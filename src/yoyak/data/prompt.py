"""Render a dialogue as a prompt: one function for training, evaluation and inference.

It takes what every split has, an id and turns, by type: a topic or a reference cannot get in.
What is too long loses words of the dialogue as text, never the instruction and never token ids.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from yoyak.config.schema import PromptSettings
from yoyak.data.clean import TAG
from yoyak.errors import BadRecipe
from yoyak.values import Message, Source, Turn

GAP = "[중략]"
"""Stands on a line of its own where turns were left out, and inside a turn that was shortened."""

_PERSON = re.compile(r"#Person(\d+)#")
_GAP_TURN = Turn(speaker="", text=GAP)

CountTokens = Callable[[Source], int]
"""Counts the tokens of a whole source, chat template included."""

Cut = Callable[[int], tuple[Turn, ...]]
"""Shortens turns; a smaller number gives shorter turns."""


class PromptExample(Protocol):
    """The part of a train row that may be shown as an example."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Return the turns in order."""

    @property
    def references(self) -> tuple[str, ...]:
        """Return its summaries, of which the first is shown."""


class PromptDialogue(Protocol):
    """The part of a dialogue that a prompt may know."""

    @property
    def id(self) -> str:
        """Return the row's fname."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Return the turns in order."""


def render(
    dialogue: PromptDialogue,
    settings: PromptSettings,
    *,
    examples: Sequence[PromptExample] = (),
    count_tokens: CountTokens | None = None,
) -> Source:
    """Return the prompt of one dialogue, at most ``settings.max_source_tokens`` long.

    Too long a dialogue is shortened as little as possible, in this order: the middle of a turn
    that is longer than all others together; middle turns, while the first and the last one stay;
    the middle of those two. ``GAP`` marks every place.

    Args:
        dialogue: anything with an id and turns.
        settings: the recipe's prompt.
        examples: answered before it in a chat, each whole; the question alone is shortened.
        count_tokens: how long a source is; without it nothing is shortened.

    Raises:
        BadRecipe: the instruction and the dialogue's two ends, cut to a letter, do not fit.
    """
    limit = settings.max_source_tokens
    count = count_tokens or (lambda _: 0)

    def fitting(turns: tuple[Turn, ...]) -> Source | None:
        source = _source(dialogue, settings, turns, examples)
        return source if count(source) <= limit else None

    whole = fitting(dialogue.turns)
    shorter = (_largest(cut, sizes, fitting) for cut, sizes in _ways_to_shorten(dialogue.turns))
    found = whole or next(filter(None, shorter), None)
    if found is None:
        least = tuple(_shortened(turn, 1) for turn in _ends(dialogue.turns))
        needed = count(_source(dialogue, settings, least, examples))
        raise BadRecipe(
            "data.no-room", id=dialogue.id, needed=needed, limit=limit, suggested=2 * needed
        )
    return found


def _source(
    dialogue: PromptDialogue,
    settings: PromptSettings,
    turns: tuple[Turn, ...],
    examples: Sequence[PromptExample],
) -> Source:
    dropped = len(dialogue.turns) - sum(turn is not _GAP_TURN for turn in turns)
    if settings.style == "source":
        shown = "\n".join(
            filter(None, (settings.system, settings.instruction, format_turns(settings, turns)))
        )
        return Source(id=dialogue.id, text=shown, turns_dropped=dropped)
    system = (Message(role="system", text=settings.system),) if settings.system else ()
    shots = [
        message
        for example in examples
        for message in (
            _question(settings, example.turns),
            Message(role="assistant", text=example.references[0]),
        )
    ]
    messages = (*system, *shots, _question(settings, turns))
    return Source(id=dialogue.id, messages=messages, turns_dropped=dropped)


def _question(settings: PromptSettings, turns: tuple[Turn, ...]) -> Message:
    text = "\n\n".join(filter(None, (settings.instruction, format_turns(settings, turns))))
    return Message(role="user", text=text)


def format_turns(settings: PromptSettings, turns: tuple[Turn, ...]) -> str:
    """Return turns and speakers as a prompt has them."""
    lines = [turn.line for turn in turns]
    if settings.speaker_names == "words":
        lines = [_PERSON.sub(r"화자 \1", line) for line in lines]
    if settings.turn_format == "numbered":
        lines = [f"{number}. {line}" for number, line in enumerate(lines, 1)]
    return ("\n\n" if settings.turn_format == "spaced" else "\n").join(lines)


# --- shortening ------------------------------------------------------------------------------


def _ways_to_shorten(turns: tuple[Turn, ...]) -> Iterator[tuple[Cut, range]]:
    """Yield ways to shorten with the sizes each may take, the least harmful way first."""
    if not turns:
        return
    ends = _ends(turns)
    lengths = [len(turn.text) for turn in turns]
    longest = lengths.index(max(lengths))
    if 2 * lengths[longest] > sum(lengths):
        before, giant, after = turns[:longest], turns[longest], turns[longest + 1 :]
        yield lambda size: (*before, _shortened(giant, size), *after), range(1, len(giant.text))
        turns = (*before, _shortened(giant, 1), *after)
    if len(turns) > 2:
        kept = turns
        yield lambda size: _without_middle(kept, size), range(2, len(turns))
    yield lambda size: tuple(_shortened(turn, size) for turn in ends), range(1, max(lengths) + 1)


def _ends(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return turns if len(turns) < 3 else _without_middle(turns, 2)


def _without_middle(turns: tuple[Turn, ...], kept: int) -> tuple[Turn, ...]:
    return (*turns[: (kept + 1) // 2], _GAP_TURN, *turns[len(turns) - kept // 2 :])


def _shortened(turn: Turn, kept: int) -> Turn:
    """Return the turn with about ``kept`` characters of its two ends; no tag is cut in half."""
    text = turn.text
    if turn is _GAP_TURN or kept + len(f" {GAP} ") >= len(text):
        return turn  # the mark would take more room than the words it stands for
    head, tail = (kept + 1) // 2, len(text) - kept // 2
    for tag in re.finditer(TAG, text):
        head = tag.start() if tag.start() < head < tag.end() else head
        tail = tag.end() if tag.start() < tail < tag.end() else tail
    ends = (text[:head].rstrip(), GAP, text[tail:].lstrip())
    return Turn(speaker=turn.speaker, text=" ".join(filter(None, ends)))


def _largest(
    cut: Cut, sizes: range, fitting: Callable[[tuple[Turn, ...]], Source | None]
) -> Source | None:
    """Return the source of the largest size that fits, by bisection."""
    found = None
    low, high = sizes.start, sizes.stop
    while low < high:
        middle = (low + high) // 2
        source = fitting(cut(middle))
        if source is None:
            high = middle
        else:
            found, low = source, middle + 1
    return found

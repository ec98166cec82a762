"""Dialogues: threads of skills, interleaved; endless, and the same everywhere for the same seed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from mini_ism.checks import check_kind, real_number, whole_number
from mini_ism.corpus.portable_random import below, between, chance, pick, pick_weighted
from mini_ism.corpus.registry import ACK, Entry, Turn, get_entry, skill_names
from mini_ism.corpus.version_1 import JOBS, MANNERS
from mini_ism.corpus.world import LATEST, Guide, World, get_lexicon
from mini_ism.dialogue import check_messages

Message = dict[str, Any]


class SplitSpec(NamedTuple):
    """How large a split's dialogues are, and which hash buckets (of 100) are its own."""

    buckets: range
    threads: tuple[int, int]
    sizes: tuple[int, int]  # facts per thread
    turns: int  # user turns at most; at least two
    length: int  # at most, roughly in tokens of text: see `_length`
    held_out: bool = False  # words and wordings that no other split has


SPLITS: dict[str, SplitSpec] = {
    "train": SplitSpec(range(0, 85), (1, 4), (2, 6), 8, 165),
    "validation": SplitSpec(range(85, 90), (1, 4), (2, 6), 8, 165),
    "test": SplitSpec(range(90, 95), (1, 4), (2, 6), 8, 165),
    "long": SplitSpec(range(95, 100), (2, 6), (8, 12), 12, 300),
    # In the test's buckets, since a dialogue without names and things could be in both.
    "held_out": SplitSpec(range(90, 95), (1, 4), (2, 6), 8, 165, held_out=True),
}
SYSTEM_SHARE = 0.25
MERGE_SHARE = 0.6
ATTEMPTS = 5000  # dialogues drawn in search of one that belongs to the split
THREAD_ATTEMPTS = 12  # threads drawn for one dialogue

# Words that may lose their capital; a name must keep it, or its answer would not be a copy.
# fmt: off
_OPENERS = frozenset((
    "The", "I", "My", "Where", "Where's", "Do", "What", "What's", "Who", "How", "Which", "Swap",
    "In", "Call", "Hello", "Hi", "Good", "Thank", "Thanks", "Goodbye", "Bye",
    "I'm", "You", "Tell", "Say", "There", "Can", "Could", "Please", "Are", "Is", "Does", "People", "Hey", "See", "Help",
    "Write", "Sing", "Play", "Draw", "Give", "Show", "Make", "Explain", "When", "Why", "Translate", "Nice", "At", "On",
))
# fmt: on
_FIRST_PERSON = re.compile(r"\b(I|My|Call me)\b")
_MARK = re.compile(r"[.,?:]")
_STYLES = ("Answer in a few words.", "Be kind and brief.")
_PERSONAS = ("You are {name}, a {manner} {job}.", "Your name is {name}. You are a {job}.")


@dataclass(frozen=True)
class Dialogue:
    """One conversation.

    Attributes:
        messages: `{"role": ..., "content": ...}`: an optional system message, then user and assistant alternate.
        skills: one label for each assistant message.

    Raises:
        TypeError: the messages are not a list of mappings, or the skills not a list of texts.
        ValueError: there are more or fewer skills than answers.
    """

    messages: list[Message]
    skills: list[str]

    def __post_init__(self) -> None:
        check_messages(self.messages)
        answers = sum(message["role"] == "assistant" for message in self.messages)
        given: object = self.skills
        if not isinstance(given, list | tuple) or not all(isinstance(skill, str) for skill in given):
            raise TypeError(f"skills must be a list of texts, one for each answer, got {given!r}")
        if len(given) != answers:
            raise ValueError(f"a dialogue of {answers} answers needs as many skills, got {list(given)}")


class Endless(Iterator[Dialogue]):
    """Endless dialogues. Asking for all of them raises an error instead of never returning."""

    def __init__(self, dialogues: Iterator[Dialogue]) -> None:
        self._dialogues = dialogues

    def __next__(self) -> Dialogue:
        return next(self._dialogues)

    def __length_hint__(self) -> int:
        """Called by ``list`` and ``tuple`` before they begin."""
        raise ValueError("these dialogues never end; take some of them, as in itertools.islice(generate(0), 100)")


def canonical(messages: Iterable[Message]) -> str:
    """A dialogue's text without case and punctuation, the same for its cosmetic variants."""
    text = "\n".join(f"{message['role']} {message['content']}" for message in messages)
    return _MARK.sub("", text).lower()


def bucket(messages: Iterable[Message]) -> int:
    """The hash bucket, 0 to 99, that decides a dialogue's split."""
    digest = hashlib.sha256(canonical(messages).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % 100


def generate(
    seed: int,
    split: str = "train",
    skills: Iterable[str] | None = None,
    weights: Mapping[str, float] | None = None,
    start: int = 0,
    coined: float | None = None,
    version: int = LATEST,
) -> Iterator[Dialogue]:
    """Endless dialogues of a split.

    Args:
        seed: same seed, same dialogues, on every platform and Python version.
        split: "train", "validation", "test", "long" or "held_out". No dialogue is in two splits, and the words and
            wordings of "held_out" are in no other.
        skills: names of the skills to draw from; all of the version by default.
        weights: how often a skill is drawn, relative to the others, where this should differ from the weight it was
            registered with.
        start: index of the first dialogue. Each is drawn on its own, so a training run can resume at any index without
            drawing those before it.
        coined: share of names, things and the like that are made up; by default the version's own.
        version: of the corpus: 1 is a small world of common words, on which the research sweeps train and test.

    Returns:
        An iterator without end. ``list`` of it, or anything else that needs an end, raises a ``ValueError``.

    Raises:
        ValueError: no such split, version or skill, or a skill that the version has no words for; a negative weight or
            start, weights whose sum is not finite, a share outside 0 to 1, or nothing to draw from. While drawing: a
            skill failed, or the skills make no dialogue of this split.
        TypeError: an argument is of the wrong kind, or a skill returned something other than a list of turns.
    """
    spec = split_spec(split)
    lexicon = get_lexicon(version)
    if spec.held_out and not lexicon.held_out:
        raise ValueError(f"version {version} of the corpus holds no words out; draw {split!r} from version {LATEST}")
    entries = _choose(skill_names(version) if skills is None else skills, weights, version)
    seed, start = whole_number("seed", seed, -(2**63), 2**64 - 1), whole_number("start", start, 0)
    coined = lexicon.coined if coined is None else real_number("coined", coined, 0, 1)

    def world(rng: Random) -> World:
        # Version 1 draws no random number here.
        lower = lexicon.lower > 0 and chance(rng, lexicon.lower)
        return World(rng, coined, version=version, held_out=spec.held_out, lower=lower)

    return Endless(_draw_all(f"mini-ism/{split}/{seed}", spec, entries, start, world))


def split_spec(split: str) -> SplitSpec:
    """The spec of a split.

    Raises:
        ValueError: there is no such split; the message lists those there are.
    """
    try:
        return SPLITS[split]
    except (KeyError, TypeError):  # something unhashable is not a name either
        raise ValueError(f"no split named {split!r}; there are: {', '.join(SPLITS)}") from None


def _choose(skills: Iterable[str], weights: Mapping[str, float] | None, version: int) -> list[Entry]:
    if isinstance(skills, str):
        raise ValueError(f"skills is the text {skills!r}; give a list of names")
    check_kind("skills", skills, Iterable, "give a list of names")
    check_kind("weights", {} if weights is None else weights, Mapping, 'give a dict such as {"recall": 2.0}')
    names = list(skills)
    found = [get_entry(name, version) for name in names]
    if len(set(names)) < len(names):
        raise ValueError(f"a skill is named twice in {names}; give weights to take it more often")
    weights = dict({} if weights is None else weights)
    for name in weights:
        get_entry(name)
        weights[name] = real_number(f"the weight of skill {name!r}", weights[name], 0)
    entries = [replace(entry, weight=weights.get(entry.name, entry.weight)) for entry in found]
    entries = [entry for entry in entries if entry.weight > 0]
    if not entries:
        raise ValueError(f"no skill to draw from: skills={names}, weights={weights}")
    if not math.isfinite(sum(entry.weight for entry in entries)):
        raise ValueError(f"the weights of skills must have a finite sum, got {weights}; only their ratios count")
    return entries


def _draw_all(
    seed: str, spec: SplitSpec, entries: list[Entry], start: int, new_world: Callable[[Random], World]
) -> Iterator[Dialogue]:
    index = start
    while True:
        rng = Random(f"{seed}/{index}")
        for _ in range(ATTEMPTS):
            world = new_world(rng)
            messages, labels = _draw(rng, world, spec, entries)
            if len(labels) >= 2 and bucket(messages) in spec.buckets:
                break
        else:
            names = ", ".join(entry.name for entry in entries)
            raise ValueError(
                f"{ATTEMPTS} draws of {names} made no dialogue of this split with 2 to "
                f"{spec.turns} user turns and at most {spec.length} tokens or so; add a skill, make its "
                "turns shorter, or let it vary more"
            )
        careless = 0.0 if world.lower else world.lexicon.careless
        yield Dialogue(_type_carelessly(rng, messages, careless), labels)
        index += 1


def _draw(rng: Random, world: World, spec: SplitSpec, entries: list[Entry]) -> tuple[list[Message], list[str]]:
    """One dialogue, whichever split its hash assigns it to."""
    system = _system(rng, world) if chance(rng, SYSTEM_SHARE) else ""
    turns = _interleave(rng, _threads(rng, world, spec, entries, _length(world, system)))
    opens_with_facts = len(turns) > 2 and turns[0].skill == ACK
    # A system prompt has no "I" and no "my".
    if system and opens_with_facts and not _FIRST_PERSON.search(turns[0].user) and chance(rng, 0.5):
        system = f"{system} {turns.pop(0).user}"
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        typed = _type_lower(rng, turn.user) if world.lower else turn.user
        messages.append({"role": "user", "content": typed})
        messages.append({"role": "assistant", "content": turn.assistant})
    return messages, [turn.skill for turn in turns]


def _system(rng: Random, world: World) -> str:
    if chance(rng, 0.25):
        return pick(rng, _STYLES)
    world.guide = guide = Guide(world.name(), pick(rng, JOBS))
    return pick(rng, _PERSONAS).format(name=guide.name, manner=pick(rng, MANNERS), job=guide.job)


def _threads(rng: Random, world: World, spec: SplitSpec, entries: list[Entry], used: int) -> list[list[Turn]]:
    """Threads that together keep within the split's turns and words, of two turns if possible."""
    weights = [entry.weight for entry in entries]
    wanted = between(rng, *spec.threads)
    threads: list[list[Turn]] = []
    turns = 0
    for _ in range(THREAD_ATTEMPTS):
        entry = pick_weighted(rng, entries, weights)
        thread = entry.draw(rng, world, between(rng, *spec.sizes))
        length = sum(_length(world, turn.user) + _length(world, turn.assistant) for turn in thread)
        if thread and turns + len(thread) <= spec.turns and used + length <= spec.length:
            threads.append(thread)
            turns += len(thread)
            used += length
        elif len(threads) >= spec.threads[0] and turns >= 2:
            break
        if len(threads) >= wanted and turns >= 2:
            break
    return threads


def _length(world: World, text: str) -> int:
    """The text's tokens, roughly: half its letters or, in version 1, whose words are one token, words plus marks."""
    if world.lexicon.version == 1:
        return len(text.split()) + sum(map(text.count, ".,?:"))
    return len(text) // 2


def _interleave(rng: Random, threads: list[list[Turn]]) -> list[Turn]:
    """All turns, each thread's in order; a turn that only tells may be merged with another thread's next turn."""
    queues = [list(reversed(thread)) for thread in threads]
    order: list[int] = [index for index, thread in enumerate(threads) for _ in thread]
    total = len(order)
    mixed: list[tuple[int, Turn]] = []
    while order:
        chosen = order.pop(below(rng, len(order)))
        mixed.append((chosen, queues[chosen].pop()))
        while queues[chosen] and queues[chosen][-1].follows:
            order.remove(chosen)
            mixed.append((chosen, queues[chosen].pop()))
    mixed.sort(key=lambda item: item[1].placement)  # stable: greetings first, farewells last
    turns: list[Turn] = []
    position = 0
    while position < len(mixed):
        thread, turn = mixed[position]
        position += 1
        if turn.skill == ACK and total > 2 and position < len(mixed):
            other, following = mixed[position]
            if other != thread and following.placement == 0 and chance(rng, MERGE_SHARE):
                text = f"{turn.user} {following.user}"
                turn = Turn(text, following.assistant, following.skill)
                position += 1
                total -= 1
        turns.append(turn)
    return turns


def _type_lower(rng: Random, text: str) -> str:
    """A text without capitals, and often without its final punctuation mark or apostrophes."""
    text = text.lower()
    if chance(rng, 0.6) and text[-1] in ".?":
        text = text[:-1]
    return text.replace("'", "") if chance(rng, 0.4) else text


def _type_carelessly(rng: Random, messages: list[Message], share: float) -> list[Message]:
    """In a share of the user's turns, drop the first capital, the final punctuation mark, or both, as people do."""
    for message in messages:
        if message["role"] != "user" or not chance(rng, share):
            continue
        text = message["content"]
        kind = pick(rng, ("case", "mark", "both"))
        if kind != "case" and text[-1] in ".?":
            text = text[:-1]
        if kind != "mark" and text.split(maxsplit=1)[0].rstrip(".,?:") in _OPENERS:
            text = text[0].lower() + text[1:]
        message["content"] = text
    return messages

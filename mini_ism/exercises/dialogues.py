"""Exercises of notebook 03: which tokens of a dialogue are learned, and how dialogues share a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch

from mini_ism.corpus import Turn, World
from mini_ism.corpus.registry import check_turns
from mini_ism.dialogue import ASSISTANT, END, USER, EncodedDialogue, Message, decode_dialogue, encode_dialogue
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.mask import Mask
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views.descriptions import ranges
from mini_ism.views.dialogue_view import show_dialogue, tokenized
from mini_ism.views.picture import Picture
from mini_ism.views.svg import bool_grid

TALK: tuple[Message, ...] = (
    {"role": "system", "content": "Be kind and brief."},
    {"role": "user", "content": "The cup is in the oven."},
    {"role": "assistant", "content": "Okay."},
    {"role": "user", "content": "Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
)


def marked(encoded: EncodedDialogue, flags: Sequence[bool], title: str) -> Picture:
    """A dialogue ``[T]`` with some of its tokens underlined."""
    shown = EncodedDialogue(encoded.tokens, encoded.segments, torch.tensor(list(flags)))
    html = str(show_dialogue(shown, load_tokenizer())._repr_html_())
    return Picture(html, f"{title}: underlined are positions {ranges([n for n, flag in enumerate(flags) if flag])}.")


def _grid(rows: list[list[bool]], document: list[int], name: str) -> Picture:
    """Who may see whom in a packed row; ``document`` is the number of each position's document."""
    alt = f"{name}: {sum(map(sum, rows))} pairs may see each other."
    return Picture(bool_grid(rows, alt, document, 22), alt, f"{name}; documents {document}")


def compare_flags(found: Any, target: Sequence[bool], encoded: EncodedDialogue, why: Callable[[int], str]) -> Verdict:
    """Judge one yes or no per token; ``why`` gives the reason for the target's value at a position."""
    try:
        flags = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        return wrong(f"give one True or False a token, {len(target)} of them; yours is {found!r:.60}.")
    if flags.shape != (len(target),):
        return wrong(f"give one True or False a token, {len(target)} of them; yours has shape {list(flags.shape)}.")
    if flags.dtype != torch.bool:
        return wrong(f"give True or False for each token; yours holds {str(flags.dtype)[6:]}, such as {flags[0]}.")
    mine = flags.tolist()
    labels = tokenized(encoded, load_tokenizer()).labels
    pictures = {"yours": marked(encoded, mine, "yours"), "target": marked(encoded, target, "target")}
    for position, (is_marked, wanted) in enumerate(zip(mine, target, strict=True)):
        if is_marked != wanted:
            should = "should be marked" if wanted else "should not be marked"
            return wrong(f"{labels[position]} ({position}) {should}: {why(position)}.", **pictures)
    return right(f"{sum(target)} of {len(target)} tokens, and each is the right one.", **pictures)


@exercise("targets-by-hand", difficulty=1)
def targets_by_hand(answer: Callable[[list[str]], Any]) -> Verdict:
    """Given a dialogue's tokens as text, markers included, say for each whether the model learns to write it."""
    for messages in (TALK[1:4], TALK):
        encoded = encode_dialogue(messages, load_tokenizer())
        words = tokenized(encoded, load_tokenizer()).labels
        verdict = _judge_targets(answer(list(words)), words, encoded)
        if verdict.state != "right":
            break
    return verdict


def _judge_targets(found: Any, words: Sequence[str], encoded: EncodedDialogue) -> Verdict:
    target, writing = [], False
    for word in words:
        target.append(writing)
        if word == "‹assistant›":
            writing = True
        elif word == "‹end›":
            writing = False

    def why(position: int) -> str:
        if words[position] == "‹assistant›":
            return "the marker closes the query; it is read, and what comes after it is written"
        if words[position] == "‹end›":
            return "a model that never learns to write ‹end› never stops"
        return "it is part of an answer" if target[position] else "it is part of a query, which is only read"

    return compare_flags(found, target, encoded, why)


# -- which targets lie open ------------------------------------------------------------------------


def hide_next(q: torch.Tensor, kv: torch.Tensor, s: Segments) -> torch.Tensor:
    """ISM, except that no token sees the next one: seemingly enough to make a loss on queries honest."""
    return get_mask("ism").dense(s)[q, kv] & (kv != q + 1)


HIDING = Mask(hide_next, "ism without the next token")


@exercise("open-targets", difficulty=2)
def open_targets(answer: Callable[[torch.Tensor, int], Any]) -> Verdict:
    """Say which tokens reach their own predictor through a mask and so many layers, so that no loss may count them."""
    for encoded in (encode_dialogue(TALK[1:], load_tokenizer()), encode_dialogue(TALK, load_tokenizer())):
        words = tokenized(encoded, load_tokenizer()).labels
        for mask in (*map(get_mask, COURSE_MASKS), HIDING):
            dense = mask.dense(encoded.segments)
            for layers in (1, 2, 3):
                rows = [[j for j, may in enumerate(row) if may] for row in dense.tolist()]
                target = [token > 0 and token in _heard(rows, token - 1, layers) for token in range(len(rows))]

                where = f"under {mask.name}, with {layers} {'layer' if layers == 1 else 'layers'}"
                reasons = ["nothing comes before the first token, so nobody predicts it"]
                reasons += [f"{where}, {_way(rows, words, token, layers)}" for token in range(1, len(rows))]
                verdict = compare_flags(answer(dense.clone(), layers), target, encoded, reasons.__getitem__)
                if verdict.state != "right":
                    return verdict
    return right(
        "under ISM a loss on queries is paid off by copying, and to hide the next token alone helps a model of one "
        "layer only: in two, the token comes round by another one. Answers stay closed under causal and ISM."
    )


Rows = list[list[int]]


def _heard(rows: Rows, position: int, layers: int) -> set[int]:
    """The positions whose text has reached a position after ``layers`` layers: each layer passes on what it sees."""
    if layers == 0:
        return {position}
    return _heard(rows, position, layers - 1).union(*(_heard(rows, seen, layers - 1) for seen in rows[position]))


def _way(rows: Rows, words: Sequence[str], token: int, layers: int) -> str:
    """How a token reaches the position that predicts it, or that it does not."""
    before = token - 1
    predictor = f"{words[before]} ({before}), which predicts it,"
    if token in rows[before]:
        return f"{predictor} sees it"
    for seen in rows[before]:
        if token in _heard(rows, seen, layers - 1):
            verb = "sees it" if token in rows[seen] else "hears of it"
            return f"{predictor} sees {words[seen]} ({seen}), and that one {verb}"
    return f"{predictor} never hears of it"


@exercise("triplet-expansion", difficulty=2)
def triplet_expansion(answer: Callable[[list[Message]], Any]) -> Verdict:
    """Cut a dialogue into one sample a turn: its history, its query, and its answer as the last message."""
    for messages in (list(TALK), list(TALK[1:]), list(TALK[:4]), list(TALK[1:3])):
        target = [messages[: n + 1] for n, message in enumerate(messages) if message["role"] == "assistant"]
        found = answer(list(messages))
        if not isinstance(found, list) or not all(map(_is_sample, found)):
            return wrong(f"give a list of samples, each a list of messages; yours is {found!r:.60}.")
        unanswered = next((s[-1] for s in found if s and s[-1]["role"] != "assistant"), None)
        if unanswered is not None:
            return wrong(
                f"one of your samples ends with the {unanswered['role']}'s message {unanswered['content']!r}; "
                "a sample without an answer at its end has nothing to learn."
            )
        if len(found) != len(target):
            return wrong(
                f"a dialogue with {len(target)} answers gives {len(target)} samples, one for each answer; "
                f"yours gives {len(found)}."
            )
        for number, (mine, wanted) in enumerate(zip(found, target, strict=True), start=1):
            if mine != wanted:
                contents = [message["content"] for message in mine]
                return wrong(
                    f"sample {number} should hold {len(wanted)} messages, from the start of the dialogue to answer "
                    f"{number}; yours is {contents}."
                )
    return right("each answer is the last message of one sample, with all of its history before it.")


def _is_sample(sample: Any) -> bool:
    """Whether ``sample`` is a list of messages."""
    return isinstance(sample, list) and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in sample)


@exercise("packing-rule", difficulty=2)
def packing_rule(answer: Callable[..., Any]) -> Verdict:
    """Write the causal rule for packed rows, given each position's document number (-1 in padding)."""
    for document in ([0, 0, 0, 1, 1, -1, -1], [0, 1, 1, 1, 2, 2, -1], [0, 0, 0]):
        total = len(document)
        here = torch.arange(total)
        target = [[j <= i and document[i] == document[j] for j in range(total)] for i in range(total)]
        found = torch.as_tensor(answer(here[:, None], here[None, :], torch.tensor(document)))
        if found.dtype != torch.bool or found.shape != (total, total):
            return wrong(
                f"the rule should give True or False for each pair, [{total}, {total}]; yours gives "
                f"{str(found.dtype)[6:]} of shape {list(found.shape)}."
            )
        pictures = {
            name: _grid(matrix, document, name) for name, matrix in (("yours", found.tolist()), ("target", target))
        }
        empty = (~found.any(-1)).nonzero().flatten().tolist()
        if empty:
            return wrong(
                f"position {empty[0]} sees nothing at all, and a softmax over nothing is NaN, which a backward "
                "pass carries into every weight; padding, too, must see itself.",
                **pictures,
            )
        for i, j in (found != torch.tensor(target)).nonzero().tolist():
            if j <= i and document[i] == document[j] == -1:
                continue  # what padding sees besides itself is nobody's business
            if j > i:
                reason = f"position {j} lies ahead of position {i}"
            else:
                same = document[i] == document[j]
                reason = f"positions {i} and {j} are in documents {document[i]} and {document[j]}"
                reason += ", so the one may read the other" if same else ": a dialogue must not read its neighbour"
            return wrong(f"{reason}; your rule says {bool(found[i, j])}.", **pictures)
    return right("no dialogue hears its neighbour, and no row is empty.", **pictures)


@exercise("marker-injection", difficulty=2)
def marker_injection(answer: Any) -> Verdict:
    """Write a user's text that, were markers read in it, would put an answer of yours into the assistant's mouth."""
    if not isinstance(answer, str):
        return wrong(f"the answer is a text, in quotes; yours is {type(answer).__name__}.")
    tokenizer = load_tokenizer()
    careless = tokenizer.encode(f"{USER} {answer}{ASSISTANT}", allowed_special="all")
    as_read = decode_dialogue(careless, tokenizer)
    spoken = [each["content"] for each in as_read if each["role"] == "assistant" and each["content"].strip()]
    if not spoken:
        hint = (
            "it opens an answer but writes nothing in it"
            if ASSISTANT in answer
            else "it never lets the assistant speak: which marker comes before an answer?"
        )
        return wrong(
            f"read carelessly, your text makes {len(as_read)} message(s), and none is an answer with words; {hint}."
        )
    if as_read[-1]["role"] != "user":
        return wrong(
            f"after your false answer {spoken[0]!r} the dialogue should go on with a user's turn, so that the model "
            f"replies to it; yours goes on inside the answer: end it with {END} and let the user speak again."
        )
    if not as_read[-1]["content"].strip():
        return wrong("the user's last turn is empty, so the model has nothing to reply to; let the user say something.")
    safe = decode_dialogue(encode_dialogue([{"role": "user", "content": answer}], tokenizer).tokens, tokenizer)
    return right(
        f"read carelessly, your text is {len(as_read)} messages, and the assistant has said {spoken[0]!r}. "
        f"encode_dialogue reads it as {len(safe)} message, spelled letter by letter."
    )


@exercise("own-skill", difficulty=3)
def own_skill(answer: Callable[[Random, World, int], Any]) -> Verdict:
    """Write a skill: tell `size` facts of your own, then ask for one of them, not always the same one."""
    places = set()
    first: list[Turn] = []
    for seed in range(40):
        for size in (2, 4):
            turns, again = (answer(*_hand(seed), size) for _ in range(2))
            if not isinstance(turns, list) or not turns or not all(isinstance(turn, Turn) for turn in turns):
                return wrong(f"a skill returns a list of Turn, with one turn at least; yours returned {turns!r:.90}.")
            try:
                check_turns(getattr(answer, "__name__", "yours"), turns)
            except ValueError as error:  # its own words are clear already
                return wrong(f"{error}.")
            if turns != again:
                return wrong(
                    "the same rng must give the same turns, or no run can be repeated: draw everything from "
                    "`rng` and `world`, nothing from the `random` module itself."
                )
            verdict, place = _asked(turns, size)
            if verdict is not None:
                return verdict
            places.add((size, place))
            first = first or turns
    if len({place for size, place in places if size == 4}) == 1:
        return wrong(
            "the answer always stands at the same place among the facts, so a model can learn the place instead of "
            "reading: pick the fact that is asked for with rng."
        )
    return right(f"for example: {first[-1].user!r} and {first[-1].assistant!r}. The corpus can use it as it is.")


def _hand(seed: int) -> tuple[Random, World]:
    rng = Random(seed)
    return rng, World(rng, coined=0.0)


def _asked(turns: list[Turn], size: int) -> tuple[Verdict | None, float]:
    """What is wrong with a skill's turns, and the index of the fact that the last answer comes from."""
    question = turns[-1]
    if not question.user.strip().endswith("?"):
        return wrong(f"the last turn should ask: end it with a question mark, not {question.user[-20:]!r}."), 0
    text = " ".join(turn.user for turn in turns)
    sentences = [sentence.strip() for sentence in re.findall(r"[^.?!]+[.?!]", text)]
    facts = [*dict.fromkeys(sentence for sentence in sentences if not sentence.endswith("?"))]
    if len(facts) < size:
        return wrong(
            f"size is {size}, so tell {size} facts, each a sentence of its own; yours tells {len(facts)}: {text!r:.120}"
        ), 0
    told, asked = [_words(fact) for fact in facts], _words(sentences[-1])
    offered = {asked[n] for at, word in enumerate(asked) if word == "or" for n in (at - 1, at + 1) if n < len(asked)}
    homes = {word: [n for n, words in enumerate(told) if word in words] for word in _words(question.assistant)}
    if not any(homes.values()):
        return wrong(
            f"the answer {question.assistant!r} is not among the facts {text!r:.120}; a model could not know it."
        ), 0
    found = [home for word, home in homes.items() if home and (word in offered or word not in asked)]
    if not found:
        return wrong(
            f"the answer {question.assistant!r} only repeats words of the question {sentences[-1]!r}; answer with what "
            "the fact tells besides."
        ), 0
    home, about = min(found, key=len), _about(facts, {*asked} - offered)
    if not about.intersection(home):
        return wrong(
            f"the question {sentences[-1]!r} is not about the fact that holds the answer {question.assistant!r}: "
            f"{facts[home[0]]!r} Answer with the fact that is asked for."
        ), 0
    return None, next(n for n in home if n in about)


def _words(text: str) -> list[str]:
    """The words of a text that say something, in lower case."""
    words = (word.removesuffix("'s") for word in re.findall(r"\w[\w'-]*", text.casefold()))
    return [word for word in words if word not in COMMON]


def _about(facts: Sequence[str], asked: set[str]) -> set[int]:
    """The facts that a question may be about: those with a word of it that not all have, and what is linked to them.

    A fact is linked to another by a word that not all facts have, or by a pronoun at its front to the one before it;
    of only two facts, what both have may be the link.
    """
    told = [{*_words(fact)} for fact in facts]
    everywhere = told[0].intersection(*told) if len(told) > 2 else set()
    specific = [words - everywhere for words in told]
    about = {n for n, words in enumerate(specific) if words & asked}
    if not about:  # it names none, as "What did I say first?" does
        return {*range(len(facts))}
    while True:
        known = set().union(*(specific[n] for n in about))
        linked = {n for n, words in enumerate(specific) if words & known}
        linked |= {n + 1 for n in about if n + 1 < len(facts) and facts[n + 1].casefold().startswith(PRONOUNS)}
        if linked <= about:
            return about
        about |= linked


PRONOUNS = ("it ", "he ", "she ", "they ")
FILLERS = (
    "a an the in is has it at on to of and was are do does did i my me you your he she his her they their this that "
    "what what's who where which when how"
)
COMMON = frozenset(FILLERS.split())
"""Words that tell nothing by themselves."""

"""Exercises of notebook 01: the three rules, their limits, and what a cache keeps under your own rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mini_ism.dialogue import ASSISTANT, SYSTEM, USER, EncodedDialogue, Message, encode_dialogue
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.judging import Place, as_mask, compare_rule, map_of, places, sample_dialogues
from mini_ism.reuse import reusable
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views.dialogue_view import show_dialogue
from mini_ism.views.picture import Picture

# -- the three rules -------------------------------------------------------------------------------


def _behind(i: int, j: int) -> str:
    return "which is itself" if i == j else "which lies behind it" if j < i else "which lies ahead"


@exercise("causal-rule", difficulty=1)
def causal_rule(answer: Any) -> Verdict:
    """Write the rule under which every token sees itself and all tokens before it."""
    return compare_rule(
        answer,
        lambda tokens, i, j: j <= i,
        lambda tokens, i, j: _behind(i, j),
        praise="each token sees itself and what lies behind it, whatever the segments are.",
    )


@exercise("prefix-rule", difficulty=2)
def prefix_rule(answer: Any) -> Verdict:
    """Write the rule under which all tokens up to the end of the last query are seen by everybody."""

    def end(tokens: Sequence[Place]) -> int:
        return 1 + max(token.at for token in tokens if token.asks)

    def why(tokens: Sequence[Place], i: int, j: int) -> str:
        inside = "before" if j < end(tokens) else "not before"
        return f"{_behind(i, j)}, {inside} the end of the last query ({end(tokens)})"

    return compare_rule(
        answer,
        lambda tokens, i, j: j <= i or j < end(tokens),
        why,
        praise="all up to the last question is one block read both ways, and even the first answer looks ahead in it.",
    )


@exercise("ism-rule", difficulty=2)
def ism_rule(answer: Any) -> Verdict:
    """Write the rule under which queries read both ways inside themselves, and answers read backwards."""

    def why(tokens: Sequence[Place], i: int, j: int) -> str:
        reader, read = tokens[i], tokens[j]
        kind = "a query" if reader.asks else "an answer"
        place = "both in segment" if reader.segment == read.segment else "in another segment than"
        return f"{_behind(i, j)}: {place} {reader.segment}, {kind}"

    return compare_rule(
        answer,
        lambda tokens, i, j: j <= i or (tokens[i].asks and tokens[i].segment == tokens[j].segment),
        why,
        praise="each query is a square that reads both ways, and nothing looks past its own segment.",
    )


# -- f(j), and where segments begin ----------------------------------------------------------------


def _steps(encoded: EncodedDialogue, f: Sequence[int], title: str, row: int | None = None) -> Picture:
    """The mask in which each row sees everything from 0 to f(j)."""
    total = len(encoded)
    return map_of(encoded, [[i <= int(f[j]) for i in range(total)] for j in range(total)], title, row)


@exercise("f-of-j", difficulty=2)
def f_of_j(answer: Any) -> Verdict:
    """Write f for ISM: for each position j the last position that it sees, from segment numbers and query flags."""
    first: tuple[Picture, Picture] | None = None
    for encoded in sample_dialogues():
        tokens = places(encoded)
        target = [max(k.at for k in tokens if k.at <= j.at or (j.asks and k.segment == j.segment)) for j in tokens]
        found = answer([token.segment for token in tokens], [token.asks for token in tokens])
        given = found.tolist() if isinstance(found, Tensor) else list(found)
        if len(given) != len(target):
            return wrong(f"f needs a value for each of the {len(target)} positions, but yours has {len(given)}.")
        odd = next((value for value in given if type(value) is not int), None)
        if odd is not None:
            return wrong(f"f gives positions, which are whole numbers, but one of yours is {odd!r:.40}.")
        for token, mine, wanted in zip(tokens, given, target, strict=True):
            if mine == wanted:
                continue
            hint = f"it stands in {'query' if token.asks else 'answer'} {token.segment}"
            if token.asks and all(a == b + 1 for a, b, t in zip(given, target, tokens, strict=True) if t.asks):
                hint += "; f is the last position that is seen, not one past it"
            elif not token.asks and mine > wanted:
                hint += ", and answers see no further than themselves"
            return wrong(
                f"f({token.at}) should be {wanted}, but yours is {mine}: {token}, {hint}.",
                yours=_steps(encoded, given, "yours", token.at),
                target=_steps(encoded, target, "target", token.at),
            )
        first = first or (_steps(encoded, given, "yours"), _steps(encoded, target, "target"))
    yours, wanted_picture = first or (None, None)
    return right("a staircase: flat inside a query, a step a token in an answer.", yours=yours, target=wanted_picture)


@exercise("marker-segment", difficulty=2)
def marker_segment(answer: Any) -> Verdict:
    """Say which segment each token belongs to, given the tokens as text, markers included."""
    for encoded in sample_dialogues():
        words = [text for text, _, _ in show_dialogue(encoded, load_tokenizer()).pieces]
        target, segment, opens = [], -1, True
        for word in words:  # a segment opens at a marker that names a reader, or after the one that names the writer
            segment += opens or word in (SYSTEM, USER)
            target.append(segment)
            opens = word == ASSISTANT
        given = answer(list(words))
        found = given.tolist() if isinstance(given, Tensor) else list(given)
        if len(found) != len(words):
            return wrong(f"there are {len(words)} tokens, but your list has {len(found)} numbers.")
        odd = next((value for value in found if type(value) is not int), None)
        if odd is not None:
            return wrong(f"segments are counted in whole numbers, but one of yours is {odd!r:.40}.")
        for at, (word, mine, wanted) in enumerate(zip(words, found, target, strict=True)):
            if mine == wanted:
                continue
            why = ""
            if all(mine == true + 1 for mine, true in zip(found, target, strict=True)):
                why = " Count segments from 0."
            elif word == ASSISTANT:
                why = (
                    " The assistant marker closes the query: it is handed to the model with the question, and the model"
                    " never writes it. The answer begins with the word that is predicted *from* it."
                )
            elif at and words[at - 1] == ASSISTANT:
                why = " It is the answer's first word: the marker before it was the query's last token."
            return wrong(
                f"token {at}, {word.strip()!r}, belongs to segment {wanted}, but you put it into {mine}.{why} "
                f"The dialogue was {''.join(words)!r}."
            )
    return right("one segment a message; the assistant marker is the last token of the question that it answers.")


# -- composing, and caches -------------------------------------------------------------------------


@exercise("strangers", difficulty=2)
def strangers(answer: Any) -> Verdict:
    """Compose a mask under which each token sees all earlier *other* segments, and of its own segment only itself."""

    def why(tokens: Sequence[Place], i: int, j: int) -> str:
        same = "in its own segment" if tokens[i].segment == tokens[j].segment else "in another segment"
        return _behind(i, j) if i == j else f"{_behind(i, j)} {same}"

    return compare_rule(
        answer,
        lambda tokens, i, j: i == j or (j < i and tokens[i].segment != tokens[j].segment),
        why,
        praise="and no row is empty: in the first segment, each token has itself to look at.",
    )


HALVES: tuple[Message, ...] = (
    {"role": "user", "content": "My name is Ada. What is my name?"},
    {"role": "assistant", "content": "Your name is Ada."},
    {"role": "user", "content": "The cup is in the oven. Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
    {"role": "user", "content": "Where is Ada?"},
)
"""Two turns and a third question."""
LEAST, MOST = 0.4, 0.6


@exercise("half-cache", difficulty=3)
def half_cache(answer: Any) -> Verdict:
    """Invent a mask that hides nothing behind a token, and keeps about half of its cache when a question comes."""
    new = encode_dialogue(HALVES, load_tokenizer())
    old = encode_dialogue(HALVES[:-1], load_tokenizer())
    try:
        mask = as_mask(answer)
        dense = mask.dense(new.segments)
        kept = reusable(mask, old.segments, new.segments)
    except (TypeError, ValueError) as error:  # its own words are clear already
        return wrong(f"{error}.")
    tokens = places(new)
    for i in range(len(tokens)):
        for j in range(i):
            if not dense[i, j]:
                return wrong(
                    f"{tokens[i]} cannot see {tokens[j]}, which lies behind it. Keep what lies behind visible, "
                    "for example by `causal | ...`, and choose who may look ahead.",
                    yours=map_of(new, dense, "yours", i),
                )
    summary = f"it keeps {kept} of {len(old)} positions ({kept / len(old):.0%})"
    yours = map_of(new, dense, "yours")
    if kept < LEAST * len(old):
        first = next((i for i in range(len(old)) if bool(dense[i, len(old) :].any())), None)
        who = (
            f"{tokens[first]} already looks at the new question, and whatever comes from there on must be read again"
            if first is not None
            else "what was seen in the old dialogue is not what is seen in the new one"
        )
        return wrong(f"{summary}: {who}. Let only later tokens look that far.", yours=yours)
    if kept > MOST * len(old):
        return wrong(
            f"{summary}, which is more than about half. Nobody, or hardly anybody, in the old dialogue looks at the "
            "new question; let its second turn do so.",
            yours=yours,
        )
    return right(f"{summary}: they see nothing of what is new, nor anyone who does.", yours=yours)

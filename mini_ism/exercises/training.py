"""Exercises of notebook 04: what a step learns from, how fast, and how much an epoch computes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.dialogues import TALK, compare_flags
from mini_ism.exercises.judging import as_number, difference
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views.figures import Figure, own_style


@exercise("who-predicts", difficulty=1)
def who_predicts(answer: Callable[[Any], Any]) -> Verdict:
    """Given which tokens are targets, say which positions predict one: those whose scores the loss needs."""
    whole = encode_dialogue(TALK, load_tokenizer())
    start = int(whole.loss_mask.nonzero()[0])  # the second piece begins inside an answer: its first token is a target
    pieces = (whole, EncodedDialogue(whole.tokens[start:], whole.segments[start:], whole.loss_mask[start:]))
    for encoded in pieces:
        targets = encoded.loss_mask.tolist()
        predicts = [*targets[1:], False]

        def why(position: int, targets: list[bool] = targets) -> str:
            after = position + 1
            if after == len(targets):
                return "it is the last token, and there is nothing after it to predict; torch.roll wraps around"
            what = "is a target" if targets[after] else "is not a target"
            return f"it predicts the token after it, at {after}, which {what}"

        verdict = compare_flags(answer(encoded.loss_mask.clone()), predicts, encoded, why)
        if verdict.state != "right":
            return verdict
    return compare_flags(answer(whole.loss_mask.clone()), [*whole.loss_mask.tolist()[1:], False], whole, str)


def _mean_surprise(logits: torch.Tensor, tokens: torch.Tensor, positions: Sequence[int], shift: int = 1) -> float:
    """Mean of -log p over target positions, in loops; the scores for target t are at t - shift."""
    total = 0.0
    for t in positions:
        scores = logits[t - shift].tolist()
        total += math.log(sum(math.exp(score) for score in scores)) - scores[int(tokens[t])]
    return total / len(positions)


@exercise("answer-loss", difficulty=2)
def answer_loss(answer: Callable[..., Any]) -> Verdict:
    """Mean cross-entropy of the answers' tokens, given scores ``[T, V]``, tokens ``[T]`` and loss mask ``[T]``."""
    generator = torch.Generator().manual_seed(0)
    for T, V, start in ((9, 7, 4), (14, 11, 6), (6, 5, 3)):
        logits = 2 * torch.randn(T, V, generator=generator)
        tokens = torch.randint(V, (T,), generator=generator)
        mask = torch.arange(T) >= start
        mask[-2] = T == 6
        targets = mask.nonzero()[:, 0].tolist()
        expected = _mean_surprise(logits, tokens, targets)
        found = answer(logits.clone(), tokens.clone(), mask.clone())
        message = difference(found, expected, "the loss", atol=1e-4, rtol=1e-4)
        if message is None:
            continue
        value = torch.as_tensor(found)
        if value.ndim == 0:
            everything = _mean_surprise(logits, tokens, range(1, T))
            slips = {
                expected * len(targets): "that is the sum; divide by the number of targets, "
                "or a long answer counts for more than a short one",
                expected * len(targets) / T: "that is divided by all tokens; divide by the number of targets",
                everything: "that is the mean over all tokens; queries are read, not written, so they must not count",
                _mean_surprise(logits, tokens, targets, shift=0): "that compares each token with the scores at its "
                "own place; the scores at t - 1 predict token t",
                # Both shifted by one, but not the mask: position t - 1 is counted where t - 1 itself is a target.
                _mean_surprise(logits, tokens, [t + 1 for t in targets if t + 1 < T]): "the mask must move with the "
                "targets: it says which tokens t count, and their scores stand at t - 1",
            }
            for slip, reason in slips.items():
                if abs(float(value) - slip) < 1e-3:
                    return wrong(f"{message} {reason[0].upper()}{reason[1:]}.")
        return wrong(message)
    return right("scores at t - 1 against token t, answers only, averaged over targets.")


LETTERS = 20  # that a word in a message may have
FACT = re.compile(r"The (\w+) is in the (\w+)\. Where is the (\w+)\?")


@exercise("break-the-chat", difficulty=2)
def break_the_chat(answer: Any) -> Verdict:
    """Find a message "The ... is in the .... Where is the ...?" that the shipped ISM model answers wrongly."""
    if not isinstance(answer, str):
        return wrong(f"the answer is a text, in quotes; yours is {type(answer).__name__}.")
    fact = FACT.fullmatch(answer.strip())
    if fact is None:
        return wrong(
            f'write two sentences, "The ... is in the .... Where is the ...?", with one word for each gap; yours is '
            f"{answer!r:.80}."
        )
    thing, place, asked = fact.groups()
    longest = max(fact.groups(), key=len)
    if asked.casefold() != thing.casefold():
        return wrong(f"your message asks for the {asked}, but tells of the {thing}: nobody could answer that.")
    if thing.casefold() == place.casefold():
        return wrong(f"a {thing} in itself: take two different words.")
    if len(longest) > LETTERS:
        return wrong(f"{longest!r} has {len(longest)} letters; a word may have {LETTERS}, or it would be too easy.")
    model, _ = load_model("ism")
    reply = str(ChatSession(model, load_tokenizer()).send(answer.strip()))
    if reply.casefold().endswith(f"in the {place}.".casefold()):  # in a whole sentence, or in capitals, it is as right
        return wrong(f"the model answers {reply!r}, which is right. What kind of word has it never had to copy?")
    return right(
        f"the model answers {reply!r}, but it is in the {place}. Your words have {len(thing) + len(place)} letters: "
        "does it fail with fewer, too?"
    )


WARM, STEPS, PEAK = 10, 60, 0.002


def _rate(step: int, steps: int, peak: float, warm: int) -> float:
    if step < warm:
        return peak * (step + 1) / warm
    return peak / 50 + (peak - peak / 50) * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


@own_style
def _schedule(rates: Sequence[float], title: str) -> Figure:
    figure = Figure(figsize=(4.2, 2.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(rates, color="#0072b2")
    top = 1.1 * max(filter(math.isfinite, (*rates, PEAK)))
    axes.set(xlabel="step", ylabel="learning rate", title=title, ylim=(0, top))
    figure.alt = f"{title}: from {rates[0]:.2g} over {max(rates):.2g} to {rates[-1]:.2g}"
    return figure


@exercise("learning-rate", difficulty=2)
def learning_rate(answer: Callable[[int, int, float, int], Any]) -> Verdict:
    """A step's learning rate: a straight warm-up to the peak, then half a cosine down to a fiftieth of it."""
    for steps, peak, warm in ((STEPS, PEAK, WARM), (30, 0.01, 3), (100, 0.5, 1)):
        target = [_rate(step, steps, peak, warm) for step in range(steps)]
        rates = [as_number(answer(step, steps, peak, warm)) for step in range(steps)]
        wrong_step = next((n for n in range(steps) if not math.isclose(rates[n], target[n], rel_tol=1e-6)), None)
        if wrong_step is None:
            continue
        setting = f"with steps={steps}, peak={peak:g}, warm={warm}"
        reason = ""
        if wrong_step == 0 and rates[0] == 0:
            reason = " A rate of 0 makes the first step do nothing; let the warm-up reach the peak at step warm - 1."
        elif wrong_step > warm and math.isclose(rates[warm], peak, rel_tol=1e-6):
            reason = " Does your cosine end at peak / 50, and only there?"
        elif wrong_step >= warm:
            reason = " The cosine begins where the warm-up ends: at step warm it is at the peak."
        return wrong(
            f"{setting}, step {wrong_step} should have the rate {target[wrong_step]:.6g}, but has "
            f"{rates[wrong_step]:.6g}.{reason}",
            yours=_schedule(rates, "yours"),
            target=_schedule(target, "target"),
        )
    shown = [float(answer(step, STEPS, PEAK, WARM)) for step in range(STEPS)]
    return right(
        "up in a straight line, down along a cosine.",
        yours=_schedule(shown, "yours"),
        target=_schedule([_rate(step, STEPS, PEAK, WARM) for step in range(STEPS)], "target"),
    )


@exercise("epoch-tokens", difficulty=2)
def epoch_tokens(answer: Callable[[list[tuple[int, int]]], Any]) -> Verdict:
    """Tokens to compute for a dialogue, in one pass and after triplet expansion, given each turn's two lengths."""
    for turns in ([(5, 2), (4, 3)], [(10, 5)], [(7, 2), (3, 3), (6, 1), (2, 8)]):
        once = sum(query + reply for query, reply in turns)
        expanded = 0
        for turn in range(len(turns)):
            for query, reply in turns[: turn + 1]:
                expanded += query + reply
        found = answer(list(turns))
        if not isinstance(found, Sequence) or len(found) != 2:
            return wrong(f"give two numbers, one pass and expanded; yours is {found!r:.60}.")
        for name, mine, wanted in zip(("one pass", "expanded"), found, (once, expanded), strict=True):
            if mine != wanted:
                hint = ""
                if name == "expanded" and mine == expanded - sum(
                    reply for turn in range(len(turns)) for _, reply in turns[:turn]
                ):
                    hint = " A turn's history holds the earlier answers, too."
                elif name == "expanded" and mine == once:
                    hint = " Each turn is a sample of its own, with all earlier turns before it."
                return wrong(f"turns {turns}: {name}, {wanted} tokens, but yours is {mine}.{hint}")
    return right(
        "one pass grows with the length of a dialogue, expansion with its square: n equal turns cost (n + 1) / 2 "
        "times as much."
    )

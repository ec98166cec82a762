"""Is a chat with a cache exact, whatever the rule? ``python -m benchmarks.exactness [--dialogues N] [--interrupts N]``.

Each dialogue is drawn from its own seed: a small model of random weights, any rule, and turns, edits, forks, and
abandoned streams. The scores of every token that the session computes over its cache are compared with one uncached
forward pass, over the tokens as they stood, under the rule as it was then. With ``--interrupts``, a conversation is
interrupted at a random line of the engine's code, and must go on exactly. Exit status 1: something was not exact.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.interrupted import ACTIONS, begin_and_close, lines_of, strike
from benchmarks.random_cases import SHAPES, random_model, random_rule
from mini_ism import GPT, ChatSession, Mask, Segments, __version__, encode_dialogue, load_tokenizer
from mini_ism.cache import KVCache
from mini_ism.chat import ContextFullError
from mini_ism.dialogue import ASSISTANT, END, NEVER_WRITTEN, SYSTEM, USER
from mini_ism.planner import Plan, Planner
from mini_ism.sampling import Sampler

TOLERANCE = 1e-5
"""In float32, relative to the scale of the scores, or absolute where that is below 1."""
CONTEXT = 128
TOKENIZER = load_tokenizer()
MARKER = {name: TOKENIZER.encode_single_token(name) for name in (*NEVER_WRITTEN, END)}
WORDS = [token for token in range(TOKENIZER.n_vocab) if token not in MARKER.values()]
MODELS = [
    random_model(seed, vocab_size=TOKENIZER.n_vocab, context=CONTEXT, width=32, **shape)
    for seed, shape in enumerate(SHAPES)
]
TEXTS = ("Hi.", "the box", "Where is the key?", "My name is Zolta.", "a \u20ac", "The lamp is in the jar. Where is it?")


class InexactError(AssertionError):
    """A session disagrees with one uncached forward pass, or its parts with each other."""


@dataclass
class Tally:
    """What was compared, what was found, and the rule under test."""

    turns: int = 0
    tokens: int = 0
    largest: float = 0.0
    mismatches: int = 0
    rule: str = ""


# -- scores, with and without a cache --------------------------------------------------------------


class Computed(NamedTuple):
    """What a plan computed of a dialogue: all its tokens by then ``[T]``, and the logits ``[N, V]`` of the last N."""

    tokens: Tensor
    logits: Tensor


@contextmanager
def recorded() -> Iterator[list[Computed]]:
    """Every forward over a cache, with the scores of all its positions; the chunks of one plan count as one forward."""
    found: list[Computed] = []
    compute, planned, chunks = GPT.compute, 0, list[Tensor]()

    def noted(ask: Callable[..., Plan | None]) -> Callable[..., Plan | None]:
        def asked(*given: object) -> Plan | None:
            nonlocal planned
            if (plan := ask(*given)) is not None:
                planned = plan.stop
                chunks.clear()
            return plan

        return asked

    def recording(
        model: GPT, tokens: Tensor, mask: Tensor | None, cache: KVCache, logits_at: slice = slice(None)
    ) -> Tensor:
        before = cache.tokens[:, : cache.length].clone()
        logits = compute(model, tokens, mask, cache)
        chunks.append(logits[0])
        if cache.length >= planned:
            found.append(Computed(torch.cat([before, tokens], dim=1)[0], torch.cat(chunks)))
        return logits[:, logits_at]

    with (
        patch.object(GPT, "compute", recording),
        patch.object(Planner, "plan", noted(Planner.plan)),
        patch.object(Planner, "step", noted(Planner.step)),
    ):
        yield found


def segments_of(tokens: Tensor) -> Segments:
    """The segments that a dialogue's markers imply, ``[T]``; computed independently of the session's code."""
    asks = (tokens == MARKER[SYSTEM]) | (tokens == MARKER[USER])
    opens = asks.clone()
    opens[1:] |= tokens[:-1] == MARKER[ASSISTANT]
    first = torch.where(opens, torch.arange(len(tokens)), 0).cummax(0).values  # of each token's segment
    return Segments(opens.long().cumsum(0) - 1, asks[first], tokens[first] == MARKER[SYSTEM])


@torch.inference_mode()
def compare(model: GPT, mask: Mask, computed: Sequence[Computed], tally: Tally) -> None:
    """Compare what was computed over a cache with one uncached forward pass, a row for each state of the dialogue.

    Raises:
        InexactError: a difference is beyond the tolerance.
    """
    longest = max(len(each.tokens) for each in computed)
    tokens = torch.zeros(len(computed), longest, dtype=torch.long)  # (B, T), padded on the right
    allowed = torch.eye(longest, dtype=torch.bool).repeat(len(computed), 1, 1)  # (B, T, T)
    for row, each in enumerate(computed):
        stop = len(each.tokens)
        tokens[row, :stop] = each.tokens
        allowed[row, :stop, :stop] = mask.dense(segments_of(each.tokens))
    wanted = model(tokens, allowed)  # (B, T, V)
    for row, each in enumerate(computed):
        stop, count = len(each.tokens), len(each.logits)
        right = wanted[row, stop - count : stop]  # (N, V)
        difference = float((each.logits - right).abs().max() / right.abs().max().clamp(min=1))
        tally.tokens += count
        tally.largest = max(tally.largest, difference)
        if not difference <= TOLERANCE:
            raise InexactError(f"scores of positions {stop - count} to {stop - 1} differ by {difference:.1e}")


def check_parts(chat: ChatSession) -> None:
    """Check that the tokens, segments and messages of a session agree.

    Raises:
        InexactError: they do not.
    """
    tokens, segments, wanted = chat.tokens, chat.segments, segments_of(chat.tokens)
    for name in ("id", "is_query", "system"):
        if not torch.equal(getattr(segments, name), getattr(wanted, name)):
            raise InexactError(f"the segments' {name} is not what the tokens say")
    roles = [message["role"] for message in chat.messages]
    if roles != ["system"] * ("system" in roles) + ["user", "assistant"] * chat.turn:
        raise InexactError(f"the messages are from {roles}")
    if len(roles) != len(wanted.id.unique()):
        raise InexactError(f"there are {len(roles)} messages, but the tokens hold {len(wanted.id.unique())}")
    for number, message in enumerate(chat.messages):
        own = tokens[wanted.id == number].tolist()
        asked = encode_dialogue([{**message, "role": "user"}], TOKENIZER).tokens.tolist()
        if message["role"] != "assistant" and own[1:] != asked[1 : len(own)]:
            raise InexactError(f"message {number} is not what its tokens say")


# -- one dialogue, one interrupt -------------------------------------------------------------------


def act(chat: ChatSession, random: Random, tally: Tally) -> ChatSession:
    """Do something that may happen to a conversation; returns the session to continue with."""
    match random.choice(["say"] * 5 + ["edit", "truncate", "fork", "leave", "reopen"]):
        case "truncate":
            chat.truncate(random.randint(0, chat.turn))
            return chat
        case "fork":
            return chat.fork()
        case "reopen" if chat.messages and all(message["content"].strip() for message in chat.messages):
            return ChatSession(chat.model, chat.tokenizer, chat.mask, messages=chat.messages)
        case "edit" if chat.turn:
            chat.truncate(random.randrange(chat.turn))
        case "leave":
            text = random.choice(TEXTS)
            with_room(chat, lambda: begin_and_close(chat, text))
            return chat
    say(chat, random.choice(TEXTS), random.randint(1, 6), tally, random.choice([(), (), ("e", "a")]))
    return chat


def say(chat: ChatSession, text: str, longest: int, tally: Tally, stop: Sequence[str] = ()) -> None:
    """Send one turn."""
    with_room(chat, lambda: chat.send(text, max_new_tokens=longest, stop=stop))
    tally.turns += 1


def with_room(chat: ChatSession, begin: Callable[[], object]) -> None:
    """Say something, starting over if the context is full, and in one chunk if the rule reads across chunks."""
    try:
        begin()
    except ContextFullError:
        chat.truncate(0)
        with_room(chat, begin)
    except ValueError as error:
        if "Use chunk=None" not in str(error):
            raise
        chat.chunk = None
        begin()


def converse(random: Random, tally: Tally) -> None:
    """Hold a dialogue under any rule.

    Raises:
        InexactError: a session is not exact.
    """
    model, mask = random.choice(MODELS), random_rule(random, CONTEXT)
    tally.rule = mask.name

    def pick(_: Sampler, logits: Tensor) -> int:
        return MARKER[END] if random.random() < 0.2 else random.choice(WORDS)

    with recorded() as computed, patch.object(Sampler, "pick", pick):
        system, chunk = random.choice([None, "Be kind.", "You are a robot."]), random.choice([None, None, 3])
        chats = [ChatSession(model, TOKENIZER, mask, system=system, chunk=chunk)]
        for _ in range(random.randint(2, 5)):
            chat = random.choice(chats)
            other = act(chat, random, tally)
            chats += [other] if other is not chat else []
        for chat in chats:
            say(chat, "Hi.", 2, tally)
            check_parts(chat)
    compare(model, mask, computed, tally)


def interrupt(random: Random, tally: Tally) -> None:
    """A conversation under any rule that is interrupted at some line, and goes on.

    Raises:
        InexactError: it does not go on exactly.
    """
    model, mask, action = random.choice(MODELS), random_rule(random, CONTEXT), random.choice(list(ACTIONS))
    tally.rule = f"{mask.name}, {action}"
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    for text in ("Hi.", "My name is Ada."):
        chat.send(text, max_new_tokens=3, temperature=1.0, seed=1)
    moment = random.randint(1, lines_of(ACTIONS[action], chat.fork()))
    with recorded() as computed:
        strike(ACTIONS[action], chat, moment)
    go_on(chat, tally, computed)


def go_on(chat: ChatSession, tally: Tally, computed: Sequence[Computed] = ()) -> None:
    """One more turn of a conversation, which must be exact.

    Raises:
        InexactError: it is not, nor is what was computed before.
    """
    with recorded() as later:
        say(chat, "And now?", 3, tally)
    check_parts(chat)
    compare(chat.model, chat.mask, [*computed, *later], tally)


# -- all of them -----------------------------------------------------------------------------------


def run(task: Callable[[Random, Tally], None], numbers: Sequence[int], seed: int) -> Tally:
    """Run a task once for each number, with its own random numbers; failures are printed and counted."""
    tally, name = Tally(), task.__name__
    for number in tqdm(numbers, desc=name, unit="", disable=not sys.stderr.isatty()):
        try:
            task(Random(f"{seed} {name} {number}"), tally)
        except Exception as error:  # whatever it is, a chat must not raise it
            tally.mismatches += 1
            what = f"{type(error).__name__}: {error}"
            tqdm.write(f"{name} {number}, rule {tally.rule}: {what}; again with --seed {seed} --only {number}")
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; the exit status is 1 if anything was not exact."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--dialogues", type=int, default=10_000, metavar="N", help="default: 10,000")
    parser.add_argument("--interrupts", type=int, default=0, metavar="N", help="default: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="N", help="number N of what is asked for, and nothing else")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clock = time.perf_counter()

    def numbers(count: int) -> Sequence[int]:
        return range(count) if options.only is None or count == 0 else [options.only]

    talks, strikes = (numbers(count) for count in (options.dialogues, options.interrupts))
    one, two = run(converse, talks, options.seed), run(interrupt, strikes, options.seed)
    print(
        f"{len(talks):,} dialogues, {one.turns + two.turns:,} turns, {one.tokens + two.tokens:,} tokens compared, "
        f"largest difference {max(one.largest, two.largest):.1e} (tolerance {TOLERANCE:.0e}), "
        f"{one.mismatches} mismatches; {len(strikes):,} interrupts, {two.mismatches} broken sessions; "
        f"{time.perf_counter() - clock:.0f} s; mini-ism {__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}; seed {options.seed}"
    )
    return int(one.mismatches + two.mismatches > 0)


if __name__ == "__main__":
    sys.exit(main())

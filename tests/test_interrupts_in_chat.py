"""A conversation survives an interrupt at any line of the code that carries it, in the middle of cleaning up, too."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

import mini_ism
from mini_ism import GPT, ChatSession, encode_dialogue, get_mask, load_tokenizer
from tests.strategies import random_model

TOKENIZER = load_tokenizer()
PACKAGE = Path(mini_ism.__file__).parent
WATCHED = {str(PACKAGE / f"{name}.py") for name in ("chat", "transcript", "replies", "planner", "cache")}
Action = Callable[[ChatSession], object]
ACTIONS: dict[str, Action] = {
    "send": lambda chat: chat.send("Where is the key?", max_new_tokens=4, temperature=1.0, seed=3),
    "stop": lambda chat: chat.send("Where?", max_new_tokens=6, temperature=1.0, seed=4, stop=["e", "a", "t"]),
    "truncate": lambda chat: chat.truncate(1),
    "fork": lambda chat: chat.fork(),
    "close": lambda chat: begin_and_close(chat),
}


def begin_and_close(chat: ChatSession) -> None:
    stream = chat.stream("Hi.", temperature=1.0, seed=5)
    try:
        next(stream)
    finally:
        stream.close()  # type: ignore[attr-defined]


@contextmanager
def interrupted_at(moment: int) -> Iterator[list[int]]:
    """Ctrl-C just before the n-th line of the watched files; counts the lines passed."""
    passed = [0]

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            passed[0] += 1
            if passed[0] == moment:
                raise KeyboardInterrupt
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename in WATCHED else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield passed
    finally:
        sys.settrace(before)


def session(model: GPT, mask: str) -> ChatSession:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    for text in ("Hi.", "My name is Ada."):
        chat.send(text, max_new_tokens=3, temperature=1.0, seed=1)
    return chat


def assert_whole(chat: ChatSession) -> None:
    """It can go on; what it says then is what one uncached forward says; tokens, messages and segments agree."""
    reply = chat.send("And now?", max_new_tokens=3)
    messages = chat.messages
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * chat.turn]
    dense = get_mask(chat.mask).dense(chat.segments)
    with torch.inference_mode():
        logits = chat.model(chat.tokens[None], dense)[0]
    start = len(chat.tokens) - 2 - len(reply.tokens)
    wanted = logits[start : start + len(reply.logits)]
    torch.testing.assert_close(reply.logits, wanted, atol=2e-5, rtol=0)
    ids = chat.segments.id.tolist()
    assert ids == sorted(ids)
    for number, message in enumerate(messages):
        tokens = [token for token, segment in zip(chat.tokens.tolist(), ids, strict=True) if segment == number]
        assert tokens, f"message {number} has no tokens"
        if message["role"] != "assistant":
            alone = encode_dialogue([{"role": "user", "content": message["content"]}], TOKENIZER).tokens.tolist()
            assert tokens == alone if message["role"] == "user" else tokens[1:] == alone[1:-1]


def strike(model: GPT, mask: str, action: Action, moment: int) -> bool:
    """Whether the action was over before the moment came."""
    chat = session(model, mask)
    over = True
    with interrupted_at(moment):
        try:
            action(chat)
        except KeyboardInterrupt:
            over = False
    assert_whole(chat)
    return over


def lines_of(model: GPT, mask: str, action: Action) -> int:
    chat = session(model, mask)
    with interrupted_at(-1) as passed:
        action(chat)
    return passed[0]


@pytest.fixture(scope="module")
def model() -> GPT:
    return random_model(vocab_size=TOKENIZER.n_vocab, context=160)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("mask", ["causal", "ism", "prefix"])
def test_a_sample_of_all_moments(model: GPT, mask: str, name: str) -> None:
    total = lines_of(model, mask, ACTIONS[name])
    moments = random.Random(f"{mask} {name}").sample(range(1, total + 1), min(total, 14))
    for moment in moments:
        strike(model, mask, ACTIONS[name], moment)


LEFT_OPEN = """
from mini_ism import ChatSession, load_model
model, tokenizer = load_model("ism")
stream = ChatSession(model, tokenizer).stream("The cup is in the oven. Where is the cup?")
print(next(stream))
"""


@pytest.mark.slow
def test_a_program_may_end_in_the_middle_of_an_answer() -> None:
    run = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "In\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("mask", ["causal", "ism", "prefix"])
def test_every_moment(model: GPT, mask: str, name: str) -> None:
    for moment in range(1, lines_of(model, mask, ACTIONS[name]) + 1):
        strike(model, mask, ACTIONS[name], moment)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX")
@pytest.mark.parametrize("mask", ["ism", "prefix"])
def test_a_real_timer(model: GPT, mask: str) -> None:
    chat, generator = session(model, mask), random.Random(7)
    armed, struck = [False], 0

    def strike_once(*_: object) -> None:
        if armed[0]:  # not when the signal comes late, after what is to be interrupted
            armed[0] = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike_once)
    try:
        for _ in range(150):
            try:
                armed[0] = True
                signal.setitimer(signal.ITIMER_REAL, generator.uniform(1e-4, 8e-3))
                chat.send("Where is the key?", max_new_tokens=4, temperature=1.0, seed=generator.randrange(99))
                armed[0] = False
            except KeyboardInterrupt:
                struck += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert_whole(chat)
            chat.truncate(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert struck > 20

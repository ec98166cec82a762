"""A conversation survives an interrupt at any line of the code that carries it, in the middle of cleaning up, too.

A sample of all moments, under any rule, is in ``tests/benchmarks``.
"""

import random
import signal
import subprocess
import sys

import pytest

from benchmarks.exactness import Tally, go_on
from benchmarks.interrupted import ACTIONS, lines_of, strike
from mini_ism import GPT, ChatSession
from tests.strategies import TOKENIZER, random_model


def session(model: GPT, mask: str) -> ChatSession:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    for text in ("Hi.", "My name is Ada."):
        chat.send(text, max_new_tokens=3, temperature=1.0, seed=1)
    return chat


@pytest.fixture(scope="module")
def model() -> GPT:
    return random_model(vocab_size=TOKENIZER.n_vocab, context=160)


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
    for moment in range(1, lines_of(ACTIONS[name], session(model, mask)) + 1):
        chat = session(model, mask)
        strike(ACTIONS[name], chat, moment)
        go_on(chat, Tally())


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
            go_on(chat, Tally())
            chat.truncate(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert struck > 20

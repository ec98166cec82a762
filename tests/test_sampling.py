"""Sampling: the likeliest tokens in the right shares, no marker, the same seed the same answer."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import ChatSession
from mini_ism.corpus import SIZES, load_split
from mini_ism.corpus.lexicon import read_words
from mini_ism.sampling import Sampler, loop_start
from tests.sessions import END, MODELS, VOCAB
from tests.strategies import TOKENIZER


def sampler(temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Sampler:
    return Sampler(TOKENIZER, temperature, top_k, top_p, 0)


def scores(seed: int, size: int = VOCAB) -> Tensor:
    return 3 * torch.randn(size, generator=torch.Generator().manual_seed(seed))


FORBIDDEN = [TOKENIZER.encode_single_token(f"<|{name}|>") for name in ("system", "user", "assistant", "pad")]


def by_hand(logits: Tensor) -> list[int]:
    """Tokens from the likeliest down, the markers left out."""
    return [t for t in logits[:VOCAB].argsort(descending=True).tolist() if t not in FORBIDDEN]


@given(st.integers(0, 999))
def test_greedy_and_all_that_equal_it(seed: int) -> None:
    logits = scores(seed)
    best = by_hand(logits)[0]
    assert sampler(0.0).pick(logits) == best
    assert sampler(1.0, top_k=1).pick(logits) == best
    assert sampler(1.0, top_p=1e-6).pick(logits) == best
    assert sampler(1e-4).pick(logits) == best
    assert sampler(1e-38).pick(logits) == best


def test_top_k_and_top_p_keep_the_likeliest() -> None:
    logits = scores(1)
    ranked = by_hand(logits)
    picker = sampler(2.0, top_k=3)
    assert {picker.pick(logits) for _ in range(300)} == set(ranked[:3])

    # four tokens hold .5 .3 .15 .05 of the probability
    logits = torch.full((VOCAB,), -torch.inf)
    logits[[5, 6, 7, 8]] = torch.tensor([0.15, 0.5, 0.05, 0.3]).log()
    for share, kept in ((0.4, {6}), (0.6, {6, 8}), (0.81, {6, 8, 5}), (1.0, {5, 6, 7, 8})):
        picker = sampler(1.0, top_p=share)
        assert {picker.pick(logits) for _ in range(400)} == kept, share
    picker = sampler(1.0, top_k=2, top_p=0.99)
    assert {picker.pick(logits) for _ in range(200)} == {6, 8}
    assert sampler(1.0, top_k=VOCAB * 2).pick(logits) in {5, 6, 7, 8}


def test_chance_follows_the_scores() -> None:
    logits = torch.full((VOCAB,), -torch.inf)
    logits[[5, 6]] = torch.tensor([0.25, 0.75]).log()
    picker = sampler(1.0)
    share = sum(picker.pick(logits) == 6 for _ in range(2000)) / 2000
    assert abs(share - 0.75) < 0.05
    picker = sampler(0.5)  # .25 and .75 squared: a tenth and nine
    share = sum(picker.pick(logits) == 6 for _ in range(2000)) / 2000
    assert abs(share - 0.9) < 0.04


def test_markers_are_never_written_but_the_end_may_be() -> None:
    for temperature in (0.0, 1.0):
        logits = torch.zeros(VOCAB + 10)
        logits[[*FORBIDDEN, *range(VOCAB, VOCAB + 10)]] = 100.0  # rows the tokenizer does not know, too
        picker = sampler(temperature)
        assert {picker.pick(logits) for _ in range(50)}.isdisjoint({*FORBIDDEN, *range(VOCAB, VOCAB + 10)})
        logits[END] = 200.0
        assert picker.pick(logits) == END


def test_the_same_seed_gives_the_same_answer() -> None:
    def tokens(seed: int | None) -> list[int]:
        chat = ChatSession(MODELS[0], TOKENIZER, "ism")
        return chat.send("Hi.", max_new_tokens=12, temperature=1.5, seed=seed).tokens.tolist()

    state_before = torch.get_rng_state()
    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)
    assert tokens(None) != tokens(None)
    assert torch.equal(torch.get_rng_state(), state_before)  # nobody else's numbers are touched


def test_greedy_is_the_default_and_needs_no_seed() -> None:
    one, two = (ChatSession(MODELS[2], TOKENIZER, "ism").send("Hi.", max_new_tokens=5) for _ in "ab")
    assert torch.equal(one.tokens, two.tokens)
    for token, row in zip(one.tokens.tolist(), one.logits, strict=False):
        assert token == by_hand(row)[0]


@pytest.mark.parametrize("temperature", [1e-46, 5e-324, 1e-300, np.float32(1e-45)])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    row = torch.randn(VOCAB, generator=torch.Generator().manual_seed(2))
    assert Sampler(TOKENIZER, temperature, seed=0).pick(row) == Sampler(TOKENIZER).pick(row)


@pytest.mark.parametrize(
    ("tokens", "start"),
    [
        ([], None),
        ([7, 7, 7], None),
        ([7, 7, 7, 7], 1),
        ([1, 2, 3, 7, 7, 7, 7], 4),
        ([1, 8, 9, 8, 9, 8, 9], None),
        ([1, 8, 9, 8, 9, 8, 9, 8, 9], 3),
        ([1, 8, 9, 8, 9, 8, 9, 8, 9, 1], None),
        (list(range(8)) * 4, 8),
        (list(range(9)) * 4, None),
    ],
)
def test_a_loop_is_four_copies_at_the_end(tokens: list[int], start: int | None) -> None:
    assert loop_start(tokens) == start


def test_no_answer_of_the_corpus_looks_like_a_loop() -> None:
    answers = [
        m["content"] for split in SIZES for d in load_split(split) for m in d.messages if m["role"] == "assistant"
    ]
    for answer in {*answers, *(f"Your name is {name}." for name in read_words("names"))}:
        tokens = TOKENIZER.encode_ordinary(f" {answer}")
        assert all(loop_start(tokens[:stop]) is None for stop in range(len(tokens) + 1)), answer


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_that_are_not_finite(bad: float, temperature: float) -> None:
    logits = scores(1)
    logits[5] = bad
    with pytest.raises(ValueError, match=rf"the model's scores are not finite \({bad}\): its weights are damaged"):
        sampler(temperature).pick(logits)
    with pytest.raises(ValueError, match="not finite"):
        sampler(temperature).pick(torch.full((VOCAB,), -torch.inf))

"""The paged prefix cache against forwards without any cache, over random rules, conversations, forks and evictions."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.interrupted import interrupted_at
from mini_ism import GPT, ChatSession, Mask, Segments, encode_dialogue, get_mask, load_model, paged, reusable
from mini_ism.chat import ContextFullError
from mini_ism.masks import MASKS
from mini_ism.paged import BlockHash, PagedCache, PagedConversation, block_hashes, token_hashes
from tests.faults import fail
from tests.strategies import (
    NONEMPTY,
    SHAPES,
    TOKENIZER,
    Layout,
    any_mask,
    any_rule,
    layouts,
    random_model,
    random_tokens,
    segments_of,
)

SIZE = 90  # positions of the longest dialogue
MODELS = [random_model(seed, **shape) for seed, shape in enumerate(SHAPES)]
MODEL = MODELS[0]


@dataclass
class Talk:
    """A conversation and what was said in it."""

    paged: PagedConversation
    layout: Layout
    tokens: list[int]

    @property
    def segments(self) -> Segments:
        return segments_of(self.layout)

    def say(self, role: str, tokens: list[int]) -> None:
        self.layout = [*self.layout, (role, len(tokens))]
        self.tokens = [*self.tokens, *tokens]

    def read(self, stop: int | None = None) -> float:
        """Read what was said up to there; how far the logits are from those of an uncached forward."""
        tokens, segments = torch.tensor(self.tokens[:stop]), self.segments[:stop]
        logits = self.paged.read(tokens, segments)
        with torch.inference_mode():
            whole = self.paged.cache.model(tokens[None], self.paged.mask.dense(segments))[0]
        return float((logits - whole[len(whole) - len(logits) :]).abs().max())


def say_something(talk: Talk, data: st.DataObject) -> None:
    """The next message: one of a few, so that conversations share some, and some of their beginnings."""
    roles = [role for role, _ in talk.layout]
    role = "assistant" if roles and roles[-1] == "user" else "user"
    words = data.draw(st.sampled_from([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 8], [1, 2, 9], [3], [4, 4, 4, 4]]))
    if len(talk.tokens) + len(words) <= SIZE:
        talk.say(role, words)


def hold_conversations(data: st.DataObject, pool: PagedCache, rules: list[Mask]) -> float:
    """Open, continue, fork, take back and close conversations at random; the largest error of any logit."""
    systems: list[list[int]] = [[], [20, 21, 22, 23, 24, 25], [20, 21, 22, 23, 30]]
    talks: list[Talk] = []
    worst = 0.0
    for _ in range(data.draw(st.integers(3, 10))):
        action = data.draw(st.sampled_from(["open", "say", "say", "say", "fork", "take back", "close"]))
        if action == "open" or not talks:
            talk = Talk(pool.open(data.draw(st.sampled_from(rules))), [], [])
            if system := data.draw(st.sampled_from(systems)):
                talk.say("system", system)
            talks.append(talk)
        else:
            talk = data.draw(st.sampled_from(talks))
        if action == "close" and talk in talks:
            talk.paged.close()
            talks.remove(talk)
            continue
        if action == "fork":
            talk = Talk(talk.paged.fork(), talk.layout, talk.tokens)
            talks.append(talk)
        if action == "take back" and len(talk.layout) > 1:
            talk.tokens = talk.tokens[: -talk.layout[-1][1]]
            talk.layout = talk.layout[:-1]
        say_something(talk, data)
        worst = max(worst, talk.read(data.draw(st.integers(1, len(talk.tokens)))), talk.read())
    for talk in talks:
        talk.paged.close()
    assert pool.held == 0
    return worst


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(0, len(MODELS) - 1), st.integers(1, 5), st.integers(1, 24))
def test_any_rule_any_conversations_any_room(data: st.DataObject, which: int, size: int, blocks: int) -> None:
    """One cache may serve conversations under two rules at once."""
    rules = data.draw(st.lists(any_rule(SIZE), min_size=1, max_size=2))
    pool = PagedCache(MODELS[which], block_size=size, blocks=blocks)
    assert hold_conversations(data, pool, rules) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({str(tree[0]) for tree in NONEMPTY if tree[0] in MASKS}))
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_every_registered_rule_that_leaves_nobody_alone(name: str, data: st.DataObject) -> None:
    pool = PagedCache(MODEL, block_size=3, blocks=12)
    assert hold_conversations(data, pool, [get_mask(name)]) < 1e-5


# -- what a hash covers ------------------------------------------------------------------------------------------------


def common(one: list[BlockHash], other: list[BlockHash]) -> int:
    """How many blocks two dialogues share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (here, there) in pairs if here != there), min(len(one), len(other)))


@given(layouts(), any_mask(40), st.integers(1, 5), st.data())
def test_two_states_of_a_dialogue_share_what_is_reusable(
    layout: Layout, mask: Mask, size: int, data: st.DataObject
) -> None:
    """To the block: neither more, which would be wrong, nor less, which would be waste."""
    whole = segments_of(layout)
    old, new = (whole[: data.draw(st.integers(1, len(whole)))] for _ in range(2))
    tokens = random_tokens(len(whole))[0]
    hashes = [block_hashes(mask.dense(part), tokens[: len(part)], size) for part in (old, new)]
    assert common(*hashes) == reusable(mask, old, new) // size


@given(layouts(), layouts(), st.integers(1, 5), st.data())
def test_under_causal_it_is_the_chained_hash_of_the_tokens(
    one: Layout, other: Layout, size: int, data: st.DataObject
) -> None:
    """Whoever speaks: a causal mask does not ask."""
    paged, chained = [], []
    for layout in (one, other):
        count = sum(length for _, length in layout)
        tokens = torch.tensor(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
        dense = get_mask("causal").dense(segments_of(layout))
        paged.append(block_hashes(dense, tokens, size))
        chained.append(token_hashes(dense, tokens, size))
    assert common(*paged) == common(*chained)


def test_a_block_inside_a_question_covers_the_question() -> None:
    segments = segments_of([("user", 10), ("assistant", 6)])
    tokens = torch.arange(16)

    def changed(name: str) -> list[list[int]]:
        """For each block, the tokens whose change changes its hash."""
        dense = get_mask(name).dense(segments)
        before = block_hashes(dense, tokens, 4)
        moved: list[list[int]] = [[] for _ in before]
        for place in range(len(tokens)):
            other = tokens.clone()
            other[place] = 39
            for number, pair in enumerate(zip(before, block_hashes(dense, other, 4), strict=True)):
                if pair[0] != pair[1]:
                    moved[number].append(place)
        return moved

    assert [len(places) for places in changed("causal")] == [4, 8, 12, 16]
    assert [len(places) for places in changed("ism")] == [10, 10, 12, 16]
    assert [len(places) for places in changed("bidirectional")] == [16, 16, 16, 16]


# -- the lesson --------------------------------------------------------------------------------------------------------


def conversation(*messages: list[int]) -> tuple[Layout, list[int]]:
    """A system prompt, then user and assistant in turn."""
    roles = ["system", *["user", "assistant"] * len(messages)][: len(messages)]
    return list(zip(roles, map(len, messages), strict=True)), [token for words in messages for token in words]


def reused(rule: str, first: tuple[Layout, list[int]], second: tuple[Layout, list[int]], size: int) -> int:
    pool = PagedCache(MODEL, block_size=size)
    for layout, tokens in (first, second):
        talk = Talk(pool.open(rule), layout, tokens)
        assert talk.read() < 1e-5
    return talk.paged.reads[-1][0]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6))
def test_ism_reuses_as_much_as_causal_but_for_one_block(system: int, asked: int, written: int, size: int) -> None:
    """Conversations that share whole messages, and then ask something else."""
    shared = [[7] * system, [8] * asked, [9] * written]
    for n in (1, 3):
        first, second = (conversation(*shared[:n], [token] * asked) for token in (1, 2))
        causal, ism = (reused(rule, first, second, size) for rule in ("causal", "ism"))
        assert causal - size <= ism <= causal
        assert ism >= sum(map(len, shared[:n])) // size * size - size
        assert reused("prefix", first, second, size) == 0


def test_questions_that_begin_alike_share_their_beginning_under_causal_only() -> None:
    first, second = (conversation([7] * 8, [1] * 20 + [last]) for last in (2, 3))
    assert reused("causal", first, second, 4) == 28
    assert reused("ism", first, second, 4) == 8
    assert reused("prefix", first, second, 4) == 0


def test_prefix_shares_whole_prompts_and_nothing_once_a_turn_is_added() -> None:
    asked, more = conversation([7] * 8, [1] * 8), conversation([7] * 8, [1] * 8, [2] * 4, [3] * 4)
    assert reused("prefix", asked, asked, 4) == 12  # the last block is computed for its scores
    assert reused("prefix", asked, more, 4) == 0
    assert reused("ism", asked, more, 4) == reused("causal", asked, more, 4) == 16


# -- hashes that see too little ----------------------------------------------------------------------------------------


def error_of_the_second(hashes: Callable[..., list[BlockHash]], rule: str) -> float:
    pool = PagedCache(MODEL, block_size=4, hashes=hashes)
    worst = 0.0
    for last in (2, 3):
        layout, tokens = conversation([7] * 8, [*range(10, 22), last])
        worst = max(worst, Talk(pool.open(rule), layout, tokens).read())
    return worst


@pytest.mark.parametrize("rule", ["ism", "prefix", "bidirectional"])
def test_hashes_of_tokens_alone_corrupt_what_reads_ahead(rule: str) -> None:
    assert error_of_the_second(token_hashes, rule) > 0.01
    assert error_of_the_second(token_hashes, "causal") < 1e-5
    assert error_of_the_second(block_hashes, rule) < 1e-5


def test_hashes_of_tokens_alone_are_caught_by_the_property(monkeypatch: pytest.MonkeyPatch) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        pool = PagedCache(MODEL, block_size=3, blocks=12, hashes=token_hashes)
        assert hold_conversations(data, pool, [get_mask("ism")]) < 1e-5

    with pytest.raises(AssertionError):
        holds()


# -- room --------------------------------------------------------------------------------------------------------------


def read(pool: PagedCache, *tokens: int, rule: str = "causal") -> PagedConversation:
    talk = Talk(pool.open(rule), [("user", len(tokens))], [*tokens])
    assert talk.read() < 1e-5
    return talk.paged


def test_the_block_unused_for_longest_goes_first_and_a_dialogue_loses_its_end() -> None:
    pool = PagedCache(MODEL, block_size=2, blocks=4)
    for tokens in ((1, 1, 2, 2, 3), (4, 4, 5, 5, 6)):
        read(pool, *tokens).close()
    assert pool.evictions == 0
    read(pool, 1, 1, 2, 2, 3).close()  # used again, so that now the other one is the oldest
    read(pool, 7, 7, 8).close()
    assert pool.evictions == 1
    assert read(pool, 1, 1, 2, 2, 3).reads == [(4, 1)]
    assert read(pool, 4, 4, 5, 5, 6).reads == [(2, 3)]


def test_what_somebody_holds_is_never_given_up() -> None:
    pool = PagedCache(MODEL, block_size=2, blocks=2)
    first = read(pool, 1, 1, 2, 2, 3)
    second = first.fork()
    other = read(pool, 4, 4, 5, 5, 6)  # right, and not kept: there is no room
    assert (pool.held, other.blocks, pool.evictions) == (2, [], 0)
    first.close()
    first.close()
    assert pool.held == 2
    second.close()
    assert pool.held == 0
    assert len(read(pool, 4, 4, 5, 5, 6).blocks) == pool.evictions == 2


def test_conversations_with_one_past_hold_the_same_blocks() -> None:
    pool = PagedCache(MODEL, block_size=2)
    first, second = read(pool, 1, 1, 2, 2, 3), read(pool, 1, 1, 2, 2, 4)
    assert first.blocks == second.blocks
    assert pool.held == 2
    assert pool.nbytes == MODEL.kv_bytes(2 * 64)


def test_new_weights_make_all_blocks_strangers() -> None:
    model = random_model(9)
    pool = PagedCache(model, block_size=2)
    held = read(pool, 1, 1, 2, 2, 3)
    with torch.no_grad():
        model.embed.weight += 0.5
    assert read(pool, 1, 1, 2, 2, 3).reads == [(0, 5)]
    assert read(pool, 1, 1, 2, 2, 3).reads == [(4, 1)]
    held.close()
    assert pool.held == 2


def test_a_read_that_fails_changes_nothing() -> None:
    pool = PagedCache(MODEL, block_size=2)
    talk = read(pool, 1, 1, 2, 2, 3)
    before = [*talk.blocks], [*talk.reads], pool.held
    segments = segments_of([("user", 5)])
    wrong: list[tuple[Any, Segments]] = [
        (torch.full((5,), 99), segments),  # no token of the model's
        (torch.ones(7, dtype=torch.long), segments),  # other lengths
        (torch.ones(1, 5, dtype=torch.long), segments),  # a batch
        (torch.ones(120, dtype=torch.long), segments_of([("user", 120)])),  # past the context
    ]
    for tokens, of in wrong:
        with pytest.raises(ValueError, match=r"out of range|got shapes|exceed the model's context of 96; leave out"):
            talk.read(tokens, of)
    assert ([*talk.blocks], [*talk.reads], pool.held) == before


@pytest.mark.slow
@pytest.mark.parametrize("action", ["read", "new weights", "fork", "close"])
def test_an_interrupt_at_any_line_leaves_blocks_that_are_right_and_held_by_nobody_else(action: str) -> None:
    press = partial(signal.raise_signal, signal.SIGINT)  # which `uninterrupted` may put off

    def struck(moment: int) -> int:
        pool = PagedCache(random_model(9), block_size=2, blocks=5)
        talk = read(pool, 1, 1, 2, 2, 3)
        if action == "new weights":
            with torch.no_grad():
                pool.model.embed.weight += 0.5
        longer = Talk(talk, [("user", 9)], [1, 1, 2, 2, 4, 4, 5, 5, 6])
        acts = {"fork": talk.fork, "close": talk.close}
        with suppress(KeyboardInterrupt), interrupted_at(moment, {paged.__file__}, press) as passed:
            acts.get(action, longer.read)()
        for other in ((1, 1, 2, 2, 4, 4, 5, 5, 6), (7, 7, 8, 8, 9)):
            read(pool, *other).close()
        assert longer.read() < 1e-5
        assert pool.held == len(talk.blocks) or action == "fork"
        talk.close()
        return passed[0]

    for moment in range(1, struck(-1) + 1):
        struck(moment)


def test_a_block_that_could_not_be_filled_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PagedCache(MODEL, block_size=2)
    monkeypatch.setattr(pool, "hold", fail(2, MemoryError()))
    with pytest.raises(MemoryError):
        read(pool, 1, 1, 2, 2, 3)
    monkeypatch.undo()
    assert pool.held == 0
    assert read(pool, 1, 1, 2, 2, 3).reads


def test_logits_may_be_written_to() -> None:
    logits = PagedCache(MODEL).open("ism").read(torch.tensor([1, 2]), segments_of([("user", 2)]))
    assert logits.sub_(logits.max()).max() == 0


def test_a_question_that_leaves_no_room_for_an_answer() -> None:
    prompt = encode_dialogue([{"role": "user", "content": "a b c d " * 60}], TOKENIZER)
    with pytest.raises(ContextFullError, match=rf"the dialogue has {len(prompt)} tokens, which leaves no room"):
        PagedCache(random_model(vocab_size=TOKENIZER.n_vocab)).open("ism").answer(prompt, TOKENIZER)


@pytest.mark.parametrize("sizes", [{"block_size": 0}, {"blocks": 0}, {"block_size": 2.5}])
def test_sizes_are_whole_numbers_above_zero(sizes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=next(iter(sizes))):
        PagedCache(MODEL, **sizes)


def test_answers_are_those_of_a_chat() -> None:
    model: GPT
    model, tokenizer = load_model("ism")
    pool = PagedCache(model, block_size=8)
    for question in ("The key is in the box. Where is the key?", "The key is in the oven. Where is the key?"):
        prompt = encode_dialogue([{"role": "user", "content": question}], TOKENIZER)
        talk = pool.open()
        assert talk.answer(prompt, tokenizer) == str(ChatSession(model, tokenizer).send(question))
        assert talk.reads[0][0] == 0  # the questions begin alike, and share nothing
        assert talk.reads[-1][0] > 0


def test_other_kinds_are_named() -> None:
    tokens, segments = torch.tensor([1, 2]), segments_of([("user", 2)])
    talk: Any = PagedCache(MODEL).open()
    other: Any = "ism"
    for call, complaint in (
        (lambda: PagedCache(other), "model must be GPT"),
        (lambda: PagedCache(MODEL, hashes=other), "hashes must be a function"),
        (lambda: talk.read(tokens.tolist(), segments), "tokens must be Tensor"),
        (lambda: talk.read(tokens, tokens), "expected the Segments"),
        (lambda: talk.answer([{"role": "user", "content": "Hi."}], TOKENIZER), "prompt must be EncodedDialogue"),
    ):
        with pytest.raises(TypeError, match=complaint):
            call()


@pytest.mark.parametrize("stop", [None, 3])
def test_what_does_not_end_with_a_question_is_not_answered(stop: int | None) -> None:
    said = [{"role": "user", "content": "Where is the cup?"}, {"role": "assistant", "content": "In the box."}]
    talk = PagedCache(random_model(vocab_size=TOKENIZER.n_vocab)).open("ism")
    with pytest.raises(ValueError, match="does not end with a question"):
        talk.answer(encode_dialogue(said, TOKENIZER).first(stop or 99), TOKENIZER)

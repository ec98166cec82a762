"""Costs: a plan made from the rule is what the engine does."""

from dataclasses import replace

import pytest
import tiktoken
import torch

from mini_ism import GPT, ChatSession, GPTConfig, Mask, Segments, get_mask, load_tokenizer
from mini_ism.checkpoints import load_model
from mini_ism.cost import SHIPPED, plan, visible_pairs
from mini_ism.masks import COURSE_MASKS, MASKS
from mini_ism.trace import Event, turn_costs
from tests.strategies import segments_of_turns

RULES = [  # all but those that leave a row empty, or are composed below
    *sorted(set(MASKS) - {"sink", "same_query", "sliding_window", "inside"}),
    "ism(sink=True)",
    "ism(system_as_query=False)",
    "causal & (sliding_window(6) | sink(2))",
    "ism & (sliding_window(4) | same_query)",
    "causal | sliding_window(3)",
]


@pytest.fixture(scope="module")
def tokenizer() -> tiktoken.Encoding:
    return load_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: tiktoken.Encoding) -> GPT:
    torch.manual_seed(3)
    return GPT(GPTConfig(vocab_size=tokenizer.n_vocab, layers=1, heads=2, width=16, context=256))


class EndsAfter(ChatSession):
    """A session whose model ends its answers by itself: the end marker wins after ``answer`` tokens."""

    answer = 3

    def _compute(self, phase):  # type: ignore[no-untyped-def]
        scores = super()._compute(phase)
        scores = scores.clone()
        over = (self._talk.said.written or 0) >= self.answer
        scores[self.tokenizer.encode_single_token("<|end|>")] = 1e9 if over else -1e9
        return scores


def untimed(trace: list[Event]) -> list[tuple[int, str, int, int, int, int]]:
    return [(e.turn, e.phase, e.start, e.stop, e.flops, e.kv_bytes) for e in trace]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("system", [None, "You are Mira."])
def test_a_plan_is_the_trace_of_the_engine(
    rule: str, system: str | None, model: GPT, tokenizer: tiktoken.Encoding
) -> None:
    chat = EndsAfter(model, tokenizer, rule, system=system)
    for text in ("The cup is in the oven.", "Where is it?", "And now?"):
        assert chat.send(text).stopped == "end"
    assert untimed(plan(rule, chat.segments, model)) == untimed(chat.trace)
    assert untimed(plan(rule, chat.segments, model.config)) == untimed(chat.trace)


def test_random_rules_plan_as_they_run(model: GPT, tokenizer: tiktoken.Encoding) -> None:
    table = torch.rand(200, 200) < 0.4
    table.fill_diagonal_(True)
    rule = Mask(lambda q, kv, s: table[q, kv])
    chat = EndsAfter(model, tokenizer, rule)
    chat.send("The cup is in the oven.")
    chat.send("Where?")
    assert untimed(plan(rule, chat.segments, model)) == untimed(chat.trace)


def test_flops_and_bytes_are_the_models(model: GPT) -> None:
    (cost,) = turn_costs(plan("causal", segments_of_turns(5, 2), model))
    assert cost.flops == model.flops(5, 25) + model.flops(1, 6) + model.flops(1, 7)
    assert cost.kv_bytes == model.kv_bytes(7)


def test_a_plan_counts_what_the_shipped_models_cost_unless_it_is_told_otherwise() -> None:
    segments = segments_of_turns(5, 2)
    for mask in COURSE_MASKS:
        model, _ = load_model(mask)
        assert replace(SHIPPED, mask=mask) == model.config
        assert untimed(plan(mask, segments)) == untimed(plan(mask, segments, model))


def test_visible_pairs_are_counted() -> None:
    s = segments_of_turns(3, 2)
    assert visible_pairs("causal", s) == 15
    assert visible_pairs("ism", s) == int(get_mask("ism").dense(s).sum()) == 18


@pytest.mark.parametrize("shape", [(0,), (2, 3)])
def test_a_plan_needs_one_dialogue(shape: tuple[int, ...]) -> None:
    ids = torch.zeros(shape, dtype=torch.long)
    with pytest.raises(ValueError, match="one dialogue"):
        plan("causal", Segments(id=ids, is_query=ids == 0))


def test_a_plan_needs_a_known_mask() -> None:
    with pytest.raises(ValueError, match="unknown mask 'ims'"):
        plan("ims", segments_of_turns(2, 1))

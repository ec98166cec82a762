"""Exact match: the same verdict as really chatting, for every kind of mask, and sound intervals."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks.random_cases import reads_a_length, reads_ends
from mini_ism import GPT, ChatSession, GPTConfig, Mask, get_mask, load_model, load_tokenizer
from mini_ism.corpus import Dialogue, generate, load_split
from mini_ism.dialogue import END, encode_message
from mini_ism.evaluation import Score, evaluate
from mini_ism.markers import marker_id
from mini_ism.training import Run, TrainingConfig


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> GPT:
    """A model that gets the acknowledgements right and the rest wrong."""
    config = TrainingConfig(steps=40, dialogues=6, validate=40, validation_size=2, save=40, easy=0)
    return Run(config, tmp_path_factory.mktemp("run")).train()


AWKWARD = [Mask(rule, rule.__name__) for rule in (reads_a_length, reads_ends)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "mask", ["causal", "prefix", "ism", "bidirectional", "causal | same_segment", *AWKWARD], ids=str
)
def test_agrees_with_chatting(half_trained: GPT, mask: str | Mask) -> None:
    tokenizer, dialogues = load_tokenizer(), load_split("test")[:6]
    right: dict[str, list[bool]] = {}
    for dialogue in dialogues:
        system = dialogue.messages[0]["content"] if dialogue.messages[0]["role"] == "system" else None
        texts = [m["content"] for m in dialogue.messages if m["role"] == "user"]
        answers = [m for m in dialogue.messages if m["role"] == "assistant"]
        for turn, (answer, skill) in enumerate(zip(answers, dialogue.skills, strict=True)):
            history = dialogue.messages[: 2 * turn + (system is not None)]  # the true one
            chat = ChatSession(half_trained, tokenizer, mask, messages=history)
            reply = chat.send(texts[turn], max_new_tokens=40)
            written = [*reply.tokens.tolist(), *([tokenizer.n_vocab] if reply.stopped != "end" else [])]
            right.setdefault(skill, []).append(written == encode_message(answer, tokenizer)[:-1])
    scores = evaluate(half_trained, tokenizer, dialogues, mask, batch=5)
    assert {skill: [s.right, s.total] for skill, s in scores.items()} == {
        skill: [sum(found), len(found)] for skill, found in sorted(right.items())
    }
    assert 0 < sum(s.right for s in scores.values()) < sum(s.total for s in scores.values())


WRITTEN = get_mask("ism") & Mask(lambda q, kv, s: kv < len(s) + q, "length")  # of which nothing can be scored at once


@pytest.mark.parametrize("mask", ["ism", WRITTEN], ids=str)
def test_tokens_that_only_the_model_has_are_never_written(mask: str | Mask) -> None:
    model, tokenizer = load_model("ism")
    weights = model.state_dict()
    end = weights["embed.weight"][marker_id(tokenizer, END)]
    weights["embed.weight"] = torch.cat([weights["embed.weight"], 1.05 * end.expand(64, -1)])  # likelier than the end
    padded = GPT(replace(model.config, vocab_size=tokenizer.n_vocab + 64))
    padded.load_state_dict(weights)
    dialogues = load_split("test")[:2]
    scores = evaluate(padded, tokenizer, dialogues, mask)
    assert scores == evaluate(model, tokenizer, dialogues, mask)
    assert sum(score.right for score in scores.values()) > 0


def test_intervals() -> None:
    low, high = Score(95, 100).interval
    assert [low, high] == pytest.approx([0.8882, 0.9785], abs=1e-4)  # by hand, Wilson
    for right in (0, 10):
        low, high = Score(right, 10).interval
        assert 0 <= low <= right / 10 + 1e-9
        assert right / 10 - 1e-9 <= high <= 1
    assert Score(1, 2) + Score(3, 5) == Score(4, 7)


@pytest.mark.parametrize("given", [(3, 2), (-1, 2), (0, -1)])
def test_scores_that_cannot_be(given: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"Score\.(right|total) must be"):
        Score(*given)
    with pytest.raises(ValueError, match="a score over no answers has no share"):
        _ = Score(0, 0).share


def test_nothing_to_evaluate() -> None:
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, width=16, heads=2, layers=1))
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(model, tokenizer, [])
    with pytest.raises(ValueError, match="these dialogues never end; take some"):
        evaluate(model, tokenizer, generate(0))
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        evaluate(model, tokenizer, load_split("test")[:1], batch=0)
    assert torch.is_grad_enabled()


def test_a_dialogue_too_long_for_the_model_is_named() -> None:
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, width=16, heads=2, layers=1, context=90))
    by_length = sorted(load_split("test")[:30], key=lambda d: sum(len(m["content"]) for m in d.messages))
    with pytest.raises(
        ValueError, match=r"1 of 2 dialogues have more than the model's 90 tokens: dialogue 1 \(.*shorten"
    ):
        evaluate(model, tokenizer, [by_length[0], by_length[-1]])


@pytest.mark.parametrize("mask", ["causal", "bidirectional"])
def test_a_model_that_has_diverged_is_not_scored(mask: str) -> None:
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, width=16, heads=2, layers=1))
    model.embed.weight.data[7, 3] = torch.nan
    with pytest.raises(ValueError, match="the model's scores are not finite: its weights are damaged, or its training"):
        evaluate(model, tokenizer, load_split("test")[:1], mask)


class Peeper(GPT):
    """Writes the next token wherever the mask shows it, and the end marker wherever it does not."""

    def forward(self, tokens: Tensor, mask: Any = None, cache: Any = None, *, logits_at: Any = ..., **_: Any) -> Tensor:
        end = torch.full_like(tokens, load_tokenizer().encode_single_token("<|end|>"))
        start = 0 if cache is None else cache.length
        sees_next = torch.cat(
            [mask.diagonal(start + 1, dim1=-2, dim2=-1), torch.zeros(len(tokens), 1, dtype=torch.bool)], dim=1
        )
        if cache is not None:
            cache.advance(tokens)
        next_token = torch.where(sees_next, tokens.roll(-1, dims=1), end)
        return one_hot(next_token, self.config.vocab_size).float()[logits_at]


@pytest.mark.parametrize("mask", ["bidirectional", "causal | same_segment"])
def test_a_model_that_sees_its_answer_is_scored_by_what_it_writes(mask: str) -> None:
    """Shown all of an answer at once it would be right every time; it writes nothing but an end."""
    tokenizer = load_tokenizer()
    scores = evaluate(Peeper(GPTConfig(vocab_size=tokenizer.n_vocab)), tokenizer, load_split("test")[:20], mask)
    assert sum(score.right for score in scores.values()) == 0


@pytest.mark.slow
def test_answers_of_weight_0_are_read_and_not_scored(half_trained: GPT) -> None:
    tokenizer, plain = load_tokenizer(), load_split("test")[:4]
    left_out = [[{**m, "weight": 0} if m["role"] == "assistant" else m for m in d.messages] for d in plain]
    firsts = [next(n for n, m in enumerate(d.messages) if m["role"] == "assistant") for d in plain]
    weighed = [
        Dialogue([*unscored[:n], d.messages[n], *unscored[n + 1 :]], d.skills)
        for d, n, unscored in zip(plain, firsts, left_out, strict=True)
    ]
    alone = [Dialogue(d.messages[: n + 1], d.skills[:1]) for d, n in zip(plain, firsts, strict=True)]
    for mask in ("causal", "prefix"):
        assert evaluate(half_trained, tokenizer, weighed, mask) == evaluate(half_trained, tokenizer, alone, mask)
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(half_trained, tokenizer, [Dialogue(left_out[0], plain[0].skills)])


def test_an_iterator_is_read_once_and_whole(half_trained: GPT) -> None:
    tokenizer, dialogues = load_tokenizer(), load_split("test")[:4]
    scores = evaluate(half_trained, tokenizer, iter(dialogues))
    assert scores == evaluate(half_trained, tokenizer, dialogues)
    assert sum(score.total for score in scores.values()) == sum(len(d.skills) for d in dialogues)

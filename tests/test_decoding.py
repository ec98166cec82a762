"""Answers written in batches are those of a chat, one conversation after the other, whatever the rule."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import GPT, ChatSession, Mask, Segments, encode_dialogue, get_mask
from mini_ism.chat import ContextFullError
from mini_ism.decoding import answer_all, decode
from mini_ism.dialogue import EncodedDialogue
from tests.sessions import END, MODELS, VOCAB, models
from tests.strategies import TOKENIZER, Messages, any_rule, close, random_model

SAYINGS = ("Hi.", "Where is the key?", "the box", "My name is Zolta. The key is in the box.", "a \u20ac")
CONTEXT = 96  # that of MODELS, too


def conversations(random: Random, count: int) -> list[Messages]:
    """Conversations of one to three turns, which end with a user's message."""
    found: list[Messages] = []
    for _ in range(count):
        roles = ["system"] * random.randrange(2) + ["user", "assistant"] * random.randrange(3) + ["user"]
        found.append([{"role": role, "content": random.choice(SAYINGS)} for role in roles])
    return found


@torch.no_grad()
def talker(seed: int) -> GPT:
    """A random model that ends its answers sooner or later."""
    model = random_model(seed, vocab_size=VOCAB, context=CONTEXT)
    model.embed.weight[END] *= 2.5
    return model


TALKERS = [talker(seed) for seed in range(3)]


@settings(max_examples=25)
@given(models, any_rule(CONTEXT), st.integers(1, 5), st.booleans(), st.integers(0, 2**32))
def test_scores_are_those_of_an_uncached_forward(model: GPT, mask: Mask, count: int, alike: bool, seed: int) -> None:
    random = Random(seed)
    prompts = [encode_dialogue(messages, TOKENIZER) for messages in conversations(random, count)]
    if alike:  # no padding
        prompts = [prompts[0]] * count
    answers = [[random.randrange(VOCAB) for _ in range(random.randrange(5))] for _ in prompts]
    scores: list[list[Tensor]] = [[] for _ in prompts]

    def pick(number: int, logits: Tensor) -> int | None:
        scores[number].append(logits)
        asked = len(scores[number]) - 1
        return answers[number][asked] if asked < len(answers[number]) else None

    finished = list(decode(model, mask, prompts, pick, longest=5, batch=3))
    assert sorted(finished) == list(range(count))
    for prompt, answer, got in zip(prompts, answers, scores, strict=True):
        assert len(got) == len(answer) + 1
        for written, logits in enumerate(got):
            tokens, segments = said(prompt, answer[:written])
            with torch.inference_mode():
                close(logits, model(tokens[None], mask.dense(segments))[0, -1])


def said(prompt: EncodedDialogue, answer: list[int]) -> tuple[Tensor, Segments]:
    """A prompt and the beginning of an answer to it."""
    s, more = prompt.segments, len(answer)
    ids = [*s.id.tolist(), *[int(s.id[-1]) + 1] * more]
    asks, system = ([*field.tolist(), *[False] * more] for field in (s.is_query, s.system))
    segments = Segments(torch.tensor(ids), torch.tensor(asks), torch.tensor(system))
    return torch.tensor([*prompt.tokens.tolist(), *answer]), segments


def check_like_chat(model: GPT, mask: Mask, talks: list[Messages], longest: int, batch: int) -> list[str]:
    """Replies are those of a chat; why they stopped."""
    replies = dict(answer_all(model, TOKENIZER, talks, mask, max_new_tokens=longest, batch=batch))
    assert sorted(replies) == list(range(len(talks)))
    for number, talk in enumerate(talks):
        chat = ChatSession(model, TOKENIZER, mask, messages=talk[:-1])
        wanted, reply = chat.send(talk[-1]["content"], max_new_tokens=longest), replies[number]
        assert reply.tokens.tolist() == wanted.tokens.tolist()
        assert (reply.text, reply.stopped) == (wanted.text, wanted.stopped)
        close(reply.logits, wanted.logits)
    return [reply.stopped for reply in replies.values()]


@pytest.mark.parametrize(
    "name", ["causal", "prefix", "ism", "ism(sink=True)", "bidirectional", "mas", "causal | same_segment"]
)
def test_replies_are_those_of_a_chat(name: str) -> None:
    stopped = check_like_chat(TALKERS[0], get_mask(name), conversations(Random(name), 9), longest=6, batch=4)
    assert {"end", "length"} <= set(stopped)


@settings(max_examples=15)
@given(st.sampled_from(TALKERS), any_rule(CONTEXT), st.integers(1, 4), st.integers(0, 2**32))
def test_replies_are_those_of_a_chat_under_any_rule(model: GPT, mask: Mask, count: int, seed: int) -> None:
    random = Random(seed)
    check_like_chat(model, mask, conversations(random, count), longest=random.randint(1, 5), batch=random.randint(1, 3))


@pytest.mark.parametrize("name", ["ism", "bidirectional"])
def test_a_padded_row_goes_on_when_the_context_of_the_longest_is_full(name: str) -> None:
    model = random_model(vocab_size=VOCAB, context=32)
    long = [{"role": "user", "content": "the box and the key " * 4}]
    talks = [[{"role": "user", "content": "Hi."}], long, [{"role": "user", "content": "Where is the key?"}]]
    assert len(encode_dialogue(long, TOKENIZER)) > 20
    assert check_like_chat(model, get_mask(name), talks, longest=99, batch=3) == ["context"] * 3


def test_what_cannot_be_answered() -> None:
    hello = [{"role": "user", "content": "Hi."}]
    assert list(answer_all(MODELS[0], TOKENIZER, [])) == []
    assert dict(answer_all(MODELS[0], TOKENIZER, iter([hello, hello]), max_new_tokens=2)).keys() == {0, 1}
    with pytest.raises(ValueError, match="conversation 1 ends with a message of 'assistant', not of the user"):
        answer_all(MODELS[0], TOKENIZER, [hello, [*hello, {"role": "assistant", "content": "Hi."}]])
    with pytest.raises(ContextFullError, match=r"conversation 0 has \d+ tokens, which leaves no room"):
        answer_all(MODELS[0], TOKENIZER, [[{"role": "user", "content": "the box " * 60}]])
    with pytest.raises(TypeError, match=r"model must be GPT, got 'ism'; load_model\(name\) returns one"):
        answer_all("ism", TOKENIZER, [])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        list(answer_all(MODELS[0], TOKENIZER, [hello], batch=0))
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        answer_all(MODELS[0], TOKENIZER, [hello], max_new_tokens=0)
    with pytest.raises(ValueError, match="nothing to attend to"):
        list(answer_all(MODELS[0], TOKENIZER, [hello], "~causal"))

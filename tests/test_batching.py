"""Batches: one sample per turn where a mask needs it, and packing that loses nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import encode_dialogue, get_mask
from mini_ism.batching import collate, expand_turns, make_batch, pack, training_sequences, turns_independent
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue, encode_message
from tests.strategies import TOKENIZER, Messages, conversations, random_model


@settings(max_examples=40)
@given(conversations())
def test_expanded_turns(messages: Messages) -> None:
    samples = expand_turns(messages)
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    assert samples == [messages[: n + 1] for n in answers]
    targets = sum(int(encode_dialogue(m, TOKENIZER, loss="last").loss_mask.sum()) for m in samples)
    assert targets == int(encode_dialogue(messages, TOKENIZER).loss_mask.sum())


HI = {"role": "user", "content": "Hi."}
GOOD, BAD = {"role": "assistant", "content": "Hello."}, {"role": "assistant", "content": "Go.", "weight": 0}


@pytest.mark.parametrize("expand", [False, True])
def test_an_answer_of_weight_0_is_no_target_of_any_sequence(expand: bool) -> None:
    dialogues = [Dialogue([HI, GOOD, HI, BAD, HI, GOOD], ["a", "b", "c"]), Dialogue([HI, BAD], ["d"])]
    sequences = training_sequences(dialogues, TOKENIZER, expand=expand)
    assert [names for _, names in sequences] == ([["a"], ["c"]] if expand else [["a", "c"]])
    for sequence, names in sequences:
        spelled = encode_message(GOOD, TOKENIZER) * len(names)
        assert sequence.tokens[sequence.loss_mask].tolist() == spelled
    with pytest.raises(ValueError, match=r'nothing to learn: give .*an answer whose "weight" is not 0'):
        make_batch(dialogues[1:], TOKENIZER, expand=expand)


short = conversations(st.text(alphabet="abc ", max_size=4))


def fields(encoded: EncodedDialogue) -> list[Tensor]:
    s = encoded.segments
    return [encoded.tokens, encoded.loss_mask, s.id, s.is_query, s.system]


@settings(max_examples=40)
@given(st.lists(short, min_size=1, max_size=5), st.integers(0, 40))
def test_packing_loses_nothing(batch: list[Messages], spare: int) -> None:
    dialogues = [encode_dialogue(messages, TOKENIZER) for messages in batch]
    length = max(map(len, dialogues)) + spare
    packed = pack(dialogues, TOKENIZER, length)
    document = packed.segments.document
    assert document is not None
    assert packed.tokens.shape[1] == length
    assert packed.tokens.shape[0] <= len(dialogues)
    pad = document == -1
    assert bool((packed.tokens[pad] == TOKENIZER.encode_single_token("<|pad|>")).all())
    assert not bool(packed.loss_mask[pad].any())
    assert not bool(packed.segments.is_query[pad].any())

    found = []
    for b in range(len(packed.tokens)):
        row = document[b].tolist()
        numbers = [n for n in row if n >= 0]
        assert numbers == sorted(numbers)  # laid end to end ...
        assert row == numbers + [-1] * (length - len(numbers))  # ... from the left
        for number in range(max(numbers) + 1):
            here = document[b] == number
            found.append([field[b][here].tolist() for field in fields(packed)])
    wanted = [[field.tolist() for field in fields(dialogue)] for dialogue in dialogues]
    assert sorted(found) == sorted(wanted)


@given(st.lists(short, min_size=1, max_size=4))
def test_a_batch_of_one_a_row(batch: list[Messages]) -> None:
    dialogues = [encode_dialogue(messages, TOKENIZER) for messages in batch]
    padded = collate(dialogues, TOKENIZER)
    assert padded.tokens.shape == (len(batch), max(map(len, dialogues)))
    for b, dialogue in enumerate(dialogues):
        for got, wanted in zip(fields(padded), fields(dialogue), strict=True):
            assert torch.equal(got[b, : len(dialogue)], wanted)


@settings(max_examples=20)
@given(st.lists(short, min_size=2, max_size=4), st.sampled_from(["causal", "prefix", "ism(sink=True)"]))
def test_a_packed_batch_computes_what_each_dialogue_does(batch: list[Messages], name: str) -> None:
    dialogues = [encode_dialogue(messages, TOKENIZER) for messages in batch]
    total = sum(map(len, dialogues))
    model, mask = random_model(vocab_size=TOKENIZER.n_vocab, context=max(96, total)), get_mask(name)
    packed = pack(dialogues, TOKENIZER, total)  # all in one row
    assert packed.tokens.shape[0] == 1
    with torch.inference_mode():
        together = model(packed.tokens, mask.dense(packed.segments))[0]
        own = [model(d.tokens[None], mask.dense(d.segments))[0] for d in dialogues]
    torch.testing.assert_close(together, torch.cat(own), atol=5e-5, rtol=0)


def test_packing_fills_the_first_row_with_room() -> None:
    sizes = [encode_dialogue([{"role": "user", "content": "a" * n}], TOKENIZER) for n in (1, 1, 1)]
    assert pack(sizes, TOKENIZER, 2 * len(sizes[0])).tokens.shape[0] == 2
    assert pack(sizes, TOKENIZER, 3 * len(sizes[0])).tokens.shape[0] == 1


def test_a_generator_is_read_once_and_whole() -> None:
    dialogues = [encode_dialogue([{"role": "user", "content": "a" * n}], TOKENIZER) for n in (3, 1, 2)]
    for got, wanted in zip(
        fields(collate(iter(dialogues), TOKENIZER)), fields(collate(dialogues, TOKENIZER)), strict=True
    ):
        assert torch.equal(got, wanted)


def test_bad_batches() -> None:
    with pytest.raises(ValueError, match="nothing to try the rule on: give at least one dialogue"):
        turns_independent(get_mask("ism"), [], TOKENIZER)
    with pytest.raises(ValueError, match="nothing to batch: give at least one dialogue"):
        pack([], TOKENIZER, 8)
    with pytest.raises(ValueError, match="nothing to batch: give at least one dialogue"):
        collate([], TOKENIZER)
    long = encode_dialogue([{"role": "user", "content": "key " * 20}], TOKENIZER)
    with pytest.raises(ValueError, match=f"a dialogue of {len(long)} tokens does not fit a row of 8"):
        pack([long], TOKENIZER, 8)

"""Fine-tuning a chat model under each rule: what is read, what it costs, what is counted, and a run from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from mini_ism.dialogue import EncodedDialogue
from mini_ism.hf.chat import DEFAULT_MASK
from mini_ism.hf.tiny import tiny_chat_model
from mini_ism.results.smollm2 import ALL, ARMS, FIRST, LATER, LINKS, TOLD, TURNS
from mini_ism.training import training_step
from research import smollm2, smollm2_lora
from research.smollm2 import config, run
from research.smollm2_lora import (
    FOLDER,
    LENGTH,
    base,
    batches,
    drawn,
    loss_on_answers,
    right,
    rule,
    sequences,
    shares,
    target_logits,
    with_adapter,
)
from research.smollm2_texts import TURNS as SAID
from research.smollm2_texts import conversation

pytest.importorskip("transformers", minversion="5", reason='needs `pip install "mini-ism[hf]"`')
pytest.importorskip("peft", reason='needs `pip install "mini-ism[hf]"`')
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

every_arm = pytest.mark.parametrize("arm", ARMS)


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a random model that has read nothing, and a tokenizer that knows the conversations' words."""
    folder = tmp_path_factory.mktemp("model")
    texts = [conversation("training", "tokenizer", number).messages for number in range(60)]
    model, template = tiny_chat_model(texts)
    parts: tuple[Any, ...] = (model, template.tokenizer)
    for part in parts:
        part.save_pretrained(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        patch.setattr(smollm2, "KEPT", folder / "runs")
        for cached in (base, smollm2_lora._reads_at_once, smollm2_lora.held_out):
            cached.cache_clear()
        yield folder
    for cached in (base, smollm2_lora._reads_at_once, smollm2_lora.held_out):
        cached.cache_clear()


def read(arm: str, number: int = 0) -> list[EncodedDialogue]:
    return sequences(arm, drawn(arm, "test", "held out", number).messages)


def test_under_prefix_each_turn_is_a_sequence_of_its_own() -> None:
    assert [len(read(arm)) for arm in ARMS] == [1, 1, 1, SAID]
    whole, turns = read("ism")[0], read("prefix")
    assert torch.equal(turns[-1].tokens, whole.tokens)
    assert sum(int(turn.loss_mask.sum()) for turn in turns) == int(whole.loss_mask.sum())
    assert all(torch.equal(turn.tokens, whole.tokens[: len(turn)]) for turn in turns)
    assert all(turn.segments.id[turn.loss_mask].unique().numel() == 1 for turn in turns)


def test_the_rules_are_those_of_the_package_with_token_0_causal() -> None:
    assert rule("causal, told twice").name == rule("causal").name == "causal"
    assert rule("ism").name == DEFAULT_MASK
    for arm in ARMS:
        segments = read(arm)[-1].segments
        dense = rule(arm).dense(segments)
        T = len(segments)
        causal = torch.ones(T, T, dtype=torch.bool).tril()
        same = (segments.id[:, None] == segments.id[None]) & segments.is_query[:, None]
        history = torch.arange(T)[None] < int(segments.is_query.nonzero()[-1]) + 1
        wanted = {"ism": causal | same, "prefix": causal | (history & history.T)}.get(arm, causal)
        wanted[0, 1:] = False
        assert torch.equal(dense, wanted), arm


@every_arm
def test_every_arm_computes_the_same_tokens_and_draws_the_same_conversations(arm: str) -> None:
    steps, step_tokens = 4, 2500
    tokens, longest = 0, 0
    for number, (batch, conversations) in enumerate(islice(batches(arm, 3, step_tokens), steps), start=1):
        assert batch.tokens.shape[1] == LENGTH
        tokens += batch.token_count
        parts = [sequences(arm, drawn(arm, "training", 3, n).messages) for n in range(conversations)]
        costs = [sum(map(len, part)) for part in parts]
        longest = max(costs)
        assert tokens == sum(costs)
        assert number * step_tokens <= tokens < number * step_tokens + longest
    assert int(batch.segments.id.min()) == -1  # rows are padded, and padding is not counted


@every_arm
def test_in_a_batch_each_sequence_reads_as_the_rule_says_of_it_alone(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, conversations = next(batches(arm, 0, 2500))
    given: dict[str, torch.Tensor] = {}

    def stop(**inputs: torch.Tensor) -> None:
        given.update(inputs)
        raise InterruptedError

    monkeypatch.setattr(base()[0].model, "forward", stop)
    with pytest.raises(InterruptedError):
        target_logits(base()[0], rule(arm), batch)
    allowed, positions, document = given["attention_mask"][:, 0], given["position_ids"], batch.segments.document
    assert document is not None
    parts = [part for n in range(conversations) for part in sequences(arm, drawn(arm, "training", 0, n).messages)]
    seen = 0
    for row in range(len(batch.tokens)):
        for number in range(int(document[row].max()) + 1):
            (where,) = (document[row] == number).nonzero(as_tuple=True)
            tokens = batch.tokens[row, where]
            (part, *_) = [part for part in parts if torch.equal(part.tokens, tokens)]
            assert torch.equal(positions[row, where], torch.arange(len(where)))
            assert torch.equal(allowed[row, where][:, where], rule(arm).dense(part.segments))
            assert int(allowed[row, where].sum()) == int(allowed[row, where][:, where].sum())
            seen += 1
    assert seen == len(parts)


@every_arm
def test_a_batch_costs_what_its_sequences_cost_alone(arm: str) -> None:
    batch, _ = next(batches(arm, 0, 2500))
    model = with_adapter(0)
    alone, count = 0.0, 0
    mask = rule(arm)
    number = 0
    while count < int(batch.loss_mask.sum()):
        for each in sequences(arm, drawn(arm, "training", 0, number).messages):
            dense = mask.dense(each.segments)[None, None]
            with torch.no_grad():
                logits = base()[0](each.tokens[None], attention_mask=dense).logits[0]
            targets = each.loss_mask[1:]
            alone += float(cross_entropy(logits[:-1][targets], each.tokens[1:][targets], reduction="sum"))
            count += int(targets.sum())
        number += 1
    with torch.no_grad():
        assert float(loss_on_answers(model, mask, batch)) == pytest.approx(alone / count, abs=1e-4)


@every_arm
def test_an_answer_is_right_if_all_of_its_tokens_are_the_likeliest(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that is wrong about chosen answers, whatever is read side by side."""
    dialogues = [part for number in range(5) for part in read(arm, number)]
    wrong = {(2, 0), (len(dialogues) - 1, -1)}
    monkeypatch.setattr(smollm2_lora, "ROWS", 3)

    def scored(model: Any, mask: Any, batch: EncodedDialogue) -> tuple[torch.Tensor, torch.Tensor]:
        rows, places = batch.loss_mask.nonzero(as_tuple=True)
        tokens = batch.tokens[rows, places]
        logits = torch.nn.functional.one_hot(tokens, len(base()[1].tokenizer)).float()
        for number, answer in wrong:
            each = dialogues[number]
            at = int(each.segments.id[each.loss_mask].unique()[answer])
            last = int(((each.segments.id == at) & each.loss_mask).nonzero()[-1])
            for i, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
                if place == last and torch.equal(batch.tokens[row, : len(each)], each.tokens):
                    logits[i] = -logits[i]
        return logits, tokens

    monkeypatch.setattr(smollm2_lora, "target_logits", scored)
    found = right(None, rule(arm), dialogues)
    for number, (hits, each) in enumerate(zip(found, dialogues, strict=True)):
        assert len(hits) == each.segments.id[each.loss_mask].unique().numel()
        missed = {(number, answer) for answer in (0, -1)} & wrong
        assert hits.count(False) == len(missed), number
    assert found[2][0] is False


def test_scores_of_targets_are_those_of_the_whole_forward() -> None:
    (each,) = read("ism")
    batch = EncodedDialogue(each.tokens[None], each.segments._map(lambda field: field[None]), each.loss_mask[None])
    with torch.no_grad():
        logits, tokens = target_logits(base()[0], rule("ism"), batch)
        whole = base()[0](each.tokens[None], attention_mask=rule("ism").dense(each.segments)[None, None]).logits[0]
    targets = each.loss_mask[1:]
    assert torch.equal(tokens, each.tokens[1:][targets])
    assert float((logits - whole[:-1][targets]).abs().max()) < 1e-5


def test_questions_are_counted_by_turn_by_links_and_by_where_their_facts_stand() -> None:
    found = shares(base()[0], "causal", "test", 8)
    assert set(found) == {ALL, *TURNS, LATER, *LINKS, *TOLD}
    assert all(0 <= share <= 1 for share in found.values())
    assert found[ALL] == pytest.approx(sum(found[turn] for turn in TURNS) / len(TURNS), abs=1e-4)
    assert found[ALL] == pytest.approx((found[FIRST] + 3 * found[LATER]) / 4, abs=1e-4)


@every_arm
def test_a_run_from_end_to_end(arm: str) -> None:
    small = {"step_tokens": 1500, "test": 6, "validation": 4, "often": 3, "points": 2}
    made = {**config(arm, 1e-2, 1, steps=4), **small}
    frozen = {name: weight.clone() for name, weight in base()[0].named_parameters()}
    result = run(made)
    assert [point["step"] for point in result["curve"]] == [0, 2, 4]
    assert result["curve"][0]["loss"] is None
    assert result["curve"][2]["loss"] < result["curve"][1]["loss"]
    assert result["tokens"] == result["curve"][-1]["tokens"] >= 6000
    assert set(result["test"]) <= {ALL, *TURNS, LATER, *LINKS, *TOLD}
    assert result["device"]
    assert set(result["packages"]) == {"transformers", "peft"}
    assert all(torch.equal(weight, frozen[name]) for name, weight in base()[0].named_parameters())
    if not torch.cuda.is_available():
        assert run(made) == result
    untrained = run({**made, "steps": 0, "lr": 0.0})
    assert untrained["curve"] == []
    assert untrained["tokens"] == 0


def test_a_run_that_was_stopped_goes_on_from_the_last_point_of_its_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"step_tokens": 1500, "test": 6, "validation": 4, "often": 3, "points": 2}
    made = {**config("ism", 1e-2, 2, steps=4), **small}
    whole, steps = run(made), 0

    def step(*args: Any, **options: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return training_step(*args, **options)

    monkeypatch.setattr(smollm2, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        run(made)
    assert len(list(smollm2.KEPT.iterdir())) == 1
    again = run(made)
    assert steps == 4 + 2  # the third was done twice
    assert not list(smollm2.KEPT.iterdir())
    if not torch.cuda.is_available():
        assert again == whole


def test_a_step_smaller_than_a_conversation_is_refused() -> None:
    with pytest.raises(ValueError, match="a step of 60 tokens is smaller than a conversation"):
        list(islice(batches("causal", 0, 60), 9))


def test_a_missing_model_says_how_to_get_one(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base.cache_clear()
    monkeypatch.setenv(FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="mini_ism fetch smollm2"):
        base()

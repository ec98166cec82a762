"""SmolLM2-135M-Instruct with an adapter: training on answers under a rule, and counting the answers that are right."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mini_ism.batching import pack_with
from mini_ism.devices import get_device
from mini_ism.dialogue import EncodedDialogue
from mini_ism.hf.chat import WITH_SINK
from mini_ism.hf.finetune import by_turn, share_forward
from mini_ism.hf.loading import load_chat_model, require, unwrapped
from mini_ism.hf.masks import attention_mask
from mini_ism.hf.template import ChatTemplate
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.results.smollm2 import ALL, LATER, LINKS, TOLD, TURNS
from research.smollm2_texts import Asked, Conversation, conversation, told_twice

FOLDER = "MINI_ISM_SMOLLM2"
"""The environment variable that names the model's folder; default, where ``mini_ism fetch smollm2`` writes it."""

RANK, ALPHA = 16, 32  # of the adapter
LENGTH = 1536  # positions in a row of a training batch: four conversations, or two that are told twice
ROWS = 32  # conversations, or turns, that are read at once when answers are counted
CHUNK = 8  # kernels for masks need row lengths that are a multiple of this
TWICE = "told twice"


@cache
def base() -> tuple[Any, ChatTemplate]:
    """The model before fine-tuning and its template, on the best device available: bfloat16 on CUDA, else float32.

    Raises:
        FileNotFoundError: the folder holds no model.
    """
    require("transformers", "peft")
    folder = Path(os.environ.get(FOLDER, "models/smollm2"))
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no model; write it with `python -m mini_ism fetch smollm2 --out {folder}`, or name its "
            f"folder by the environment variable {FOLDER}"
        )
    on_cuda = torch.cuda.is_available()
    torch.backends.cuda.matmul.allow_tf32 = True
    model, template = load_chat_model(folder, dtype=torch.bfloat16 if on_cuda else torch.float32)
    return model.to(get_device("cuda" if on_cuda else "cpu")), template


def with_adapter(seed: int) -> Any:
    """A copy of the model with a fresh adapter on all its linear layers."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    adapter = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(copy.deepcopy(base()[0]), adapter)
    for layer in model.modules():
        if hasattr(layer, "cast_input_dtype_enabled"):  # autocast does it, without a copy in float32 for each layer
            layer.cast_input_dtype_enabled = False
    return model


# -- what is read ----------------------------------------------------------------------------------


def rule(arm: str) -> Mask:
    """The mask of an arm, with token 0 causal."""
    return get_mask(WITH_SINK[arm.split(",")[0]])


def drawn(arm: str, split: str, seed: int | str, number: int) -> Conversation:
    """A conversation as an arm reads it: the same for all, except that one is told everything twice."""
    found = conversation(split, seed, number)
    return told_twice(found) if arm.endswith(TWICE) else found


@cache
def _reads_at_once(arm: str) -> bool:
    """Whether one forward pass can hold all turns under the arm's mask."""
    return share_forward(rule(arm), base()[1].encode(drawn(arm, "training", 0, 0).messages).segments)


def sequences(arm: str, messages: Sequence[dict[str, str]]) -> list[EncodedDialogue]:
    """A conversation's sequences: itself, or one for each turn where the arm's mask needs it."""
    whole = base()[1].encode(messages)
    return [whole] if _reads_at_once(arm) else by_turn(whole)


def batches(arm: str, seed: int, step_tokens: int) -> Iterator[tuple[EncodedDialogue, int]]:
    """Endless batches ``[B, LENGTH]``, and how many conversations have been drawn for them.

    After each, as many tokens have been drawn as the steps so far may compute, and at most one conversation more.

    Args:
        arm: the arm that reads them.
        seed: of the draw.
        step_tokens: that a step may compute: no fewer than the longest conversation costs.

    Raises:
        ValueError: a step has no tokens left, since the one before it overdrew by more than a step.
    """
    tokens = number = allowed = 0
    while True:
        allowed += step_tokens
        found: list[EncodedDialogue] = []
        while tokens < allowed:
            new = sequences(arm, drawn(arm, "training", seed, number).messages)
            tokens, number = tokens + sum(map(len, new)), number + 1
            found += new
        if not found:
            raise ValueError(f"a step of {step_tokens} tokens is smaller than a conversation; raise step_tokens")
        yield pack_with(sorted(found, key=len, reverse=True), base()[1].end_ids[0], LENGTH), number


# -- reading it ------------------------------------------------------------------------------------


def target_logits(model: Any, mask: Mask, batch: EncodedDialogue) -> tuple[Tensor, Tensor]:
    """The logits of the targets, row by row.

    Args:
        model: a transformers model, perhaps with an adapter.
        mask: the mask it reads under.
        batch: ``[B, T]``, on any device.

    Returns:
        Logits ``[N, V]`` and the tokens ``[N]`` of the N targets.
    """
    inner: Any = unwrapped(model)
    device = inner.device
    targets = batch.loss_mask[:, 1:].nonzero(as_tuple=True)  # (N), (N), on the CPU, since a GPU would have to wait
    batch, (row, place) = batch.to(device), (each.to(device) for each in targets)
    segments = list(batch.segments.rows())
    positions = torch.arange(len(batch), device=device)
    allowed = torch.stack([mask.allowed(positions[:, None], positions[None], s) for s in segments])  # (B, T, T)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        hidden = inner.model(
            input_ids=batch.tokens,
            attention_mask=attention_mask(inner, allowed, 0),
            position_ids=torch.stack([s.position for s in segments]),
            use_cache=False,
        ).last_hidden_state  # (B, T, C)
        logits = inner.lm_head(hidden[row, place])  # (N, V): those of all positions would cost more than the layers
    return logits.float(), batch.tokens[row, place + 1]


def loss_on_answers(model: Any, mask: Mask, batch: EncodedDialogue) -> Tensor:
    """Mean cross entropy of the targets of a batch ``[B, T]``."""
    return cross_entropy(*target_logits(model, mask, batch))


@torch.no_grad()
def right(model: Any, mask: Mask, dialogues: Sequence[EncodedDialogue]) -> list[list[bool]]:
    """Whether each answer of each sequence is what the model would write, token by token, given the true history."""
    order = sorted(range(len(dialogues)), key=lambda number: len(dialogues[number]))
    found: list[list[bool]] = [[] for _ in dialogues]
    for start in range(0, len(order), ROWS):
        chosen = order[start : start + ROWS]
        length = -(-max(len(dialogues[number]) for number in chosen) // CHUNK) * CHUNK
        batch = pack_with([dialogues[number] for number in chosen], base()[1].end_ids[0], length, one_a_row=True)
        logits, tokens = target_logits(model, mask, batch)
        hits = (logits.argmax(-1) == tokens).tolist()
        row, place = batch.loss_mask.nonzero(as_tuple=True)
        answers: dict[tuple[int, int], bool] = {}
        for key, hit in zip(zip(row.tolist(), batch.segments.id[row, place].tolist(), strict=True), hits, strict=True):
            answers[key] = answers.get(key, True) and hit
        for (at, _), hit in answers.items():
            found[chosen[at]].append(hit)
    return found


def shares(model: Any, arm: str, split: str, count: int) -> dict[str, float]:
    """The share of exact answers by label of :mod:`mini_ism.results.smollm2`, on a split's first conversations."""
    asked, read = held_out(arm, split, count)
    hits = [hit for sequence in right(model, rule(arm), read) for hit in sequence]
    scores: dict[str, list[bool]] = {}
    for names, hit in zip(asked, hits, strict=True):
        for label in names:
            scores.setdefault(label, []).append(hit)
    order = (ALL, *TURNS, LATER, *LINKS, *TOLD)
    return {label: round(sum(scores[label]) / len(scores[label]), 5) for label in order if label in scores}


@cache
def held_out(arm: str, split: str, count: int) -> tuple[list[list[str]], list[EncodedDialogue]]:
    """The labels of each question of a split's first conversations, and the sequences with their answers."""
    found = [drawn(arm, split, "held out", number) for number in range(count)]
    asked = [labels(turn, question) for each in found for turn, question in enumerate(each.asked)]
    return asked, [sequence for each in found for sequence in sequences(arm, each.messages)]


def labels(turn: int, asked: Asked) -> list[str]:
    """The labels that a question counts towards, given its turn, from 0."""
    later = [LATER, TOLD[asked.earlier]] if turn else []
    return [ALL, TURNS[turn], LINKS[asked.links - 1], *later]

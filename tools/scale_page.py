"""Write the figures of the page on scale: `python -m tools.scale_page`; `--check` says whether they are up to date.

No model of that size runs. What follows from shapes is counted on PyTorch's meta device, which has shapes but no data;
what is kept for the backward pass is counted in blocks of the real width over a few tokens.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.kept import kept_for_backward
from mini_ism.batching import make_batch, pack
from mini_ism.config import GPTConfig
from mini_ism.corpus import generate
from mini_ism.cost import as_model, plan
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.files import write_atomically
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.planner import Planner
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import TrainingConfig, loss_on_answers
from mini_ism.views import Table

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
BEGIN, END = "<!-- python -m tools.scale_page -->", "<!-- end -->"
PRESETS = ("tiny", "small", "billion")
DIALOGUES = 1_000_000
STEPS = 20  # averaged over
LONG = (2048, 8192)
FEW = 64  # tokens; what blocks keep for the backward grows with them


def shape(preset: str) -> GPTConfig:
    """A preset for this package's tokenizer."""
    return GPTConfig.preset(preset, vocab_size=load_tokenizer().n_vocab)


def amount(number: float, unit: str = "") -> str:
    """Three figures and a prefix: 1234567 -> "1.23 M"."""
    for power, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}".strip()


def kept_per_token(config: GPTConfig) -> float:
    """Bytes per token that a training forward keeps for its backward in float32."""
    model = GPT(config)
    batch = encode_dialogue(next(generate(0)).messages, load_tokenizer()).first(FEW)
    row = replace(batch, tokens=batch.tokens[None], loss_mask=batch.loss_mask[None])
    allowed = get_mask("ism").dense(batch.segments)
    return kept_for_backward(model, lambda: loss_on_answers(model, row, allowed)) / FEW


def forward_flops(model: GPT, batch: EncodedDialogue) -> int:
    """Operations of a training forward: after its attention, the last block computes only what predicts a target."""
    (rows, length), targets = batch.tokens.shape, int(batch.loss_mask.sum())
    spared = 2 * (rows * length - targets) * 8 * model.config.width**2  # of the MLP's two maps
    return model.flops(rows * length, rows * length**2, targets) - spared


def training_rows() -> list[list[str]]:
    """What a step and a run of the default training cost, by preset."""
    recipe, tokenizer = TrainingConfig(), load_tokenizer()
    first = round(recipe.easy * recipe.steps)
    batches = [make_batch(recipe.draw(first + n), tokenizer, expand=False) for n in range(STEPS)]
    columns = []
    for preset in PRESETS:
        model = as_model(shape(preset))
        step = 3 * sum(forward_flops(model, batch) for batch in batches) / STEPS  # a backward has twice the products
        one, two = (kept_per_token(replace(shape(preset), layers=n)) for n in (1, 2))
        kept = (one + (model.config.layers - 1) * (two - one)) * sum(b.tokens.numel() for b in batches) / STEPS
        count = model.parameter_count()
        columns.append(
            [
                amount(count),
                amount(4 * 4 * count, "B"),
                amount(kept, "B"),
                amount(step, "FLOP"),
                amount(step * DIALOGUES / recipe.dialogues, "FLOP"),
            ]
        )
    names = [
        "parameters",
        "weights, gradients and Adam's two moments, float32",
        f"kept for the backward, {recipe.dialogues} dialogues at once",
        f"a step of {recipe.dialogues} dialogues",
        f"a run of {DIALOGUES:,} dialogues",
    ]
    return [[name, *values] for name, values in zip(names, zip(*columns, strict=True), strict=True)]


def chat_rows() -> list[list[str]]:
    """What a conversation costs with the largest preset, and what each form of its mask takes, by length."""
    tokenizer, model = load_tokenizer(), as_model(shape("billion"))
    with torch.device("meta"):
        half = GPT(shape("billion")).bfloat16()
    columns = []
    for length in LONG:
        encoded, total = [], 0
        for dialogue in generate(0):
            encoded.append(encode_dialogue(dialogue.messages, tokenizer))
            total += len(encoded[-1])
            if total > length:
                break
        row = pack(encoded[:-1], tokenizer, length=length).segments.row(0)
        blocks = get_mask("ism").block_mask(row)
        with torch.device("meta"):
            planner = Planner(get_mask("ism"), length)
        tensors: Mapping[str, object] = vars(blocks)
        columns.append(
            [
                amount(model.kv_bytes(length), "B"),
                amount(half.kv_bytes(length), "B"),
                amount(planner._allowed.nbytes, "B"),
                amount(get_mask("ism").dense(row).nbytes, "B"),
                amount(sum(t.nbytes for t in tensors.values() if isinstance(t, Tensor)), "B"),
            ]
        )
    names = ["keys and values, float32", "keys and values, bf16", "the planner's matrix", "dense mask", "`BlockMask`"]
    return [[name, *values] for name, values in zip(names, zip(*columns, strict=True), strict=True)]


def data_rows() -> list[list[str]]:
    """The corpus, and what it costs to chat one of its dialogues with the largest preset."""
    tokenizer = load_tokenizer()
    some = list(islice(generate(0), 1000))
    text = sum(len(message["content"].encode()) for d in some for message in d.messages) / len(some)
    encoded = [encode_dialogue(d.messages, tokenizer) for d in some]
    tokens = sum(map(len, encoded)) / len(some)
    rows = [
        [f"tokens of {DIALOGUES:,} dialogues", amount(tokens * DIALOGUES)],
        ["their text, if it were stored", amount(text * DIALOGUES, "B")],
    ]
    model = as_model(shape("billion"))
    for mask in COURSE_MASKS:
        flops = sum(event.flops for e in encoded[:STEPS] for event in plan(mask, e.segments, model)) / STEPS
        rows.append([f"chatting one dialogue, {mask}", amount(flops, "FLOP")])
    return rows


def figures() -> str:
    """All of the page's tables."""
    return "\n\n".join(
        (
            Table(["training", *PRESETS], training_rows()).markdown().strip(),
            Table(["one conversation, `billion`", *(f"{length:,} tokens" for length in LONG)], chat_rows())
            .markdown()
            .strip(),
            Table(["data", ""], data_rows()).markdown().strip(),
        )
    )


def page(old: str) -> str:
    """The page with its figures recomputed."""
    before, rest = old.split(BEGIN)
    return f"{before}{BEGIN}\n\n{figures()}\n\n{END}{rest.split(END)[1]}"


def main(arguments: list[str] | None = None) -> int:
    """Write the page; or say whether it is up to date, with exit status 1 if it is not."""
    parser = argparse.ArgumentParser(prog="python -m tools.scale_page", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if check:
        print("up to date" if new == old else f"{PAGE.name} has other figures; run python -m tools.scale_page")
        return int(new != old)
    write_atomically(PAGE, new.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())

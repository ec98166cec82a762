"""What each turn of a chat costs on this machine, mask by mask: ``python -m mini_ism bench``."""

from __future__ import annotations

import statistics

import torch

from mini_ism.chat import ChatSession
from mini_ism.checks import whole_number
from mini_ism.config import GPTConfig
from mini_ism.devices import get_device
from mini_ism.dialogue import Message, encode_dialogue
from mini_ism.masks import COURSE_MASKS
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import Event, turn_costs
from mini_ism.views.tables import cost_table

TURNS, CONTEXT = 8, 2048
TEXT = "The key is in the box. The lamp is in the jar. The cup is in the oven. Where is the lamp?"


def bench_turns(preset: str, *, rounds: int = 5, answer: int = 16, device: str = "cpu") -> str:
    """Chat eight turns under each mask, round by round, with a randomly initialised model.

    Args:
        preset: the model's size; see :meth:`GPTConfig.preset`.
        rounds: conversations per mask, after one for warm-up only. The masks take turns, so that a slow moment hits
            them all.
        answer: tokens of an answer, at most.
        device: see :func:`~mini_ism.devices.get_device`.

    Returns:
        The last round's tokens, FLOPs, bytes and seconds of each turn, and how many times as long as ISM the others
        wait for the last turn's first token: median, lowest and highest of the rounds.

    Raises:
        ValueError: no such preset or device; ``rounds`` below 1; eight answers of this length do not fit the context.
    """
    tokenizer = load_tokenizer()
    turn: list[Message] = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": ""}]
    longest = (CONTEXT - len(encode_dialogue(turn * TURNS, tokenizer))) // TURNS
    answer, rounds = whole_number("answer", answer, 1, longest), whole_number("rounds", rounds, 1)
    torch.manual_seed(0)
    config = GPTConfig.preset(preset, vocab_size=tokenizer.n_vocab, context=CONTEXT)
    model = GPT(config).to(get_device(device)).eval()
    traces: dict[str, list[list[Event]]] = {name: [] for name in COURSE_MASKS}
    for number in range(rounds + 1):
        for name in COURSE_MASKS:
            chat = ChatSession(model, tokenizer, name)
            for _ in range(TURNS):
                chat.send(TEXT, max_new_tokens=answer)
            if number:
                traces[name].append(chat.trace)
    lines = [
        f"{preset}, {model.parameter_count():,} parameters (random: the cost does not depend on them), "
        f"{model.device}, {torch.get_num_threads()} threads; the table shows the last of {rounds} rounds",
        str(cost_table({name: all_rounds[-1] for name, all_rounds in traces.items()}, seconds=True)),
    ]
    last = {name: [turn_costs(trace)[-1].first_token for trace in each] for name, each in traces.items()}
    for name in COURSE_MASKS:
        if name != "ism":
            ratios = [a / b for a, b in zip(last[name], last["ism"], strict=True)]
            lines.append(
                f"time to first token in turn {TURNS}, {name} / ism: median {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )
    return "\n".join(lines)

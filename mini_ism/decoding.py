"""Greedy answers to many conversations at once: a batch shares one KV cache, and each row follows its own plan.

All rows of a cache have the same length, but conversations do not. So similar lengths share a batch, and shorter rows
are padded on the *left*. Nothing sees the padding, and rotary attention depends only on distances, so each row computes
what it would compute alone. This holds for any rule: it is evaluated on each conversation by itself, without padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.chat import SHORTEST_ANSWER, ContextFullError
from mini_ism.checks import check_kind, whole_number
from mini_ism.dialogue import END, EncodedDialogue, Message, encode_dialogue
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.planner import Planner
from mini_ism.replies import AnswerWriter, Reply, Stopped
from mini_ism.sampling import Sampler
from mini_ism.segments import Segments

Pick = Callable[[int, Tensor], int | None]
"""From a conversation's number and the logits ``[V]`` of its next token to that token; ``None`` ends the answer."""


def answer_all(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    conversations: Iterable[Sequence[Message]],
    mask: str | Mask | None = None,
    *,
    max_new_tokens: int = 64,
    batch: int = 32,
) -> Iterator[tuple[int, Reply]]:
    """The greedy reply to each conversation, the same as :meth:`ChatSession.send` gives, but many at a time.

    Replies come when they are finished, shortest conversations first: ``dict(answer_all(...))`` has them by number,
    and ``tqdm(answer_all(...), total=len(conversations))`` shows the progress.

    Args:
        model: on any device.
        tokenizer: the one it was trained with.
        conversations: messages, the last one a user's.
        mask: default, the one the model was trained with.
        max_new_tokens: the longest answer, in tokens.
        batch: conversations per forward.

    Returns:
        An iterator over each conversation's number and its reply.

    Raises:
        TypeError, ValueError: an argument does not fit; a conversation does not end with a user's message.
        ContextFullError: a conversation leaves no room for an answer.
    """
    check_kind("model", model, GPT, "load_model(name) returns one, and its tokenizer")
    longest, context = whole_number("max_new_tokens", max_new_tokens, 1), model.config.context
    conversations = list(conversations)
    prompts = [encode_dialogue(messages, tokenizer) for messages in conversations]
    for number, (messages, prompt) in enumerate(zip(conversations, prompts, strict=True)):
        if messages[-1]["role"] != "user":
            raise ValueError(f"conversation {number} ends with a message of {messages[-1]['role']!r}, not of the user")
        check_room(len(prompt), context, f"conversation {number}")
    end, sampler = marker_id(tokenizer, END), Sampler(tokenizer)
    writers = [AnswerWriter(tokenizer, longest=longest) for _ in prompts]
    stopped: dict[int, Stopped] = {}

    def pick(number: int, logits: Tensor) -> int | None:
        writer, token = writers[number], sampler.pick(logits)
        writer.logits.append(logits)
        if token == end:
            stopped[number] = "end"
            return None
        writer.add(token)
        full = writer.full(context - len(prompts[number]) - len(writer.tokens))
        if full is not None:
            stopped[number] = full
            return None
        return token

    finished = decode(model, get_mask(model.config.mask if mask is None else mask), prompts, pick, longest, batch)
    return ((number, writers[number].reply(stopped[number])) for number in finished)


def check_room(tokens: int, context: int, what: str) -> None:
    """Raise a :class:`ContextFullError` if this many tokens leave no room for an answer in a model's context."""
    if tokens + SHORTEST_ANSWER > context:
        raise ContextFullError(
            f"{what} has {tokens} tokens, which leaves no room for an answer in the model's context of {context}; "
            "leave out its first turns"
        )


@torch.inference_mode()
def decode(
    model: GPT, mask: Mask, prompts: Sequence[EncodedDialogue], pick: Pick, longest: int, batch: int = 32
) -> Iterator[int]:
    """Write an answer to each prompt, token by token, reusing whatever the rule lets a cache keep.

    Args:
        model: on any device.
        mask: any rule.
        prompts: each ends with a query.
        pick: called for each token of each answer, with logits on the CPU in float32.
        longest: the most tokens that an answer may have.
        batch: prompts per forward.

    Yields:
        The number of each prompt whose answer is finished.

    Raises:
        TypeError, ValueError: see :meth:`GPT.forward` and :meth:`Mask.dense`; ``batch`` is not a positive integer.
    """
    model.eval()
    batch, context = whole_number("batch", batch, 1), model.config.context
    by_length = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))  # similar lengths: less padding
    for first in range(0, len(prompts), batch):
        numbers = by_length[first : first + batch]
        capacity = min(len(prompts[numbers[-1]]) + longest, context)
        yield from _decode_together(model, [_Row(n, prompts[n], mask, capacity) for n in numbers], pick, capacity)


class _Row:
    """One conversation of a batch, and what the rule says about it."""

    def __init__(self, number: int, prompt: EncodedDialogue, mask: Mask, capacity: int) -> None:
        self.number, self.tokens, self.padding, self.finished = number, prompt.tokens.tolist(), 0, False
        self.segments = with_answer(prompt.segments, capacity)
        self.planner = Planner(mask, capacity)

    def plan(self) -> int:
        """How many of the conversation's positions need not be computed again."""
        stop = len(self.tokens)
        plan = self.planner.foreseen(stop, lambda end: self.segments[:end])
        return (plan or self.planner.plan(self.segments[:stop])).kept


def with_answer(s: Segments, capacity: int) -> Segments:
    """The segments of a prompt, and of an answer that fills the room left after it."""
    room = max(capacity - len(s), 0)
    no = s.is_query.new_zeros(room)
    return Segments(
        torch.cat([s.id, s.id.new_full((room,), int(s.id[-1]) + 1)]),
        torch.cat([s.is_query, no]),
        torch.cat([s.system, no]),
    )


def _decode_together(model: GPT, rows: list[_Row], pick: Pick, capacity: int) -> Iterator[int]:
    """Decode rows in one batch. A finished row only keeps its place, until the batch is read again without it."""
    cache = None
    while live := [row for row in rows if not row.finished]:
        kept = min(row.padding + row.plan() for row in live)  # what is still right in every row
        stop = live[0].padding + len(live[0].tokens)  # where all rows end
        if cache is None or stop > capacity or all(kept <= row.padding for row in live):
            rows, kept, stop = live, 0, max(len(row.tokens) for row in live)
            cache = model.new_cache(len(rows), capacity)
            for row in rows:
                row.padding = stop - len(row.tokens)
        cache.truncate(kept)
        tokens = torch.tensor([([0] * row.padding + row.tokens)[kept:] for row in rows])  # (B, T), padded by any token
        last = torch.zeros_like(tokens, dtype=torch.bool)
        last[:, -1] = True
        device = model.device
        logits = model(tokens.to(device), _chunk_mask(rows, kept, stop).to(device), cache, logits_at=last.to(device))
        for row, scores in zip(rows, logits.float().cpu(), strict=True):  # (V)
            row.planner.computed(len(row.tokens))
            token = None if row.finished else pick(row.number, scores)
            if token is None and not row.finished:
                row.finished = True
                yield row.number
            row.tokens.append(0 if token is None else token)


def _chunk_mask(rows: list[_Row], kept: int, stop: int) -> Tensor:
    """The batch's mask of positions ``kept`` to ``stop``, BoolTensor ``[B, T, stop]``.

    Padding and finished rows see themselves, so that no row of the mask is empty.
    """
    here = torch.arange(stop)
    mask = (here == here[kept:, None]).repeat(len(rows), 1, 1)  # (B, T, S)
    for own, row in zip(mask, rows, strict=True):
        if not row.finished:
            start = max(kept - row.padding, 0)
            own[row.padding + start - kept :, row.padding :] = row.planner.rows(start, len(row.tokens))
    return mask

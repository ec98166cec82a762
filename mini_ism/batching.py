"""Dialogues laid out for a forward pass: training sequences, and batches that pack several dialogues into a row.

Whether all turns of a dialogue may share one forward pass follows from the rule. Where they may not, as under a prefix
mask, each turn becomes a sequence of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tiktoken
import torch

from mini_ism.checks import whole_number
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import PAD, EncodedDialogue, Message, encode_dialogue, is_target
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.reuse import reusable
from mini_ism.segments import PADDING, Segments

# -- training sequences ----------------------------------------------------------------------------


def turns_independent(mask: Mask, dialogues: Iterable[Dialogue], tokenizer: tiktoken.Encoding) -> bool:
    """Whether all turns of a dialogue can be learned, or scored, in one forward pass.

    They can if no turn changes what an earlier one saw: under causal and ISM, but not under prefix. Derived from the
    rule, on the given dialogues; raises ``ValueError`` if there are none.
    """
    dialogues = list(dialogues)
    if not dialogues:
        raise ValueError("nothing to try the rule on: give at least one dialogue")
    for dialogue in dialogues:
        s = encode_dialogue(dialogue.messages, tokenizer).segments
        after_answer = ~s.is_query[:-1] & s.is_query[1:]  # (T - 1)
        for end in (after_answer.nonzero()[:, 0] + 1).tolist():
            if reusable(mask, s[:end], s) != end:
                return False
    return True


def training_sequences(
    dialogues: Sequence[Dialogue], tokenizer: tiktoken.Encoding, *, expand: bool
) -> list[tuple[EncodedDialogue, list[str]]]:
    """Sequences that together have each answer as a target exactly once, except answers of weight 0.

    Args:
        dialogues: messages and a skill for each answer.
        tokenizer: as in chat.
        expand: one sequence per turn, with that turn's answer as the target, instead of one per dialogue.

    Returns:
        Pairs of a sequence and the skills of its targets; a sequence without targets is left out.
    """
    pairs = []
    for d in dialogues:
        turns = list(zip(expand_turns(d.messages), d.skills, strict=True))
        wanted = [(turn, skill) for turn, skill in turns if is_target(turn[-1])]
        if expand:
            pairs += [(encode_dialogue(turn, tokenizer, loss="last"), [skill]) for turn, skill in wanted]
        elif wanted:
            pairs.append((encode_dialogue(d.messages, tokenizer), [skill for _, skill in wanted]))
    return pairs


def expand_turns(messages: Sequence[Message]) -> list[list[Message]]:
    """One sample per turn, (history, query, answer): the triplet expansion that prefix training needs (2408.00539).

    Under a prefix mask an earlier answer could look ahead at the later turns, so each answer needs its own forward
    pass.
    """
    return [list(messages[: n + 1]) for n, message in enumerate(messages) if message["role"] == "assistant"]


# -- rows ------------------------------------------------------------------------------------------


def make_batch(dialogues: Sequence[Dialogue], tokenizer: tiktoken.Encoding, *, expand: bool) -> EncodedDialogue:
    """The training sequences of some dialogues, packed into rows ``[B, T]``; T is the longest sequence's length.

    Raises:
        ValueError: no dialogue has an answer to learn.
    """
    sequences = (sequence for sequence, _ in training_sequences(dialogues, tokenizer, expand=expand))
    longest_first = sorted(sequences, key=len, reverse=True)  # packs well
    if not longest_first:
        raise ValueError('nothing to learn: give at least one dialogue with an answer whose "weight" is not 0')
    return pack(longest_first, tokenizer, length=len(longest_first[0]))


def collate(dialogues: Iterable[EncodedDialogue], tokenizer: tiktoken.Encoding) -> EncodedDialogue:
    """A batch ``[B, T]`` of one dialogue per row, padded on the right to the longest."""
    dialogues = list(dialogues)
    return pack(dialogues, tokenizer, length=max(map(len, dialogues), default=0), one_a_row=True)


def pack(
    dialogues: Iterable[EncodedDialogue], tokenizer: tiktoken.Encoding, length: int, *, one_a_row: bool = False
) -> EncodedDialogue:
    """A batch ``[B, length]`` of dialogues packed end to end into rows, first fit in the order given.

    Each dialogue gets its own ``document`` number, and no mask looks outside it (:meth:`Mask.dense`).

    Raises:
        ValueError: a dialogue is longer than ``length``, or there is none.
    """
    return pack_with(dialogues, marker_id(tokenizer, PAD), length, one_a_row=one_a_row)


def pack_with(
    dialogues: Iterable[EncodedDialogue], padding: int, length: int, *, one_a_row: bool = False
) -> EncodedDialogue:
    """:func:`pack`, given the padding token; it raises the same errors."""
    dialogues, length = list(dialogues), whole_number("length", length, 0)
    if not dialogues:
        raise ValueError("nothing to batch: give at least one dialogue")
    rows: list[list[EncodedDialogue]] = []
    room: list[int] = []
    for dialogue in dialogues:
        if len(dialogue) > length:
            raise ValueError(f"a dialogue of {len(dialogue)} tokens does not fit a row of {length}; use a longer row")
        fits = next((n for n, left in enumerate(room) if left >= len(dialogue) and not one_a_row), len(rows))
        if fits == len(rows):
            rows.append([])
            room.append(length)
        rows[fits].append(dialogue)
        room[fits] -= len(dialogue)

    shape = (len(rows), length)
    tokens = torch.full(shape, padding)
    ids = torch.full(shape, -1)
    document = torch.full(shape, PADDING)
    is_query, is_system, loss_mask = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))
    for b, row in enumerate(rows):
        start = 0
        for number, d in enumerate(row):
            span, s = (b, slice(start, start + len(d))), d.segments
            tokens[span], ids[span], document[span] = d.tokens, s.id, number
            is_query[span], is_system[span], loss_mask[span] = s.is_query, s.system, d.loss_mask
            start += len(d)
    return EncodedDialogue(tokens, Segments(ids, is_query, is_system, document), loss_mask)

"""Whether a rule can be used in training: what a model learns in one pass must be what it later does token by token.

Answers are learned with all their tokens in view of the rule (teacher forcing), and several dialogues share a row. So a
rule must hide each target from whatever predicts it, give the same mask for an answer that is being written as for the
whole one, and give the same mask for a dialogue in a packed row as for the dialogue alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.batching import pack, training_sequences
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue
from mini_ism.mask import Mask
from mini_ism.reuse import borders
from mini_ism.rule_reads import Reads

SAMPLE = 4
"""How many sequences get every check; for leaks, all are checked."""


class NotTrainableError(ValueError):
    """A rule cannot be used in training; the message says at which position, and what to write instead."""


def check_trainable(mask: Mask, dialogues: Sequence[Dialogue], tokenizer: tiktoken.Encoding, *, expand: bool) -> None:
    """Try a rule on some dialogues before anything is learned from them.

    Args:
        mask: the rule.
        dialogues: a sample of what will be trained on.
        tokenizer: as in training.
        expand: as for :func:`~mini_ism.batching.training_sequences`.

    Raises:
        NotTrainableError: a target is seen where it is predicted, or the rule gives another mask for a dialogue
            that is being written, or that is packed, than for the whole dialogue alone.
        TypeError, ValueError: see :meth:`Mask.dense`; there is no dialogue with an answer.
    """
    sequences = [sequence for sequence, _ in training_sequences(dialogues, tokenizer, expand=expand)]
    if not sequences:
        raise ValueError("nothing to try the rule on: give at least one dialogue with an answer")
    for sequence in sequences:
        _check_hidden(mask, sequence, tokenizer)
    for sequence in sequences[:SAMPLE]:
        _check_written(mask, sequence, tokenizer)
    _check_packed(mask, sequences[:SAMPLE], tokenizer)


def _check_hidden(mask: Mask, sequence: EncodedDialogue, tokenizer: tiktoken.Encoding) -> None:
    """No position sees, through any number of layers, the target that it predicts or anything after it."""
    dense, targets = mask.dense(sequence.segments), sequence.loss_mask.nonzero()[:, 0]  # (T, T), (N)
    if bool(borders(dense)[targets].all()):  # the usual case: no position before a target sees it
        return
    hears = dense | torch.eye(len(dense), dtype=torch.bool)  # through one layer, and the residual stream
    while not torch.equal(further := (hears.float() @ hears.float()) > 0, hears):  # (T, T): twice as many layers
        hears = further
    for target in targets.tolist():
        if bool(hears[target - 1, target:].any()):
            source = target + int(hears[target - 1, target:].nonzero()[0])
            how = "sees" if bool(dense[target - 1, source]) else "hears through other positions of"
            raise NotTrainableError(
                f"mask {mask.name!r} cannot be trained: {_spelled(sequence, target - 1, tokenizer)} has to predict "
                f"{_spelled(sequence, target, tokenizer)} and {how} {_spelled(sequence, source, tokenizer)}, so it "
                "would learn to copy what chat does not have yet. Let answers read backwards only, as in "
                "`causal | same_query`; chat and evaluate take the rule as it is"
            )


def _check_written(mask: Mask, sequence: EncodedDialogue, tokenizer: tiktoken.Encoding) -> None:
    """When a token is written, the rule gives all tokens before it the mask that they have in the end."""
    segments = sequence.segments
    fields = Reads(mask).fields(segments)
    if fields is not None and "end" not in fields:  # such a rule cannot change
        return
    dense = mask.dense(segments)  # (T, T)
    for target in sequence.loss_mask.nonzero()[:, 0].tolist():
        differs = mask.dense(segments[:target]) ^ dense[:target, :target]  # (t, t)
        _refuse(mask, sequence, tokenizer, differs, f"while position {target} is being written")


def _check_packed(mask: Mask, sequences: Sequence[EncodedDialogue], tokenizer: tiktoken.Encoding) -> None:
    """In a row with others, and with padding, the rule gives a dialogue the same mask as alone."""
    longer = sum(map(len, sequences)) + 1  # padding, too
    row = mask.dense(pack(sequences, tokenizer, longer).segments)[0]  # (T, T)
    start = 0
    for sequence in sequences:
        stop = start + len(sequence)
        differs = row[start:stop, start:stop] ^ mask.dense(sequence.segments)
        _refuse(mask, sequence, tokenizer, differs, f"in a row with others, from position {start} on")
        start = stop


def _refuse(mask: Mask, sequence: EncodedDialogue, tokenizer: tiktoken.Encoding, differs: Tensor, where: str) -> None:
    """Raise an error if the rule decides a pair differently there than in the whole dialogue."""
    if bool(differs.any()):
        q, kv = (_spelled(sequence, place, tokenizer) for place in differs.nonzero()[0].tolist())
        raise NotTrainableError(
            f"mask {mask.name!r} cannot be trained: {where}, it says something else of whether {q} sees {kv} than of "
            "the same dialogue whole and alone. Compare positions with each other and with segments, and with a number "
            "only by s.position[q] and s.position[kv]; read no length, maximum or end of what is still being written"
        )


def _spelled(sequence: EncodedDialogue, position: int, tokenizer: tiktoken.Encoding) -> str:
    return f"position {position} ({tokenizer.decode([int(sequence.tokens[position])])!r})"

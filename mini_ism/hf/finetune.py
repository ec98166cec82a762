"""Fine-tuning a Hugging Face chat model: batches for ``Trainer`` under a rule, and adapters that record it.

All turns of a dialogue are learned in one forward pass where the rule allows it, as causal and ISM do; under prefix
each turn becomes a separate sequence. Only what the model writes is a target.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mini_ism.batching import pack_with
from mini_ism.checks import whole_number
from mini_ism.dialogue import EncodedDialogue, Message
from mini_ism.hf.chat import DEFAULT_MASK
from mini_ism.hf.loading import causal_lm, check_fits, require
from mini_ism.hf.masks import attention_mask, check_follows
from mini_ism.hf.template import ChatTemplate, labels
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.reuse import borders, reusable
from mini_ism.segments import Segments

RECORD = "mini_ism_mask.json"
"""The file in an adapter's folder that names its rule."""


class ChatCollator:
    """Makes batches of chats for ``transformers.Trainer``, which needs ``remove_unused_columns=False``.

    Args:
        model: the model to train; its attention must follow masks.
        tokenizer: with a chat template, or a :class:`ChatTemplate`.
        mask: the rule.
        length: pack several chats, hidden from each other, into rows of this many tokens; default, one chat per row.

    Raises:
        TypeError, ValueError: an argument does not fit.
    """

    def __init__(
        self, model: Any, tokenizer: Any, mask: str | Mask = DEFAULT_MASK, *, length: int | None = None
    ) -> None:
        self.model, self.mask = causal_lm(model), get_mask(mask)
        self.template = tokenizer if isinstance(tokenizer, ChatTemplate) else ChatTemplate(tokenizer)
        self.length = None if length is None else whole_number("length", length, 2)
        check_follows(self.model)

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, object]:
        """A batch ``[B, T]`` of examples, each with its ``messages``.

        Raises:
            KeyError: an example has no messages.
            TypeError: an example is not a mapping, or its messages are not messages.
            ValueError: a chat is too long, holds no answer, or the rule would show a target to positions that predict
                it; or the batch is empty.
        """
        if not len(examples):
            raise ValueError("the batch is empty; give at least one chat")
        sequences = [each for number, example in enumerate(examples) for each in self._sequences(number, example)]
        longest_first = sorted(sequences, key=len, reverse=True)
        padding = self.template.tokenizer.pad_token_id
        batch = pack_with(
            longest_first,
            self.template.end_ids[0] if padding is None else padding,
            self.length or len(longest_first[0]),
            one_a_row=self.length is None,
        )
        return {
            "input_ids": batch.tokens,
            "attention_mask": attention_mask(self.model, self.mask.dense(batch.segments), 0),
            "position_ids": torch.stack([row.position for row in batch.segments.rows()]),
            "labels": labels(batch),
        }

    def _sequences(self, number: int, example: Mapping[str, Any]) -> list[EncodedDialogue]:
        """The sequences of an example, or an error that says which example it is about."""
        if not isinstance(example, Mapping):
            raise TypeError(f'chat {number} of the batch must be a mapping with "messages", got {example!r:.99}')
        if "messages" not in example:
            raise KeyError(
                f'chat {number} of the batch has no "messages" among its keys: {", ".join(map(str, example))}'
            )
        try:
            return self.sequences(example["messages"])
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"chat {number} of the batch cannot be learned: {error}") from error

    def sequences(self, messages: Sequence[Message]) -> list[EncodedDialogue]:
        """The sequences that together hold each answer of a chat as a target once: the chat itself, or one per turn."""
        whole = self.template.encode(messages)
        if not bool(whole.loss_mask.any()):
            raise ValueError(
                "the conversation holds no answer to learn from; end it with the assistant, in an answer whose weight "
                "is not 0"
            )
        found = [whole] if share_forward(self.mask, whole.segments) else by_turn(whole)
        for sequence in found:
            self._check(sequence)
        return found

    def _check(self, sequence: EncodedDialogue) -> None:
        check_fits(self.model, sequence.tokens)
        if self.length is not None and len(sequence) > self.length:
            raise ValueError(f"{len(sequence)} tokens do not fit a row of {self.length}; use a longer row")
        targets, dense = sequence.loss_mask.nonzero()[:, 0], self.mask.dense(sequence.segments)
        if not bool(borders(dense)[targets].all()):
            raise ValueError(
                f"under mask {self.mask.name!r} a position sees an answer's token before it is written: training would "
                "show the model its targets"
            )


def share_forward(mask: Mask, segments: Segments) -> bool:
    """Whether all answers of a dialogue ``[T]`` can be learned, or scored, in one forward pass.

    They can if no turn changes what an earlier one saw.
    """
    return all(reusable(mask, segments[:end], segments) == end for end in _answer_ends(segments))


def by_turn(encoded: EncodedDialogue) -> list[EncodedDialogue]:
    """One sequence for each answer of a dialogue ``[T]`` that is a target: it ends there and has no other target."""
    turns = (encoded.first(end) for end in _answer_ends(encoded.segments) if encoded.loss_mask[end - 1])
    return [EncodedDialogue(t.tokens, t.segments, t.loss_mask & (t.segments.id == t.segments.id[-1])) for t in turns]


def _answer_ends(segments: Segments) -> list[int]:
    """One past the last token of each answer."""
    ended = segments.is_query.roll(-1)
    ended[-1:] = True
    return ((~segments.is_query & ended).nonzero()[:, 0] + 1).tolist()


class OtherMaskWarning(UserWarning):
    """An adapter is used under a rule other than the one it was trained with."""


def save_adapter(model: Any, folder: str | Path, mask: str | Mask) -> None:
    """Save a peft adapter with its training rule, which peft does not record; warn if no mask has the rule's name."""
    model.save_pretrained(folder)
    name = get_mask(mask).name
    (Path(folder) / RECORD).write_text(json.dumps({"mask": name}, indent=1) + "\n", encoding="utf-8")
    try:
        get_mask(name)
    except ValueError:
        message = f"no mask here goes by the name {name!r}; register it, or give load_adapter() its mask="
        warnings.warn(message, stacklevel=2)


def load_adapter(model: Any, folder: str | Path, mask: str | Mask | None = None) -> tuple[nn.Module, Mask]:
    """Load an adapter onto a model, along with the rule it was trained under.

    An adapter changes keys and values, so a cache that the base model filled is stale.

    Args:
        model: the base model.
        folder: from :func:`save_adapter`.
        mask: a rule to use instead; default, the recorded one.

    Returns:
        The model with its adapter, and the rule.

    Raises:
        ModuleNotFoundError: peft is not installed.
        FileNotFoundError: the folder holds no adapter.
        ValueError: no rule is recorded and none is given, or the record is damaged.
    """
    require("peft")
    from peft import PeftModel

    place = Path(folder)
    if not (place / "adapter_config.json").is_file():
        raise FileNotFoundError(f"{place} holds no adapter: there is no adapter_config.json in it")
    try:
        recorded, why = _recorded(place), f"the adapter in {place} does not say which mask it was trained under"
    except ValueError as error:  # no problem if ``mask`` is given
        recorded, why = None, str(error)
    if mask is None and recorded is None:
        raise ValueError(f"{why}; name it with mask=")
    rule = get_mask(recorded or "" if mask is None else mask)
    if recorded != rule.name:
        trained = f"an unknown mask ({why})" if recorded is None else f"mask {recorded!r}"
        message = f"the adapter in {place} was trained under {trained} and is used under {rule.name!r}"
        warnings.warn(message, OtherMaskWarning, stacklevel=2)
    adapted: nn.Module = PeftModel.from_pretrained(model, str(place)).eval()
    return adapted, rule


def _recorded(folder: Path) -> str | None:
    file = folder / RECORD
    if not file.is_file():
        return None
    try:
        name = json.loads(file.read_text(encoding="utf-8"))["mask"]
        return get_mask(name).name
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} does not name a mask that is known here: {error}") from error

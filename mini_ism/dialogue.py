"""Chat messages to tokens, segments and loss mask, and back: the one place that knows how a dialogue is written.

Every message is one segment, and a dialogue's tokens are its messages' tokens, concatenated::

    system      <|system|> text
    user        <|user|> text <|assistant|>
    assistant   text <|end|>

The assistant marker belongs to the query's segment: it is the first position that predicts the answer, and under ISM it
sees the whole query. Each text gets one leading space, so that a word is the same token wherever it appears; decoding
strips it. What people type is tokenised as :mod:`mini_ism.typed` spells it; answers are tokenised as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tiktoken
import torch
from torch import Tensor

from mini_ism.interfaces import ChatFormat
from mini_ism.markers import marker_id
from mini_ism.segments import Segments
from mini_ism.typed import normalised

Message = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant", "content": text}``, as in OpenAI's and Hugging Face's chat formats.

An answer may also have OpenAI's ``"weight"``: 0 keeps it in the history without training on it. Any other key is an
error unless its value is ``None``, since it would otherwise be dropped silently.
"""

ROLES = ("system", "user", "assistant")
SYSTEM, USER, ASSISTANT, END, PAD = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
FRAMES = {"system": ((SYSTEM,), ()), "user": ((USER,), (ASSISTANT,)), "assistant": ((), (END,))}
"""The markers before and after a message's text."""
NEVER_WRITTEN = (SYSTEM, USER, ASSISTANT, PAD)
"""Markers that no answer contains, so they are never generated."""


@dataclass(frozen=True, eq=False)
class EncodedDialogue:
    """A dialogue, or a batch of them, as a model sees it.

    Args:
        tokens: LongTensor ``[T]`` or ``[B, T]``.
        segments: its segments, of the same shape.
        loss_mask: BoolTensor of the same shape, True where the token is a *target*: what the model is trained to write.
            The position that predicts target t is t - 1.
    """

    tokens: Tensor
    segments: Segments
    loss_mask: Tensor

    def __len__(self) -> int:
        """T, the number of positions."""
        return int(self.tokens.shape[-1])

    @property
    def token_count(self) -> int:
        """How many tokens there are to compute in the whole batch; padding, which has no segment, does not count."""
        return int((self.segments.id >= 0).sum())

    def first(self, positions: int) -> EncodedDialogue:
        """The first positions, as if the dialogue ended there."""
        kept = slice(positions)
        return EncodedDialogue(self.tokens[..., kept], self.segments[kept], self.loss_mask[..., kept])

    def to(self, device: torch.device | str) -> EncodedDialogue:
        """The same dialogue on another device."""
        return EncodedDialogue(self.tokens.to(device), self.segments.to(device), self.loss_mask.to(device))


def check_messages(messages: Sequence[Message]) -> None:
    """Raise an error that says what is wrong with a dialogue, if anything is.

    Raises:
        TypeError: a message is not a mapping, or its content is not a string.
        ValueError: no message, an unknown role or key, a weight that is neither 0 nor 1, or roles out of order (an
            optional system message, then user and assistant in turn, user first).
    """
    given: object = messages
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise TypeError(f'a dialogue is a list of messages like {{"role": "user", "content": "Hi."}}, got {messages!r}')
    if not messages:
        raise ValueError("the dialogue is empty; give at least one user message")
    expected: tuple[str, ...] = ("system", "user")
    for number, message in enumerate(messages):
        entry: object = message
        if not isinstance(entry, Mapping) or not {"role", "content"} <= entry.keys():
            raise TypeError(f'message {number} must be a mapping with "role" and "content", got {message!r}')
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise ValueError(f"message {number} has unknown role {role!r}; roles are {', '.join(ROLES)}")
        if role not in expected:
            raise ValueError(
                f"message {number} is from {role!r}, but here the dialogue needs {' or '.join(map(repr, expected))}: "
                "an optional system message comes first, then user and assistant take turns"
            )
        if not isinstance(content, str):
            raise TypeError(f"the content of message {number} ({role}) must be a string, got {content!r}")
        _check_extras(number, message)
        expected = ("assistant",) if role == "user" else ("user",)


def _check_extras(number: int, message: Message) -> None:
    """Raise an error if a message has an unknown key or an invalid weight."""
    unknown = [key for key in message.keys() - {"role", "content", "weight"} if message[key] is not None]
    if unknown:
        raise ValueError(
            f"message {number} has {', '.join(sorted(map(repr, unknown)))}, which would be dropped; "
            'leave it out: a message has "role" and "content", and an answer may have "weight"'
        )
    weight, answers = message.get("weight"), message["role"] == "assistant"
    if weight is not None and (isinstance(weight, bool) or weight not in ((0, 1) if answers else (0,))):
        allowed = "0 (not trained on) or 1" if answers else "0 or left out: only answers are trained on"
        raise ValueError(f"the weight of message {number} ({message['role']}) must be {allowed}, got {weight!r}")


def is_target(message: Message) -> bool:
    """Whether a model is trained to write a message: an answer is, unless its ``"weight"`` is 0."""
    return message["role"] == "assistant" and message.get("weight") != 0


def encode_dialogue(
    messages: Sequence[Message],
    tokenizer: tiktoken.Encoding,
    *,
    loss: Literal["all", "last"] = "all",
) -> EncodedDialogue:
    """Chat messages to tokens, segments and loss mask.

    Text that happens to spell a marker stays text: only this function writes markers.

    Args:
        messages: see :func:`check_messages` for what is accepted.
        tokenizer: from :func:`~mini_ism.tokenizer.load_tokenizer`, or any encoding with the same markers.
        loss: which answers are targets, ``"all"`` or only the ``"last"``, as prefix training needs; an answer of
            weight 0 never is.

    Returns:
        The dialogue, with tensors of shape ``[T]``. ``encode_dialogue(messages[:n])`` is always a prefix of it.

    Raises:
        TypeError, ValueError: see :func:`check_messages`; ``loss`` is unknown.
    """
    check_messages(messages)
    if loss not in ("all", "last"):
        raise ValueError(f"loss must be 'all' or 'last', got {loss!r}")
    tokens: list[int] = []
    ids: list[int] = []
    roles: list[str] = []
    targets: list[bool] = []
    last = max((n for n, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
    for number, message in enumerate(messages):
        piece = encode_message(message, tokenizer)
        tokens += piece
        ids += [number] * len(piece)
        roles += [message["role"]] * len(piece)
        targets += [is_target(message) and (loss == "all" or number == last)] * len(piece)
    segments = Segments(
        id=torch.tensor(ids),
        is_query=torch.tensor([role != "assistant" for role in roles]),
        is_system=torch.tensor([role == "system" for role in roles]),
    )
    return EncodedDialogue(torch.tensor(tokens), segments, torch.tensor(targets))


def encode_message(message: Message, tokenizer: tiktoken.Encoding) -> list[int]:
    """The tokens of one message, markers included; see the module's docstring for the format."""
    before, after = ([marker_id(tokenizer, marker) for marker in markers] for markers in FRAMES[message["role"]])
    content = message["content"] if message["role"] == "assistant" else normalised(message["content"], tokenizer)
    text = tokenizer.encode(" " + content, allowed_special=set(), disallowed_special=())
    return [*before, *text, *after]


class DialogueFormat:
    """This package's chat format, message by message, as the chat engine needs it."""

    def __init__(self, tokenizer: tiktoken.Encoding) -> None:
        self.tokenizer, self.end_ids = tokenizer, (marker_id(tokenizer, END),)
        self.n_vocab, self.decode = tokenizer.n_vocab, tokenizer.decode
        self.decode_single_token_bytes = tokenizer.decode_single_token_bytes
        self.forbidden_ids = [marker_id(tokenizer, marker) for marker in NEVER_WRITTEN]

    def encode_message(self, role: str, text: str, before: Sequence[tuple[str, str]] = ()) -> list[int]:
        """The tokens of one message, whatever comes before it."""
        return encode_message({"role": role, "content": text}, self.tokenizer)


def chat_format(tokenizer: tiktoken.Encoding | ChatFormat) -> ChatFormat:
    """The chat format to use: this package's own for a tiktoken encoding, otherwise the one that was passed in."""
    return DialogueFormat(tokenizer) if isinstance(tokenizer, tiktoken.Encoding) else tokenizer


def decode_dialogue(tokens: Sequence[int] | Tensor, tokenizer: tiktoken.Encoding) -> list[dict[str, str]]:
    """The messages that tokens encode.

    The inverse of :func:`encode_dialogue`, but for its spelling of what was typed. An unfinished answer is returned as
    it stands.

    Raises:
        ValueError: a token is outside the tokenizer's vocabulary.
    """
    markers = {marker_id(tokenizer, m): m for m in (SYSTEM, USER, ASSISTANT, END, PAD)}
    roles = {SYSTEM: "system", USER: "user", ASSISTANT: "assistant"}
    messages: list[dict[str, str]] = []
    role: str | None = None
    text: list[int] = []

    def finish(ended: bool = False) -> None:
        if role is not None and (text or ended or role != "assistant"):
            messages.append({"role": role, "content": tokenizer.decode(text).removeprefix(" ")})
        text.clear()

    for token in map(int, tokens):
        if not 0 <= token < tokenizer.n_vocab:
            raise ValueError(
                f"token {token} is out of range: the tokenizer knows 0 to {tokenizer.n_vocab - 1}; "
                "decode with the tokenizer that encoded it"
            )
        marker = markers.get(token)
        if marker is None:
            text.append(token)
        elif marker == END and role == "assistant":
            finish(ended=True)
            role = None
        elif marker in roles:
            finish()
            role = roles[marker]
    finish()
    return messages

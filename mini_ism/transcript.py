"""What has been said in a conversation, as one value that is replaced as a whole."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mini_ism.interfaces import ChatFormat
from mini_ism.replies import Reply
from mini_ism.segments import Segments


@dataclass(frozen=True)
class Transcript:
    """Everything that has been said, as one value.

    Args:
        messages: role and text of each.
        ends: one past each message's last token.
        written: how many tokens a still open answer has, ``None`` if there is none. The last of ``ends`` includes them.
        reply: the latest one.
    """

    messages: tuple[tuple[str, str], ...] = ()
    ends: tuple[int, ...] = ()
    written: int | None = None
    reply: Reply | None = None

    @property
    def length(self) -> int:
        """T, the tokens of all messages."""
        return self.ends[-1] if self.ends else 0

    def first(self, count: int) -> Transcript:
        """The first messages only."""
        return replace(self, messages=self.messages[:count], ends=self.ends[:count], written=None)


class Conversation:
    """A transcript, and the tokens and segments of its messages.

    Tensors are written only past the transcript's end, and ``said`` is replaced by one assignment, so that an
    interrupt at any line leaves either the old state or the new one.

    Args:
        style: how messages become tokens.
        capacity: how many tokens there is room for.

    Attributes:
        said: the transcript.
        tokens, segment, is_query, is_system: ``[capacity]``; entries past the transcript's end are meaningless.
    """

    def __init__(self, style: ChatFormat, capacity: int) -> None:
        self.style, self.said = style, Transcript()
        self.tokens, self.segment = (torch.zeros(capacity, dtype=torch.long, device="cpu") for _ in range(2))
        self.is_query, self.is_system = (torch.zeros(capacity, dtype=torch.bool, device="cpu") for _ in range(2))

    def segments(self, stop: int) -> Segments:
        """The segments of the first tokens, as views; past the transcript's end, as if the open answer went on."""
        return Segments(self.segment[:stop], self.is_query[:stop], self.is_system[:stop])

    def _write(self, start: int, tokens: Sequence[int], message: int, role: str) -> int:
        """Write tokens past the transcript's end; they count once the transcript includes them."""
        stop = start + len(tokens)
        if stop <= len(self.tokens):
            self.tokens[start:stop] = torch.tensor(tokens, dtype=torch.long, device="cpu")
            self.segment[start:stop] = message
            self.is_query[start:stop] = role != "assistant"
            self.is_system[start:stop] = role == "system"
        return stop

    def with_message(self, role: str, text: str) -> Transcript:
        """The transcript with one more message."""
        said = self.said
        tokens = self.style.encode_message(role, text, said.messages)
        stop = self._write(said.length, tokens, len(said.messages), role)
        return replace(said, messages=(*said.messages, (role, text)), ends=(*said.ends, stop))

    def open_answer(self, said: Transcript) -> None:
        """Move on to a transcript, and open an answer of which nothing is written yet."""
        start, number = said.length, len(said.messages)
        self.segment[start:], self.is_query[start:], self.is_system[start:] = number, False, False
        self.said = Transcript((*said.messages, ("assistant", "")), (*said.ends, start), 0, said.reply)

    def add_token(self, token: int) -> None:
        """Add a token to the open answer; its segment is written already, as far as there is room."""
        said = self.said
        assert said.written is not None
        self.tokens[said.length] = token
        self.said = Transcript(said.messages, (*said.ends[:-1], said.length + 1), said.written + 1, said.reply)

    def close(self, reply: Reply) -> None:
        """Finish the open answer; a stop string at its end is removed."""
        said = self.said
        start, end = said.ends[-2], self.style.end_ids[0]
        tokens = [*reply.tokens.tolist(), end]
        if reply.stopped == "stop":  # encoded again without the stop string, which may begin inside a token
            before = said.messages[:-1]
            spelled = self.style.encode_message("assistant", reply.text, before) if reply.text else [end]
            tokens = spelled if start + len(spelled) <= len(self.tokens) else tokens
        stop = self._write(start, tokens, len(said.messages) - 1, "assistant")
        messages = (*said.messages[:-1], ("assistant", reply.text))
        self.said = Transcript(messages, (*said.ends[:-1], stop), None, reply)

    def clone(self) -> Conversation:
        """An independent copy, for what-if experiments."""
        twin = copy.copy(self)
        for name in ("tokens", "segment", "is_query", "is_system"):
            setattr(twin, name, getattr(self, name).clone())
        return twin

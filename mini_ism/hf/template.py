r"""From a chat template to ids, segments and labels: where each message begins and ends, found once and checked.

A chat template renders a whole conversation as one text. To attend by segments, we must know which message each token
belongs to; to keep a cache, the ids of earlier messages must not change when a turn is added. So the template is
rendered once with made-up messages that are easy to locate, and split into what it writes *around* them::

    opening  question  prompt | lead  answer  ending | between  question  prompt | lead  answer  ending | ...
    <|im_start|>user\n  Hi.  <|im_end|>\n<|im_start|>assistant\n | Hello.  <|im_end|> | \n<|im_start|>user\n ...

A query is what the model only reads: its frame, its text and the generation prompt, so that its last token predicts the
answer. An answer is what the model writes, up to and including the marker that ends it. Each piece is tokenised on its
own. A template that cannot be split this way is rejected, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mini_ism.dialogue import EncodedDialogue, Message, check_messages, is_target
from mini_ism.segments import Segments

IGNORED = -100
"""The label of a position that is not a target, as in PyTorch's cross entropy and in transformers."""

TURNS = 3  # of the made-up conversation: the second and third must look alike
MADE_UP = {"system": "zqsystem", "user": "zquser{}qz", "assistant": "zqanswer{}qz"}


class TemplateError(ValueError):
    """A tokenizer has no chat template, or one whose messages cannot be told apart."""


@dataclass(frozen=True)
class Frame:
    """What a template writes around messages.

    Args:
        opening: before the first message.
        middle: between a system prompt and the first question; empty without one.
        prompt: after a question, to ask for its answer.
        lead: before the answer's text; the model writes it.
        ending: after the answer's text, up to and including a special token.
        between: what is left before the next question.
    """

    opening: str
    middle: str
    prompt: str
    lead: str
    ending: str
    between: str


class ChatTemplate:
    """How a tokenizer's chat template writes a conversation, message by message.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        options: passed on to the template, such as ``enable_thinking=False``.

    Attributes:
        end_ids: the marker that ends an answer, then the tokenizer's own end of text if that is a different one.
        forbidden_ids: special tokens that no answer may contain.

    Raises:
        TemplateError: there is no template, or it cannot be split.
    """

    def __init__(self, tokenizer: Any, **options: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError(
                f"{_name(tokenizer)} has no chat template; take the tokenizer of an instruction-tuned model, or set "
                "tokenizer.chat_template"
            )
        self.tokenizer, self._options = tokenizer, options
        self.n_vocab = len(tokenizer)
        self._special = {str(token): index for index, token in _special_tokens(tokenizer).items()}
        self._frame = self._take_apart()
        ending = self._tokenize(self._frame.ending)
        self._ending_length, eos, end = len(ending), tokenizer.eos_token_id, ending[-1]
        self.end_ids = (end,) if eos in (None, end) else (end, eos)
        self.forbidden_ids = sorted(set(self._special.values()) - set(self.end_ids))
        self._system = self._with_system()
        self._check_pieces()

    # -- taking the template apart -----------------------------------------------------------------

    def _render(self, messages: Sequence[Message], prompt: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=prompt, **self._options
            )
        except ImportError as error:
            raise TemplateError(f"the chat template cannot be rendered: {error}") from error
        except Exception as error:  # a template may raise anything
            raise TemplateError(
                f"the chat template of {_name(self.tokenizer)} refuses a conversation: {error}"
            ) from error
        return str(text)

    def _take_apart(self, system: bool = False) -> Frame:
        messages = _conversation(TURNS, system)
        parts = _parts(self._render(messages, False), [message["content"] for message in messages])
        name = _name(self.tokenizer)
        if parts is None:
            raise TemplateError(
                f"the chat template of {name} does not write each message once, in order and as it is, so that no "
                "token can be given to a message"
            )
        opening, *around = parts[system:]
        heads, tails = around[0:-1:2], around[1::2]  # from question to answer, from answer to question
        for what, texts in (("a question", heads), ("an answer", tails)):
            others = [text for text in texts if text != texts[0]]
            if others:
                raise TemplateError(
                    f"the chat template of {name} writes {texts[0]!r} behind {what} and {others[0]!r} behind a later "
                    "one: what was said would change when a turn is added, and no cache could be kept"
                )
        prompts = [self._after_last(messages[: system + 2 * turn + 1]) for turn in range(TURNS)]
        unlike = [prompt for prompt in prompts if not heads[0].startswith(prompt) or prompt != prompts[0]]
        if unlike:
            raise TemplateError(
                f"the chat template of {name} asks for an answer with {unlike[0]!r}, but writes an earlier answer "
                f"behind {heads[0]!r}: the history would change. If that is about thinking, see the template's "
                "options, as enable_thinking=True"
            )
        ending = self._marker(tails[0])
        if ending is None:
            raise TemplateError(
                f"the chat template of {name} writes {tails[0]!r} behind an answer, without a special token that ends "
                "it: nobody could see where the answer stops"
            )
        first, middle = (parts[0], opening) if system else (opening, "")
        return Frame(first, middle, prompts[0], heads[0][len(prompts[0]) :], ending, tails[0][len(ending) :])

    def _after_last(self, messages: Sequence[Message]) -> str:
        """What the template writes after the last question, to ask for its answer."""
        return self._render(messages, True).rpartition(messages[-1]["content"])[2]

    def _marker(self, text: str) -> str | None:
        """A text up to and including its first special token."""
        found = [(place, -len(mark)) for mark in self._special if (place := text.find(mark)) >= 0]
        return text[: min(found)[0] - min(found)[1]] if found else None

    def _with_system(self) -> tuple[str, str, str] | TemplateError:
        """What stands before a system prompt, ends it, and comes before the first question; or why there is none."""
        try:
            frame = self._take_apart(system=True)
        except TemplateError as error:
            return error
        if replace(frame, opening=self._frame.opening, middle="") != self._frame:
            return TemplateError("with a system prompt, the chat template writes the later messages in another way")
        ending = self._marker(frame.middle) or ""  # a system prompt without an end of its own joins the first question
        return frame.opening, ending, frame.middle[len(ending) :]

    def _check_pieces(self) -> None:
        """Check that the made-up conversation, tokenised piece by piece, gives the ids of the whole."""
        messages = _conversation(TURNS)
        if self._tokenize(self._render(messages, True)) != [id for id, _ in self._pieces(messages)]:
            raise TemplateError(
                f"{_name(self.tokenizer)} tokenises the made-up messages of its chat template differently one by one "
                "than together; there is no token border between them"
            )

    # -- tokens ------------------------------------------------------------------------------------

    def _tokenize(self, text: str, **options: Any) -> list[int]:
        # A lone surrogate, half a character, becomes U+FFFD as in tiktoken; these tokenizers would reject it.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return list(self.tokenizer(text, add_special_tokens=False, **options)["input_ids"])

    def _ids(self, text: str) -> list[int]:
        """The ids of a piece that does not open the conversation, as tokenised after a marker."""
        return self._tokenize(self._frame.ending + text)[self._ending_length :]

    def _piece(self, before: str, text: str, after: str, *, opens: bool) -> list[int]:
        """A message in its frame; text that spells a marker stays text."""
        ids = self._tokenize if opens else self._ids
        if not any(mark in text for mark in self._special):
            return ids(before + text + after)
        plain = self._tokenize(text, split_special_tokens=True)
        if set(plain) & set(self._special.values()):
            mark = next(mark for mark in self._special if mark in text)
            raise ValueError(
                f"the message spells the marker {mark!r}, and {_name(self.tokenizer)} cannot write it as plain text; "
                "put a space inside it"
            )
        return ids(before) + plain + self._ids(after)

    def encode_message(self, role: str, text: str, before: Sequence[tuple[str, str]] = ()) -> list[int]:
        """The tokens of a message that follows others, given as (role, text).

        A system prompt without its own border yields no tokens: it is written with the first question.

        Raises:
            TemplateError: the template takes no system prompt.
            ValueError: the text spells a marker that cannot be written as text.
        """
        system = next((said for speaker, said in before if speaker == "system"), None)
        led = system is not None
        if role == "assistant":
            return self._piece(self._frame.lead, self._as_written(led, {1: text}), self._frame.ending, opens=False)
        if role == "user" and any(speaker == "assistant" for speaker, _ in before):
            return self._piece(self._frame.between, self._as_written(led, {2: text}), self._frame.prompt, opens=False)
        if role == "user" and not led:
            return self._piece(self._frame.opening, self._as_written(led, {0: text}), self._frame.prompt, opens=True)
        if isinstance(self._system, TemplateError):
            raise TemplateError(f"{self._system}; leave out the system prompt")
        opening, ending, between = self._system
        if role == "system":
            return self._piece(opening, self._as_written(True, {-1: text}), ending, opens=True) if ending else []
        if ending:
            return self._piece(between, self._as_written(True, {0: text}), self._frame.prompt, opens=False)
        assert system is not None
        joined = self._as_written(True, {-1: system, 0: text}, between)
        return self._piece(opening, joined, self._frame.prompt, opens=True)

    def _as_written(self, system: bool, said: Mapping[int, str], between: str = "") -> str:
        """A message as the template writes it, which may strip whitespace around it: found by rendering it.

        Args:
            system: whether the conversation has a system prompt.
            said: texts by number, 0 for the first question and -1 for the system prompt; two are joined.
            between: what joins them.
        """
        plain = between.join(said.values())
        if all(text and text == text.strip() for text in said.values()):
            return plain
        made_up = _conversation(2, system)
        messages = [{**each, "content": said.get(n - system, each["content"])} for n, each in enumerate(made_up)]
        example, whole = self._render(made_up, False), self._render(messages, False)
        before = example.partition(made_up[min(said) + system]["content"])[0]
        after = example.rpartition(made_up[max(said) + system]["content"])[2]
        written = whole[len(before) : len(whole) - len(after)]
        same = before + written + after == whole and written.split() == plain.split()
        return written if same else plain

    def _pieces(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        """(id, message) of each token."""
        said = [(message["role"], message["content"]) for message in messages]
        return [
            (id, number)
            for number, (role, text) in enumerate(said)
            for id in self.encode_message(role, text, said[:number])
        ]

    def encode(self, messages: Sequence[Message]) -> EncodedDialogue:
        """Chat messages to tokens, segments and loss mask, ``[T]``; ``encode(messages[:n])`` is always a prefix of it.

        Raises:
            TypeError, ValueError: see :func:`~mini_ism.dialogue.check_messages` and :meth:`encode_message`.
        """
        check_messages(messages)
        pieces = self._pieces(messages)
        tokens, ids = (torch.tensor(column, dtype=torch.long) for column in zip(*pieces, strict=True))
        is_query, is_system, targets = (
            torch.tensor([match(message) for message in messages])[ids]
            for match in (lambda m: m["role"] != "assistant", lambda m: m["role"] == "system", is_target)
        )
        return EncodedDialogue(tokens, Segments(ids, is_query, is_system), targets)

    # -- text --------------------------------------------------------------------------------------

    def decode(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, without the markers."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token, which may be part of a character; none for a marker."""
        if token in self._special.values():
            return b""
        piece = str(self.tokenizer.convert_ids_to_tokens(token))
        if found := re.fullmatch(r"<0x([0-9A-F]{2})>", piece):  # SentencePiece's bytes
            return bytes.fromhex(found[1])
        if all(letter in BYTES for letter in piece) and "ByteLevel" in str(_decoder(self.tokenizer)):
            return bytes(BYTES[letter] for letter in piece)
        return piece.replace("▁", " ").encode()


def labels(encoded: EncodedDialogue) -> Tensor:
    """Labels for transformers' losses: the tokens of answers, and :data:`IGNORED` elsewhere."""
    return torch.where(encoded.loss_mask, encoded.tokens, IGNORED)


def _conversation(turns: int, system: bool = False) -> list[dict[str, str]]:
    """Questions and answers in turn, then one more question; perhaps a system prompt before them."""
    roles = ["system"] * system + ["user", "assistant"] * turns + ["user"]
    return [{"role": role, "content": MADE_UP[role].format((n - system) // 2)} for n, role in enumerate(roles)]


def _parts(whole: str, contents: Sequence[str]) -> list[str] | None:
    """The text before, between and after some texts that occur once each, in order; ``None`` if they do not."""
    parts = []
    for content in contents:
        before, found, whole = whole.partition(content)
        if not found:
            return None
        parts.append(before)
    parts.append(whole)
    return None if any(content in part for part in parts for content in contents) else parts


def _special_tokens(tokenizer: Any) -> dict[int, str]:
    """Ids and texts of all tokens that stand for something other than text."""
    added = {i: str(t) for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    return added | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))


def _name(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)


def _decoder(tokenizer: Any) -> object:
    return getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)


def _byte_letters() -> dict[str, int]:
    """How GPT-2's byte-level BPE writes bytes as letters: the printable ones as themselves, the others from U+0100."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTES = _byte_letters()

"""One random trial each of a mask's text, of an option's value, of a file on disk.

A trial is *refused* if the package raises an error that it documents, with its own message for texts and files, and
*taken* otherwise; what is taken must be what it says. Everything else is a :class:`LostError`.
:mod:`benchmarks.soak` counts them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.exactness import TOKENIZER, check_parts
from benchmarks.random_cases import NONEMPTY, SELF, build, random_model, random_tree
from mini_ism import GPTConfig, Mask, Segments, encode_dialogue, get_mask, load_tokenizer
from mini_ism.chat import ChatSession
from mini_ism.checkpoints import read_checkpoint, save_model
from mini_ism.corpus import generate, load_split
from mini_ism.corpus.splits import MANIFEST, to_jsonl
from mini_ism.files import sha256
from mini_ism.tokenizer_files import default_path
from mini_ism.training import Run, TrainingConfig

PACKAGE = Path(default_path.__code__.co_filename).parent
OWN = (TypeError, ValueError, FileNotFoundError)
"""The errors that the package documents; :class:`~mini_ism.checkpoints.CheckpointError` is a ValueError."""


class LostError(AssertionError):
    """Something was taken that is not what it says, or an error escaped that the package does not raise itself."""


def refused(attempt: Callable[[], object], *, by: tuple[type[Exception], ...] = OWN, raised_here: bool = True) -> bool:
    """Whether the package refuses an attempt.

    Args:
        attempt: what to try.
        by: errors that its documentation names.
        raised_here: the error must be the package's own, with a sentence, not one raised by Python itself.

    Raises:
        LostError: there was another error.
    """
    try:
        attempt()
    except by as error:
        last = extract_tb(error.__traceback__)[-1]
        own = PACKAGE in Path(last.filename).parents and (last.line or "").startswith("raise ")
        if raised_here and (not own or len(str(error).split()) < 4):
            raise LostError(f"a raw {type(error).__name__}: {error} ({last.filename}, line {last.lineno})") from error
        return True
    return False


def misfit(attempt: Callable[[], object]) -> bool:
    """Whether an attempt with values of any type is refused; Python itself may say that a value is of a wrong type."""
    return refused(attempt, by=(TypeError, ValueError), raised_here=False)


# -- the text of a mask ----------------------------------------------------------------------------

TEXTS = (
    "(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))",
    "(q - kv) % 2 == 0 | s.system[kv]",
    "causal & (sliding_window(32) | sink(4))",
    "abs(s.position[q] - s.position[kv]) < 3 * 2 - 1",
    "kv < s.last_query_end[q] & ~ism(sink=True)",
)
PIECES = [*"()[]&|~<=>!+-*/%,.0123456789 '\"\\\n\u00e9", "kv", "q", "s.id[kv]", "is_query", "s.end[q]", "//", "and"]
PIECES += ["lambda", "__import__('os')", "causal", "ism", "n=", "9" * 30, "if", ":=", "**", "f'{q}'", "\0", "\u2028"]
SEGMENTS = encode_dialogue(
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where is the key?"},
        {"role": "assistant", "content": "In the box."},
        {"role": "user", "content": "Why?"},
    ],
    TOKENIZER,
).segments


def scramble(random: Random, text: str) -> str:
    """A text with a few pieces inserted, removed or replaced."""
    for _ in range(random.randint(1, 4)):
        start = random.randint(0, len(text))
        stop = min(len(text), start + random.choice([0, 0, 1, 1, 2, 5]))
        text = text[:start] + random.choice(["", *PIECES]) + text[stop:]
    return text


def rule(random: Random) -> bool:
    """A mask's text, of a composition, or scrambled; whether it was refused.

    Raises:
        LostError: it was read as another rule than it was written from, or raised an error that is not the package's.
    """
    mask = build(("|", random_tree(random), SELF) if random.random() < 0.5 else random.choice(NONEMPTY))
    if random.random() < 0.3:
        if not torch.equal(get_mask(mask.name).dense(SEGMENTS), mask.dense(SEGMENTS)):
            raise LostError(f"{mask.name} was read as another rule")
        return False
    text = scramble(random, random.choice([mask.name, *TEXTS]))

    def attempt() -> None:
        allowed = get_mask(text).dense(SEGMENTS)
        if allowed.dtype != torch.bool or allowed.shape != (len(SEGMENTS), len(SEGMENTS)):
            raise LostError(f"{text!r} makes a matrix of {allowed.dtype}, {tuple(allowed.shape)}")

    return refused(attempt)


# -- the value of an option ------------------------------------------------------------------------


def one(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Causal."""
    return kv <= q


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, 7, 40, -1, -7, 2**31, 2**63, 2**64, 2**70, -(2**70), 10**400),
    *(0.0, -0.0, 0.5, 1.0, 2.5, -0.1, 1e-46, 1e-300, 1e300, math.inf, -math.inf, math.nan, 1j),
    *("", "3", "0.5", "ism", "causal | sink", "nan", " ", "\0", "\ud800", "\u2028", "a" * 5000, b"3", b"\xff"),
    *(
        (),
        (1,),
        [],
        [2],
        ["e", ""],
        ["e", "a"],
        [None],
        {},
        {"a": 1},
        {1},
        range(3),
        object(),
        int,
        one,
        Mask(one, "one"),
    ),
    *(np.int64(3), np.float32(0.5), np.array([1, 2]), np.array(3), np.nan, np.bool_(True)),
    *(torch.tensor(3), torch.tensor([1, 2]), torch.tensor(0.5), torch.tensor([])),
)
"""What somebody may pass by mistake."""
LIKELY: tuple[Any, ...] = (0, 1, 2, 3, 8, 64, 0.0, 0.25, 0.9, 1.0, None, "ism", "causal | sink", "e", ["e", "a"])
"""What somebody may pass."""
SEND = ("max_new_tokens", "temperature", "top_k", "top_p", "seed", "stop")
SHAPE = ("vocab_size", "context", "layers", "heads", "width", "token_shift", "rotary_pct", "rope_theta")


@cache
def small_chat() -> ChatSession:
    """A conversation to fork from."""
    model = random_model(0, vocab_size=TOKENIZER.n_vocab, context=96, width=16)
    chat = ChatSession(model, TOKENIZER, "ism")
    chat.send("Hi.", max_new_tokens=2)
    return chat


def option(random: Random) -> bool:
    """A call with values that may not fit; whether it was refused.

    Raises:
        LostError: a refused call changed something, a taken one did what it should not, or the error is not the
            package's.
    """
    return random.choice([_send, _open, _shape, _draw, _mask])(random)


def _some(random: Random, names: tuple[str, ...]) -> dict[str, Any]:
    values = random.choice([VALUES, LIKELY])
    return {name: random.choice(values) for name in random.sample(names, random.choice([1, 1, 2]))}


def _send(random: Random) -> bool:
    chat = small_chat().fork()
    before = chat.tokens
    options = {"max_new_tokens": 3} | _some(random, SEND)
    text = random.choice(VALUES) if random.random() < 0.2 else "And now?"
    turned_down = misfit(lambda: chat.send(text, **options))
    if turned_down and not torch.equal(chat.tokens, before):
        raise LostError(f"a refused turn, send({text!r}, {options}), changed the conversation")
    if not turned_down and chat.reply and len(chat.reply.tokens) > options["max_new_tokens"]:
        raise LostError(f"send({text!r}, {options}) wrote {len(chat.reply.tokens)} tokens")
    check_parts(chat)
    return turned_down


def _open(random: Random) -> bool:
    options = _some(random, ("mask", "system", "messages", "chunk"))

    def attempt() -> None:
        chat = ChatSession(small_chat().model, TOKENIZER, **options)
        chat.send("Hi.", max_new_tokens=2)
        check_parts(chat)

    return misfit(attempt)


def _shape(random: Random) -> bool:
    return misfit(lambda: GPTConfig(**_some(random, SHAPE)))


def _draw(random: Random) -> bool:
    options = _some(random, ("seed", "split", "skills", "weights", "start", "coined", "version"))
    return misfit(lambda: next(generate(**{"seed": 0} | options)))


def _mask(random: Random) -> bool:
    name, options = random.choice(["ism", "sliding_window", "sink", "inside", "causal"]), _some(random, ("n", "sink"))
    return misfit(lambda: get_mask(name, **options).dense(SEGMENTS))


# -- a file on the disk ----------------------------------------------------------------------------


def damage(random: Random, content: bytes, others: list[bytes]) -> bytes | None:
    """A file's content as an accident would leave it; None = the file is gone."""
    start, stop = sorted(random.randint(0, len(content)) for _ in range(2))
    near = min(len(content), start + random.randint(1, 8))
    digits = [place for place, byte in enumerate(content[:2000]) if chr(byte).isdigit()]
    match random.randrange(12):
        case 0:
            return None
        case 1:
            return content[:start]
        case 2:
            return content[:start] + content[near:]
        case 3:
            return content[:start] + random.randbytes(near - start) + content[near:]
        case 4:
            return content[:start] + bytes(stop - start) + content[stop:]
        case 5:
            return content[:start] + content[start:stop] * 2 + content[stop:]
        case 6:
            return random.choice(others)
        case 7:
            return random.choice([b"", b"null", b"{}", b"[]", b"\xef\xbb\xbf" + content, random.randbytes(200)])
        case 8:
            return content.replace(b"\n", b"\r\n")
        case _ if digits:  # a digit changes
            place = random.choice(digits)
            return content[:place] + random.choice("0123456789").encode() + content[place + 1 :]
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]


def _model(folder: Path) -> object:
    found = read_checkpoint(folder)
    return found.config, found.training, {name: value.numpy().tobytes() for name, value in found.weights.items()}


def _split(folder: Path) -> object:
    return load_split("validation", folder)


def _tokenizer(folder: Path) -> object:
    found = load_tokenizer(folder / default_path().name)
    return found._mergeable_ranks, found._special_tokens


def _run(folder: Path) -> object:
    found = Run(CONFIG, folder)
    return (
        found.progress,
        found.metrics,
        {name: value.numpy().tobytes() for name, value in found.model.state_dict().items()},
    )


CONFIG = TrainingConfig(
    steps=2, dialogues=2, validate=2, validation_size=2, save=1, skills="recall", weights="", easy=0
)
KINDS: dict[str, Callable[[Path], object]] = {"model": _model, "split": _split, "tokenizer": _tokenizer, "run": _run}
"""How a folder of each kind is read."""
UNSEALED = {"metrics.jsonl"}
"""Files that only others read, and that have no fingerprint: they are left alone."""


@cache
def folders() -> dict[str, dict[str, bytes]]:
    """A whole folder of each kind: the content of its files, by name."""
    made: dict[str, dict[str, bytes]] = {}
    with TemporaryDirectory() as aside:
        whole = {kind: Path(aside) / kind for kind in KINDS}
        save_model(random_model(0, mask="ism"), whole["model"], training={"steps": 10})
        _stop_after_a_step(Run(CONFIG, whole["run"]))
        for kind in ("split", "tokenizer"):
            whole[kind].mkdir()
        for path in (default_path(), default_path().with_suffix(".json")):
            (whole["tokenizer"] / path.name).write_bytes(path.read_bytes())
        dialogues = [dialogue for dialogue, _ in zip(generate(0, "validation"), range(6), strict=False)]
        content = to_jsonl(dialogues)
        entry = {"dialogues": len(dialogues), "sha256": sha256(content)}
        (whole["split"] / "validation.jsonl").write_bytes(content)
        (whole["split"] / MANIFEST).write_text(json.dumps({"seed": 0, "splits": {"validation": entry}}), "utf-8")
        for kind, folder in whole.items():
            made[kind] = {path.name: path.read_bytes() for path in folder.iterdir()}
    return made


def _stop_after_a_step(run: Run) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        run.train(stop)


@cache
def _read_whole(kind: str) -> object:
    with TemporaryDirectory() as aside:
        for name, content in folders()[kind].items():
            (Path(aside) / name).write_bytes(content)
        return KINDS[kind](Path(aside))


def file(random: Random) -> bool:
    """A folder in which one file is damaged; whether it was refused.

    Raises:
        LostError: it was read, and is not what was saved; or the error is not the package's.
    """
    kind = random.choice(list(KINDS))
    files = dict(folders()[kind])
    name = random.choice(sorted(files.keys() - UNSEALED))
    content = damage(random, files[name], [other for each in folders().values() for other in each.values()])
    with TemporaryDirectory() as aside:
        for each in files:
            if each != name or content is not None:
                (Path(aside) / each).write_bytes(files[each] if each != name else content or b"")

        def attempt() -> None:
            started_afresh = kind == "run" and content is None  # no state, no run
            if not started_afresh and KINDS[kind](Path(aside)) != _read_whole(kind):
                raise LostError(f"a damaged {name} was read as something else")

        return refused(attempt)

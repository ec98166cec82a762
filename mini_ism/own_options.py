"""The user's own data on the command line: dialogues, a tokenizer, a model to continue from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tiktoken

from mini_ism.bpe import train_bpe
from mini_ism.checkpoints import load_model
from mini_ism.checks import whole_number
from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, read_dialogues
from mini_ism.corpus.converters import CONVERTERS
from mini_ism.files import check_writable, read_whole
from mini_ism.model import GPT
from mini_ism.sources import Source
from mini_ism.tokenizer import load_tokenizer
from mini_ism.tokenizer_files import PATTERN, SPECIALS, check_name, to_ranks, write_tokenizer

VOCAB_SIZE, SMALLEST = 1024, 256 + len(SPECIALS)

DIALOGUES = "one dialogue per line: a list of messages, or {\"messages\": [...]}, in OpenAI's and Hugging Face's roles"
CONVERT = "Read another format; may be given several times. " + " ".join(
    f"{name}: {converter.summary}." for name, converter in CONVERTERS.items()
)


def add_reading(parser: argparse.ArgumentParser, *, cut: bool = True) -> None:
    """The options that say how files of dialogues are read."""
    parser.add_argument("--convert", choices=list(CONVERTERS), action="append", default=[], help=CONVERT)
    if cut:
        parser.add_argument(
            "--cut",
            action="store_true",
            help="Keep of a dialogue that is too long for the model the turns from its beginning that fit.",
        )


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options for training on the user's own dialogues, tokenizer or model."""
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help=f"Train on these dialogues instead of the corpus; {DIALOGUES}."
    )
    parser.add_argument(
        "--validation", type=Path, metavar="FILE", help="Score on these dialogues, which are not trained on."
    )
    add_reading(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="A vocabulary of one's own: a file that `tokenizer train` wrote."
    )
    start.add_argument(
        "--from",
        dest="start",
        metavar="MODEL",
        help="Go on from a shipped model, by its name, or from a model in a folder; its shape and vocabulary stay.",
    )


def add_tokenizer_command(commands: Any) -> None:
    """The command ``tokenizer train``; ``commands`` is what ``add_subparsers`` returns."""
    command = commands.add_parser("tokenizer", help="Make a vocabulary from text of one's own.")
    what = command.add_subparsers(required=True, metavar="train")
    train = what.add_parser("train", help="Learn the byte pairs that a text is made of.")
    train.set_defaults(run=_train_tokenizer, threads=0, imports=[])
    train.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help=f"What to learn from: plain text, or in .jsonl {DIALOGUES}."
    )
    train.add_argument(
        "--vocab-size",
        type=int,
        default=VOCAB_SIZE,
        metavar="N",
        help=f"How many tokens, at most: {SMALLEST} are single bytes and markers (default: %(default)s).",
    )
    train.add_argument(
        "--out", type=Path, default=Path("own.tiktoken"), metavar="FILE", help="Where to write (default: %(default)s)."
    )
    add_reading(train, cut=False)


def read_source(options: argparse.Namespace) -> Source:
    """What a training run is given.

    Raises:
        ValueError, FileNotFoundError: something cannot be read, or --cut or --convert is given with nothing to read.
    """
    check_reading(options, options.data or options.validation, "--data or --validation")
    model, tokenizer = load_model(options.start) if options.start else (None, load_tokenizer(options.tokenizer))
    data, validation = (
        read_own(path, options, tokenizer, model) if path else [] for path in (options.data, options.validation)
    )
    return Source(data, validation, tokenizer, model)


def check_reading(options: argparse.Namespace, file: Path | None, name: str) -> None:
    """Refuse options on how a file is read if none is given."""
    if file is None and (options.convert or options.cut):
        raise ValueError(f"--convert and --cut say how a file of dialogues is read; give it with {name}")


def read_own(
    path: Path, options: argparse.Namespace, tokenizer: tiktoken.Encoding, model: GPT | None
) -> list[Dialogue]:
    """The dialogues of a file, each of which fits the given model, or a new one if none is given."""
    context = GPTConfig.context if model is None else model.config.context
    return read_dialogues(path, convert=options.convert, tokenizer=tokenizer, context=context, cut=options.cut)


def _train_tokenizer(options: argparse.Namespace) -> None:
    size = whole_number("--vocab-size", options.vocab_size, SMALLEST) - len(SPECIALS)
    if options.convert and not any(map(_has_dialogues, options.files)):
        raise ValueError("--convert says how dialogues are read, and no file ends in .jsonl; leave it out")
    check_name(options.out)
    check_writable(options.out)
    texts = (text for path in options.files for text in _texts(path, options.convert))
    tokens = train_bpe(texts, size, PATTERN)
    if len(tokens) == 256 < size:
        raise ValueError(f"no word in {', '.join(map(str, options.files))} to learn from; give a file that holds text")
    for path in write_tokenizer(options.out, to_ranks(tokens)):
        print(path)
    print(f"{len(tokens) + len(SPECIALS)} tokens; train a model with `--tokenizer {options.out}`")


def _has_dialogues(path: Path) -> bool:
    return path.suffix.lower() == ".jsonl"


def _texts(path: Path, convert: list[str]) -> Iterator[str]:
    """Each message, or each line, with the space before it that messages get when they are encoded."""
    if _has_dialogues(path):
        for dialogue in read_dialogues(path, convert=convert):
            yield from (f" {message['content']}" for message in dialogue.messages)
        return
    try:
        yield from (f" {line}" for line in read_whole(path).decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from None

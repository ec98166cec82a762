"""Builds everything in `data/` that comes from the corpus, byte for byte the same each time."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import tiktoken

from mini_ism.corpus.card import write_card
from mini_ism.corpus.splits import MANIFEST, SEED, SIZES, draw_split, to_jsonl
from mini_ism.corpus.train_tokenizer import train_ranks
from mini_ism.files import sha256, write_atomically
from mini_ism.paths import data_dir
from mini_ism.strict_json import to_json
from mini_ism.tokenizer import NAME, describe, load_tokenizer


def build(folder: str | Path | None = None) -> list[Path]:
    """Write the tokenizer, the frozen splits, their manifest and the data card.

    Args:
        folder: what gets `tokenizer/` and `dialogues/`; the package's data directory by default.

    Returns:
        The files written.

    Raises:
        ModuleNotFoundError: rustbpe, which trains the tokenizer, is not installed.
        OSError: a file could not be written; it is as it was. Give the command again to write the rest.
    """
    folder = data_dir() if folder is None else Path(folder)
    ranks = train_ranks()
    splits = {name: draw_split(name) for name in SIZES}
    contents = {name: to_jsonl(dialogues) for name, dialogues in splits.items()}
    manifest = {
        "seed": SEED,
        "splits": {
            name: {"dialogues": len(splits[name]), "sha256": sha256(content)} for name, content in contents.items()
        },
    }
    about = describe(ranks, size=ranks.count(b"\n"))
    tokenizer_file = folder / "tokenizer" / f"{NAME}.tiktoken"
    files = {
        tokenizer_file: ranks,
        tokenizer_file.with_suffix(".json"): _to_json(about),
        **{folder / "dialogues" / f"{name}.jsonl": text for name, text in contents.items()},
        folder / "dialogues" / MANIFEST: _to_json(manifest),
    }
    card = folder / "dialogues" / "README.md"
    files[card] = write_card(splits, _encoding(ranks, about)).encode("utf-8")
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)


def _encoding(ranks: bytes, about: dict[str, object]) -> tiktoken.Encoding:
    """The tokenizer that these files will be, before they are anywhere for good."""
    with TemporaryDirectory() as aside:
        path = Path(aside) / f"{NAME}.tiktoken"
        path.write_bytes(ranks)
        path.with_suffix(".json").write_bytes(_to_json(about))
        return load_tokenizer(path)


def _to_json(value: object) -> bytes:
    return (to_json(value, indent=2) + "\n").encode("utf-8")

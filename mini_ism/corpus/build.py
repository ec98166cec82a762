"""Builds everything in `data/` that comes from the corpus, byte for byte the same each time."""

from __future__ import annotations

from pathlib import Path

from mini_ism.corpus.card import write_card
from mini_ism.corpus.splits import MANIFEST, SEED, SIZES, draw_split, to_jsonl
from mini_ism.corpus.train_tokenizer import train_ranks
from mini_ism.files import check_writable, sha256, write_atomically
from mini_ism.paths import data_dir
from mini_ism.tokenizer import build_tokenizer
from mini_ism.tokenizer_files import NAME, describe, json_file


def build(folder: str | Path | None = None) -> list[Path]:
    """Write the tokenizer, the frozen splits, their manifest and the data card.

    Args:
        folder: where `tokenizer/` and `dialogues/` go; the package's data directory by default.

    Returns:
        The files written.

    Raises:
        OSError: a file could not be written and is unchanged. Run the command again to write the rest.
    """
    folder = data_dir() if folder is None else Path(folder)
    tokenizer_file, card = folder / "tokenizer" / f"{NAME}.tiktoken", folder / "dialogues" / "README.md"
    for path in (tokenizer_file, card):
        check_writable(path)
    ranks = train_ranks()
    splits = {name: draw_split(name) for name in SIZES}
    contents = {name: to_jsonl(dialogues) for name, dialogues in splits.items()}
    manifest = {
        "seed": SEED,
        "splits": {
            name: {"dialogues": len(splits[name]), "sha256": sha256(content)} for name, content in contents.items()
        },
    }
    files = {
        tokenizer_file: ranks,
        tokenizer_file.with_suffix(".json"): json_file(describe(ranks)),
        **{folder / "dialogues" / f"{name}.jsonl": text for name, text in contents.items()},
        folder / "dialogues" / MANIFEST: json_file(manifest),
    }
    files[card] = write_card(splits, build_tokenizer(ranks, str(tokenizer_file))).encode("utf-8")
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)

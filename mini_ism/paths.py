"""Where the package's data lives."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The directory that holds `tokenizer/`, `dialogues/` and `checkpoints/`.

    A wheel carries it inside the package (`mini_ism/data`), a checkout next to it (`data`).

    Raises:
        FileNotFoundError: neither place has it.
    """
    candidates = (PACKAGE / "data", PACKAGE.parent / "data")
    for candidate in candidates:
        # `tokenizer` tells our directory from any other one that happens to be called "data".
        if (candidate / "tokenizer").is_dir():
            return candidate
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(
        f"mini-ism's data directory is missing: looked for {looked}. Reinstall the package, "
        "or restore `data/` in the checkout (`git checkout -- data`)."
    )

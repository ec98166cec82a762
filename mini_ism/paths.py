"""Where the package's data lives, and how its files are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The directory that holds `tokenizer/`, `dialogues/` and `checkpoints/`.

    A wheel carries it inside the package (`mini_ism/data`), a checkout beside it (`data`).

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


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds either its old bytes or all of the new ones.

    Raises:
        OSError: the disk is full or the directory is not writable; `path` is as it was, and
            nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes the file private; data is meant to be read
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

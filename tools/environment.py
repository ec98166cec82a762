"""Make a virtual environment, or keep one that will do: ``python3 tools/environment.py FOLDER [PYTHON]``.

Called by the Makefile. Any Python must be able to parse this file, or it could not be rejected as too old: nothing in
it is newer than Python 3.6.
"""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

DEFAULT = "python3"
"""The Makefile's own choice: nobody asked for it, so an environment of any Python that is new enough will do."""
ASK = "import sys, pip; print(sys.version_info[1])"


def oldest() -> int:
    """The n of the oldest Python 3.n that the package supports."""
    project = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^requires-python = ">=3\.(\d+)"$', project, re.MULTILINE)
    assert found, "pyproject.toml no longer says which Python it requires"
    return int(found.group(1))


def python_of(folder: Path) -> int:
    """The n of an environment's Python 3.n; 0 if there is none, if it does not run, or if it has no pip."""
    try:
        answer = subprocess.check_output([str(folder / "bin" / "python"), "-c", ASK], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(answer)


def provide(folder: Path, asked: str) -> int:
    """Leave an environment in ``folder``, of the Python that runs this if another than :data:`DEFAULT` was asked for.

    Returns:
        The exit status: 1 if this Python is too old, or if the environment cannot be made. Then nothing is made.
    """
    here, there, least = sys.version_info[1], python_of(folder), oldest()
    if there >= least and (asked == DEFAULT or there == here):
        return 0
    if here < least:
        print(
            f"mini-ism needs Python 3.{least} or newer, and {asked} is Python {platform.python_version()}. "
            f"Name a newer one: make PYTHON=python3.{least + 2} ...",
            file=sys.stderr,
        )
        return 1
    if folder.exists():
        reason = f"it is of Python 3.{there}" if there else "its Python does not run, or has no pip"
        print(f"Making {folder} again: {reason}.")
        shutil.rmtree(folder)
    status = subprocess.call([sys.executable, "-m", "venv", str(folder)])  # says what is missing
    if status:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(provide(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else DEFAULT))

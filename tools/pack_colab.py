"""Pack the wheel and the notebooks into one zip for Colab, or any place without the repository: ``make colab``.

Unpack it there: each notebook's set-up cell installs the wheel next to it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.jupyter_env import ROOT
from tools.run_notebooks import NOTEBOOKS

TARGET = ROOT / "dist" / "mini-ism-colab.zip"


def pack(target: Path = TARGET) -> Path:
    """Build the wheel and write the zip; returns its path.

    Raises:
        subprocess.CalledProcessError: the wheel could not be built.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (wheel, *sorted(NOTEBOOKS.glob("*.ipynb"))):
                archive.write(path, path.name)
    return target


if __name__ == "__main__":
    print(pack().relative_to(ROOT))

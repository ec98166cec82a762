"""An environment for Jupyter, isolated from the user's own set-up.

Fresh directories for configuration, data and runtime; a ``python3`` kernel that is exactly the
running interpreter; the news pop-up off; one thread, so that numbers do not depend on the cores.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict

__all__ = ["ROOT", "fresh_environment"]

ROOT = Path(__file__).resolve().parents[1]

NOTIFICATIONS_OFF = {"fetchNews": "false", "checkForUpdates": False}
DROPPED = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_TOKEN", "MPLBACKEND", "PYTHONWARNINGS")


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


@cache
def _matplotlib_directory() -> str:
    """A configuration without the user's settings, its font cache built once per process.

    Without the cache a notebook's first figure says on stderr that it builds one.
    """
    directory = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    env = {**os.environ, "MPLCONFIGDIR": directory}
    command = [sys.executable, "-c", "import matplotlib.font_manager"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    return directory


def fresh_environment(base: Path, *, offline: Path | None = None) -> dict[str, str]:
    """Make the directories under ``base`` and return a child process's environment.

    Args:
        base: an existing, empty directory.
        offline: a directory whose ``sitecustomize.py`` blocks the network, put on ``PYTHONPATH``.

    Returns:
        A copy of ``os.environ`` with Jupyter's, IPython's and matplotlib's directories replaced.
    """
    env = {name: value for name, value in os.environ.items() if name not in DROPPED}
    directories = {
        "HOME": base / "home",
        "IPYTHONDIR": base / "ipython",
        "JUPYTER_CONFIG_DIR": base / "config",
        "JUPYTER_DATA_DIR": base / "data",
        "JUPYTER_RUNTIME_DIR": base / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": base / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": base / "workspaces",
    }
    for name, directory in directories.items():
        directory.mkdir(parents=True)
        env[name] = str(directory)
    path = [str(offline)] if offline else []
    env["PYTHONPATH"] = os.pathsep.join([*path, str(ROOT)])
    env["MPLCONFIGDIR"] = _matplotlib_directory()
    env["PYTHONHASHSEED"] = "0"
    env["OMP_NUM_THREADS"] = "1"
    _write_json(base / "data" / "kernels" / "python3" / "kernel.json", get_kernel_dict())
    _write_json(
        base / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings",
        NOTIFICATIONS_OFF,
    )
    return env

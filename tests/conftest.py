"""What every test stands on: no network, no display, the same random numbers every time."""

import os
import random
import runpy
import signal
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import settings

OFFLINE = Path(__file__).parent / "offline"
runpy.run_path(str(OFFLINE / "sitecustomize.py"))  # blocks the network in this process

# nbformat's jsonschema would build 38 grammars, seconds in each process, for addresses that no notebook holds.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# Tests press Ctrl-C; whoever starts them in a shell's background has it ignored, in child processes, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

mpl.use("Agg")
settings.register_profile("mini-ism", deadline=None, print_blob=True)
settings.load_profile("mini-ism")
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """No test depends on which tests ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (libraries may still draw from the global generator)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def offline() -> Path:
    """A directory that, on ``PYTHONPATH``, blocks the network in child processes."""
    return OFFLINE

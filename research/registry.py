"""All sweeps by name: each module of this package registers its own."""

from __future__ import annotations

import importlib
import pkgutil

import research
from research.sweep import Sweep

_SWEEPS: dict[str, Sweep] = {}


def register_sweep(sweep: Sweep) -> Sweep:
    """Add a sweep to the registry, under its name.

    Raises:
        ValueError: the name is taken.
    """
    if sweep.name in _SWEEPS:
        raise ValueError(f"there is a sweep {sweep.name!r} already; choose another name")
    _SWEEPS[sweep.name] = sweep
    return sweep


def sweeps() -> list[Sweep]:
    """All sweeps, in the report's order."""
    for module in pkgutil.iter_modules(research.__path__):
        if module.name != "__main__":
            importlib.import_module(f"research.{module.name}")
    return sorted(_SWEEPS.values(), key=lambda sweep: (sweep.place, sweep.name))


def get_sweep(name: str) -> Sweep:
    """A sweep by its name.

    Raises:
        ValueError: there is no such sweep.
    """
    known = {sweep.name: sweep for sweep in sweeps()}
    if name not in known:
        raise ValueError(f"unknown sweep {name!r}; known are {', '.join(known) or 'none'}")
    return known[name]

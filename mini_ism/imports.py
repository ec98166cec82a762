"""Masks and skills from a user's own file, which is run so that it registers them."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from mini_ism.rule_checks import summary


class UnknownNameError(ValueError):
    """No mask or skill is registered under a name."""


def import_hint(error: BaseException | None) -> str:
    """What to add on the command line to an error caused by an unknown name; ``""`` for any other error."""
    while error is not None and not isinstance(error, UnknownNameError):
        error = error.__context__
    return " (--import FILE.py brings your own)" if error else ""


def import_file(path: str | Path) -> None:
    """Run a Python file as a module, so that the masks and skills it registers can be used by name.

    Args:
        path: the file. Its module is named after the file, ``my_masks`` for ``my_masks.py``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not called ``NAME.py``, or has the name of a module that is already loaded; or it cannot be
            run, and the message names the line.
    """
    path = Path(path)
    name = path.stem
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path} to import masks and skills from")
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"{path} cannot be imported: call it NAME.py, with letters, digits and _ in its name")
    if name in sys.modules:
        if getattr(sys.modules[name], "__file__", None) == str(path.resolve()):
            return  # given twice
        raise ValueError(f"{path} cannot be imported: another module is called {name!r}; give the file another name")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None  # as for every .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        hint = "; it must not end Python when it is imported" if isinstance(error, SystemExit) else ""
        raise ValueError(f"{path}{_line(error, path)}: {summary(error)}{hint}") from error


def _line(error: BaseException, path: Path) -> str:
    """Where in the file it happened, if that is known."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}" if error.filename == str(path.resolve()) else ""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.resolve())]
    return f", line {lines[-1]}" if lines else ""

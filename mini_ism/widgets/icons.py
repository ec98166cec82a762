"""Buttons that show a sign and are called by a name, by screen readers, tooltips and tests alike."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

STYLE = (
    "<style>.mi-icon.jupyter-button{font-size:0;padding:0;display:flex;align-items:center;justify-content:center}"
    ".mi-icon.jupyter-button>i{font-size:14px;margin:0}</style>"
)
"""The style that hides the buttons' names, which screen readers still find; it goes onto the page once."""


def icon_button(icon: str, name: str = "", width: str = "38px") -> w.Button:
    """A small button with a Font Awesome icon. The sign alone would be read aloud as nothing."""
    button = w.Button(description=name, tooltip=name, icon=icon, layout=w.Layout(width=width))
    button.add_class("mi-icon")
    return button


def rename(button: Any, name: str) -> None:
    """Call a button by another name."""
    button.description = button.tooltip = name

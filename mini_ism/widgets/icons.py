"""Buttons that show an icon and have a name for screen readers, tooltips and tests."""

from __future__ import annotations

from typing import Any

import ipywidgets as w

STYLE = (
    "<style>.mi-icon.jupyter-button{font-size:0;padding:0;display:flex;align-items:center;justify-content:center}"
    ".mi-icon.jupyter-button>i{font-size:14px;margin:0}</style>"
)
"""The style that hides the buttons' names, which screen readers still find; a page needs it once."""


def icon_button(icon: str, name: str = "", width: str = "38px") -> w.Button:
    """A small button with a Font Awesome icon. Screen readers would read nothing for the icon alone."""
    button = w.Button(description=name, tooltip=name, icon=icon, layout=w.Layout(width=width))
    button.add_class("mi-icon")
    return button


def rename(button: Any, name: str) -> None:
    """Give a button another name."""
    button.description = button.tooltip = name

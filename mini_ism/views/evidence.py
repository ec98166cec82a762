"""What the sweeps found, as pictures: quality against latency, as a chat grows longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini_ism.svg import LIGHT
from mini_ism.views.curves import LOOKS, OWN_LOOK
from mini_ism.views.figures import Figure

Quality = tuple[float, float, float]
"""A mean and the two ends of its interval."""


def latency_figure(
    quality: Mapping[str, Quality],
    seconds: Mapping[str, Sequence[float]],
    *,
    turns: Sequence[int] | None = None,
    y_label: str = "answers exactly right",
    share: bool = True,
) -> Figure:
    """Quality against the time to the first token, turn by turn: a mask's track goes to the right as the chat grows.

    Where a mask reads everything anew each turn, its track is long; where a cache stays right, it is short. A mask's
    quality has one height, with its interval at the last turn that is shown.

    Args:
        quality: of each mask, by its name.
        seconds: to the first token of each turn, from turn 1 on, for the same masks.
        turns: those to show, the first and the last by default.
        y_label: what quality is.
        share: quality is a share: the whole scale from 0 to 1 is drawn, so that no gap is made to look larger.

    Raises:
        ValueError: the two do not speak of the same masks, or a turn was not measured.
    """
    if not quality or quality.keys() != seconds.keys():
        raise ValueError(f"quality is of {[*quality]}, seconds are of {[*seconds]}: give both of each mask")
    longest = min(map(len, seconds.values()))
    shown = sorted({1, longest}) if turns is None else list(turns)
    if not shown or not all(1 <= turn <= longest for turn in shown):
        raise ValueError(f"turns {shown} are not all among those measured, 1 to {longest}")
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    spare = iter([number for number in range(len(LOOKS)) if number not in OWN_LOOK.values()] * len(quality))
    said = []
    for number, (name, (mean, low, high)) in enumerate(quality.items()):
        look, dashes, marker = LOOKS[OWN_LOOK[name] if name in OWN_LOOK else next(spare)]
        style = (0, tuple(map(int, dashes.split()))) if dashes else "-"
        x = [1e3 * seconds[name][turn - 1] for turn in shown]
        # Masks that fare alike lie on each other: later ones are thinner, and hollow, so that all stay visible.
        size, width = max(10 - 2.5 * number, 4), max(3 - number, 1)
        axes.plot([x[-1]] * 2, [low, high], color=LIGHT[look], linewidth=width)
        axes.plot(
            x,
            [mean] * len(x),
            color=LIGHT[look],
            linestyle=style,
            linewidth=width,
            marker=marker,
            markersize=size,
            markerfacecolor=LIGHT[look] if number == 0 else "white",
            label=name,
        )
        waits = ", ".join(f"{wait:.3g} ms in turn {turn}" for turn, wait in zip(shown, x, strict=True))
        told = f"{mean:.1%} ({low:.1%} to {high:.1%})" if share else f"{mean:.3g} ({low:.3g} to {high:.3g})"
        said.append(f"{name} {told}, first token after {waits}")
    slowest = max(quality, key=lambda name: seconds[name][shown[-1] - 1])
    for turn in shown:  # on the longest track, where the numbers have room
        place = (1e3 * seconds[slowest][turn - 1], quality[slowest][0])
        axes.annotate(f"turn {turn}", place, (0, 6), textcoords="offset points", ha="center", va="bottom", fontsize=9)
    axes.set_xlim(0, 1.08 * max(1e3 * seconds[name][turn - 1] for name in quality for turn in shown))
    axes.set_xlabel("time to first token, ms", fontsize=10)
    axes.set_ylabel(y_label, fontsize=10)
    if share:
        axes.set_ylim(0, 1.1)
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.yaxis.set_major_formatter("{x:.0%}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(quality), 4), frameon=False, fontsize=10)
    figure.alt = f"{y_label.capitalize()} against time to first token. {'; '.join(said)}."
    return figure

"""Every number that README and RESULTS.md state in a sentence, read from rows when the pages are written.

A template asks for a number by its name, ``{{first token prefix/ism}}``; nothing else in it may look like a result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from mini_ism.results import (
    Interval,
    Row,
    costs,
    mean_interval,
    mismatch,
    read_rows,
    regression,
    skills,
    smollm2,
    words,
)
from mini_ism.results.price import ARMS, Arm, runs_of
from research.registry import sweeps


class Evidence:
    """The rows of a folder, each sweep read once.

    Args:
        folder: of the rows.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, list[Row]] = {}

    def __getitem__(self, sweep: str) -> list[Row]:
        """The rows of a sweep.

        Raises:
            ValueError: there are none.
        """
        if not (found := self.so_far(sweep)):
            raise ValueError(f"there are no rows of {sweep!r} in {self.folder}; run: python -m research run {sweep}")
        return found

    def so_far(self, sweep: str) -> list[Row]:
        """The rows of a sweep; none if it has not been run yet."""
        if sweep not in self._read:
            self._read[sweep] = read_rows(self.folder / f"{sweep}.jsonl")
        return self._read[sweep]

    @cached_property
    def chains(self) -> Mapping[words.Group, list[Row]]:
        """The words sweep's runs by setting, each at its best rate."""
        return words.best(self["words"])


STATEMENTS: dict[str, Callable[[Evidence], str]] = {}
"""What a template may ask for, by name."""


def both(name: str, interval: Callable[[Evidence], Interval], show: Callable[[Interval], str]) -> None:
    """Register an interval twice: its mean under the name, and with its ends under the name and ``" interval"``."""
    STATEMENTS[name] = lambda rows: show(interval(rows)).split(" (")[0]
    STATEMENTS[f"{name} interval"] = lambda rows: show(interval(rows))


def fill(template: str, rows: Evidence, blocks: Mapping[str, Callable[[], str]]) -> str:
    """A template with its numbers.

    Args:
        template: text with ``{{name}}`` where a number, or a block, belongs.
        rows: the evidence.
        blocks: whole parts of a page, by name.

    Raises:
        ValueError: the template asks for something that nothing computes, or the rows for it are missing.
    """

    def found(match: re.Match[str]) -> str:
        name = match[1]
        if name in blocks:
            return blocks[name]()
        if name not in STATEMENTS:
            raise ValueError(f"a template asks for {name!r}; known are {', '.join([*STATEMENTS, *blocks])}")
        return STATEMENTS[name](rows)

    return re.sub(r"\{\{(.+?)\}\}", found, template)


# -- what a mask costs -----------------------------------------------------------------------------

LAST_TURN = 8


def ratio(rows: Evidence, value: Callable[[Row], Sequence[float]], a: str, b: str) -> Interval:
    """How many times as long mask ``a`` takes as mask ``b`` in the chat, repeat by repeat."""
    talk = costs.part(rows["costs"], costs.CHAT)
    return costs.ratios(talk[a], talk[b], value)


for _a, _b in (("prefix", "ism"), ("ism", "causal")):
    _first, _whole = costs.of_turn("first_token", LAST_TURN), costs.of_all_turns("seconds")
    both(f"first token {_a}/{_b}", partial(ratio, value=_first, a=_a, b=_b), Interval.text)
    both(f"whole turns {_a}/{_b}", partial(ratio, value=_whole, a=_a, b=_b), Interval.text)


def first_token_ms(rows: Evidence, mask: str) -> str:
    """Milliseconds to the first token of the last turn, the median of the repeats."""
    return f"{1e3 * costs.first_tokens(rows['costs'])[mask][LAST_TURN - 1]:.0f}"


for _mask in ("ism", "prefix"):
    STATEMENTS[f"first token {_mask} ms"] = partial(first_token_ms, mask=_mask)


def epoch_tokens(rows: Evidence) -> str:
    """Tokens of an epoch of eight-turn dialogues under prefix, as a multiple of those under ISM."""
    found = costs.part(rows["costs"], costs.EPOCH, turns=LAST_TURN)
    return f"{found['prefix'].result['tokens'] / found['ism'].result['tokens']:.2f}"


STATEMENTS["epoch tokens prefix/ism"] = epoch_tokens


# -- chains ----------------------------------------------------------------------------------------


def followed(rows: Evidence, arm: Arm) -> Interval:
    """The share of three-link chains that an arm's models follow on first questions."""
    runs = runs_of(rows.chains, arm)
    if not runs:
        raise ValueError(f"{arm.name!r} on {arm.task!r} has not been run; run: python -m research run words")
    return mean_interval(map(words.exact, runs))


for _place, _arms in ARMS.items():
    for _arm in _arms:
        both(f"{_place}: {_arm.name}", partial(followed, arm=_arm), Interval.share)


def last_link_ahead(rows: Evidence) -> Interval:
    """The same under causal, where the last link is told after the one that it continues."""
    return mean_interval(words.exact(row, "3 links, ahead") for row in rows.chains["chains, any", 2, 1, 3000, "causal"])


both("chains ahead, causal", last_link_ahead, Interval.share)


def swapped(rows: Evidence, stage: str, trained: str, mask: str) -> Interval:
    """The share of chains followed by weights under another mask than their own."""
    return mismatch.intervals(rows["mismatch-chains"], stage)[trained][mask]


both("swap causal to ism", partial(swapped, stage="zero-shot", trained="causal", mask="ism"), Interval.share)
both("swap causal to ism, tuned", partial(swapped, stage="tuned", trained="causal", mask="ism"), Interval.share)


# -- a pretrained model ----------------------------------------------------------------------------


def fine_tuned(rows: Evidence, arm: str, label: str) -> Interval:
    """The share of answers of SmolLM2 after an arm's fine-tuning, by turn."""
    return mean_interval(smollm2.exact(row, label) for row in smollm2.best(rows["smollm2"])[arm])


def contrast(rows: Evidence, text: str) -> Interval:
    """One of the differences that were written down before the first run."""
    return next(claim.difference for claim in smollm2.claims(rows["smollm2"]) if claim.text == text)


for _label in (smollm2.FIRST, smollm2.LATER):
    for _reader in smollm2.ARMS:
        both(f"pretrained {_label}: {_reader}", partial(fine_tuned, arm=_reader, label=_label), Interval.share)
for _text in map(smollm2.contrast_name, smollm2.CONTRASTS):
    both(f"pretrained {_text}", partial(contrast, text=_text), Interval.percent)
STATEMENTS["pretrained seeds"] = lambda rows: str(len(smollm2.best(rows["smollm2"])["ism"]))


# -- regression and the package's own dialogues ----------------------------------------------------


def errors(rows: Evidence, mask: str) -> Interval:
    """The error of two trained layers of linear attention, a multiple of ridge regression's."""
    return regression.mean_error(regression.best(rows["regression-linear"])[2, mask])


def longest(rows: Evidence, mask: str) -> Interval:
    """The error of four layers after nine times the steps."""
    return regression.mean_error(regression.best(rows["regression-linear-longest"])[4, mask])


def package(rows: Evidence, mask: str) -> Interval:
    """The share of all control questions answered, three layers, three times the steps."""
    return mean_interval(map(skills.exact, skills.best(rows["skills-long"])[3, mask]))


for _mask in ("causal", "ism", "prefix"):
    both(f"regression {_mask}", partial(errors, mask=_mask), Interval.text)
    both(f"regression longest {_mask}", partial(longest, mask=_mask), Interval.text)
    both(f"package {_mask}", partial(package, mask=_mask), Interval.share)


def widest(rows: Evidence) -> str:
    """How far from 0 the intervals of ISM minus causal reach, at most, over the control skills."""
    found = [
        claim.difference
        for claim in skills.claims(rows["skills-long"])
        if claim.text.startswith("3 layers") and claim.text.endswith("ism - causal")
    ]
    return f"{max(max(abs(difference.low), abs(difference.high)) for difference in found):.1%}"


def hours(rows: Evidence) -> str:
    """Hours that all runs took together."""
    return f"{math.fsum(row.seconds for sweep in sweeps() for row in rows.so_far(sweep.name)) / 3600:.0f}"


STATEMENTS["package widest"] = widest
STATEMENTS["sweep hours"] = hours

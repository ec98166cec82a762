"""The gate for numbers: what is welcome comes out as Python's own, all else is an error that names it."""

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from mini_ism import GPT, ChatSession
from mini_ism.attention_stats import read_attention
from mini_ism.checkpoints import load_model
from mini_ism.checks import check_fields, real_number, whole_number
from mini_ism.cost import plan
from mini_ism.evaluation import evaluate
from mini_ism.sources import Source
from mini_ism.trace import turn_costs
from mini_ism.training import Run, TrainingConfig
from mini_ism.views.tables import cost_table
from tests.strategies import TOKENIZER, random_model, segments_of

MODEL = random_model(vocab_size=TOKENIZER.n_vocab)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), torch.tensor(3)])
def test_whole_numbers_come_out_as_int(value: Any) -> None:
    number = whole_number("n", value, 1)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.True_, [3], math.nan, Decimal(3)])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(TypeError, match="n must be a whole number, got "):
        whole_number("n", value, 1)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), Fraction(2)])
def test_real_numbers_come_out_as_float(value: Any) -> None:
    number = real_number("x", value)
    assert (number, type(number)) == (2.0, float)


@pytest.mark.parametrize("value", ["2", None, True, np.True_, [2.0], 2j, torch.tensor(2.0), Decimal(2)])
def test_what_is_no_real_number(value: Any) -> None:
    with pytest.raises(TypeError, match="x must be a number, got "):
        real_number("x", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, Fraction(10**400)])
def test_what_is_not_finite(value: Any) -> None:
    with pytest.raises(ValueError, match="x must be finite, got "):
        real_number("x", value)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "allowed"),
    [
        ({"least": 0}, [0, 1e300], [-1e-9, math.inf], "at least 0, and finite"),
        ({"least": 0, "above": True}, [1e-300], [0, -1], "above 0, and finite"),
        ({"most": 1}, [1, -5], [1.1, -math.inf], "at most 1, and finite"),
        ({"least": 0, "most": 1}, [0, 0.5, 1], [-0.1, 1.1, math.nan], "from 0 to 1"),
        ({"least": 0, "most": 1, "above": True}, [0.1, 1], [0, 1.1], "above 0 and at most 1"),
    ],
)
def test_ranges(bounds: dict[str, Any], inside: list[float], outside: list[float], allowed: str) -> None:
    for value in inside:
        assert real_number("x", value, **bounds) == value
    for value in outside:
        with pytest.raises(ValueError, match=f"x must be {allowed}, got {value}"):
            real_number("x", value, **bounds)


@dataclass(frozen=True)
class Options:
    count: int = field(default=2, metadata={"range": {"least": 1}})
    share: float = field(default=0.5, metadata={"range": {"least": 0, "most": 1}})
    name: str = "a"
    loud: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "Options.")


def test_the_fields_of_a_dataclass() -> None:
    given: dict[str, Any] = {"count": np.int64(4), "share": 1}
    options = Options(**given)
    assert options == Options(4, 1.0)
    assert [type(options.count), type(options.share)] == [int, float]
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"count": 0}, ValueError, r"Options\.count must be at least 1, got 0"),
        ({"share": 2}, ValueError, r"Options\.share must be from 0 to 1, got 2"),
        ({"name": 3}, TypeError, r"Options\.name must be a text, got 3"),
        ({"loud": 1}, TypeError, r"Options\.loud must be a bool, got 1"),
    ]
    for given, error, message in refused:
        with pytest.raises(error, match=message):
            Options(**given)


MESSAGES: Any = [{"role": "user", "content": "Hi."}]
TINY: Any = "tiny"
TEST: Any = "test"
CHAT: Any = ChatSession(MODEL, TOKENIZER)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: GPT(TINY), r"config must be GPTConfig, got 'tiny'; .* take GPTConfig\.preset\(\"tiny\"\)"),
        (lambda: plan("ism", segments_of([("user", 5)]), TINY), "config must be GPTConfig, got 'tiny'"),
        (lambda: evaluate(TINY, TOKENIZER, []), r"model must be GPT, got 'tiny'; load_model"),
        (lambda: evaluate(MODEL, TOKENIZER, CHAT), r"dialogues must be Iterable, .*; give a list, \[dialogue\] for a"),
        (lambda: Run(TINY, "run"), "config must be TrainingConfig, got 'tiny'; as in Run"),
        (lambda: Run(TrainingConfig(), "run", source=CHAT), "source must be Source, .*; as in source=Source"),
        (lambda: Source(tokenizer=TINY), "tokenizer must be Encoding, got 'tiny'; load_tokenizer"),
        (lambda: Source(model=TINY), "model must be GPT, got 'tiny'; load_model"),
        (lambda: Source(TEST), "each of dialogues must be Dialogue, got 't'; read_dialogues"),
        (lambda: load_model(CHAT), "name must be a folder, or one of causal"),
        (lambda: evaluate(MODEL, TOKENIZER, TEST), r"each dialogue must be Dialogue, got 't'; take some of"),
        (lambda: evaluate(MODEL, TOKENIZER, [MESSAGES]), "each dialogue must be Dialogue, got "),
        (lambda: cost_table(turn_costs(plan("ism", segments_of([("user", 2)])))), "hold Event objects, got TurnCost"),  # type: ignore[arg-type]
        (lambda: turn_costs(CHAT), "trace must be .*; a session has it as session.trace"),
        (lambda: read_attention(MODEL, MESSAGES), "dialogue must be EncodedDialogue, .*; encode_dialogue"),
    ],
)
def test_what_is_easily_mistaken_for_something_else(use: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        use()

"""The shipped rules against a loop-written reference, how a rule is named and parsed, and rules of one's own."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor
from torch.nn.attention.flex_attention import create_mask

from mini_ism import ChatSession, Mask, Segments, get_mask, load_tokenizer, register_mask
from mini_ism.expressions import LONGEST
from mini_ism.masks import MASKS
from tests.strategies import (
    EXAMPLE,
    PRESETS,
    Layout,
    Tree,
    build,
    layouts,
    random_model,
    random_tokens,
    segments_of,
    segments_of_rows,
    slow_dense,
)


@pytest.fixture
def registry() -> Iterator[None]:
    """Rules registered in a test are gone after it."""
    before = dict(MASKS)
    yield
    MASKS.clear()
    MASKS.update(before)


# -- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", PRESETS, ids=str)
def test_presets_against_two_loops(tree: Tree) -> None:
    @settings(max_examples=15)
    @given(layouts())
    def check(layout: Layout) -> None:
        expected = slow_dense(tree, layout)
        assume(all(map(any, expected)))
        dense = build(tree).dense(segments_of(layout))
        assert dense.dtype == torch.bool
        assert dense.tolist() == expected

    if tree[0] == "same_query":  # answers see nothing: drawn with queries only
        assert build(tree).dense(segments_of([("user", 3)])).all()
    else:
        check()


def test_isms_sink_keeps_the_first_token_of_every_packed_dialogue_causal() -> None:
    s = segments_of_rows([[[("user", 3)], [("user", 3)]]], 6)
    dense = get_mask("ism", sink=True).dense(s)[0]
    assert dense[0].tolist() == [True] + [False] * 5
    assert dense[3].tolist() == [False, False, False, True, False, False]


def test_one_dialogue_by_hand() -> None:
    """The three rules on 'user user | answer answer | user user'."""
    s = segments_of([("user", 2), ("assistant", 2), ("user", 2)])

    def picture(name: str) -> list[str]:
        return ["".join(".#"[allowed] for allowed in row) for row in get_mask(name).dense(s).tolist()]

    assert picture("causal") == ["#.....", "##....", "###...", "####..", "#####.", "######"]
    assert picture("ism") == ["##....", "##....", "###...", "####..", "######", "######"]
    assert picture("prefix") == ["######"] * 6
    assert picture("mas") == picture("ism") == picture("causal | same_query")


# -- algebra, options, parsing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("causal | same_query", "ism"),
        ("  (causal)|(same_query) ", "ism"),
        ("causal & sliding_window(2) | same_query", "(causal & sliding_window(n=2)) | same_query"),
        ("~causal | causal", "bidirectional"),
        ("ism(sink=True)", "ism(True)"),
        ("ism(True, system_as_query=False)", "ism(system_as_query=False, sink=True)"),
    ],
)
def test_expressions(text: str, same: str) -> None:
    s = segments_of(EXAMPLE)
    assert torch.equal(get_mask(text).dense(s), get_mask(same).dense(s))


def test_options() -> None:
    ism = get_mask("ism")
    assert ism.options == {"sink": False, "system_as_query": True}
    sunk = get_mask("ism", sink=True)
    assert sunk.name == "ism(sink=True)"
    assert sunk.options == {"sink": True, "system_as_query": True}
    assert sunk.with_options(system_as_query=False).name == "ism(sink=True, system_as_query=False)"
    assert get_mask("sliding_window").with_options(n=3).options == {"n": 3}
    assert ism.with_options() is ism
    with pytest.raises(
        ValueError, match=r"option 'n' of mask 'sliding_window.*must be from .*, got 18446744073709551616"
    ):
        get_mask("sliding_window", n=2**64)  # compared with which PyTorch raises, or says that nothing is below it
    assert get_mask("causal").options == {}
    assert get_mask(ism) is ism
    assert repr(get_mask("causal & sliding_window(4)")) == "Mask(causal & sliding_window(n=4))"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("cuasal", ValueError, "unknown mask 'cuasal'; did you mean 'causal'\\? known masks: .*causal.*ism.*prefix"),
        ("ism | nobody", ValueError, "unknown mask 'nobody'; known masks"),
        ("", ValueError, "cannot read mask ''; write names or comparisons .*joined by"),
        ("causal &", ValueError, "cannot read mask 'causal &'"),
        ("causal and ism", ValueError, "cannot read 'causal and ism' in mask"),
        ("causal + ism", ValueError, r"cannot read 'causal \+ ism' in mask"),
        ("__import__('os')", ValueError, "unknown mask '__import__'"),
        ("causal.rule", ValueError, "cannot read 'causal.rule'"),
        ("ism(**{})", ValueError, "cannot read 'ism"),
        ("sliding_window(n=width)", ValueError, "cannot read 'width' in mask"),
        ("sliding_window(width)", ValueError, "cannot read 'width' in mask"),
        (
            "sliding_window('3')",
            TypeError,
            "option 'n' of mask 'sliding_window' must be a whole number, got '3'",
        ),
        ("sliding_window(True)", TypeError, "option 'n' .* must be a whole number, got True"),
        ("sliding_window(1, 2)", TypeError, r"no such option: \[2\]; its options are {'n': 32}"),
        ("ism(snik=True)", TypeError, r"mask 'ism' has no such option: \['snik'\].*'sink': False"),
        ("sliding_window(8, n=16)", TypeError, "option 'n' of mask 'sliding_window' is given twice: 8 and 16"),
        ("ism(sink=True, sink=True)", TypeError, "option 'sink' of mask 'ism' is given twice: True and True"),
        ("causal(3)", TypeError, r"no such option: \[3\]; its options are none"),
        (3, TypeError, "by its name, an expression or a Mask object, got 3"),
        (None, TypeError, "got None"),
    ],
)
def test_what_cannot_be_a_mask(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        get_mask(spec)


def faded(q: Tensor, kv: Tensor, s: Segments, *, far: float = 2.0, near: int = 1) -> Tensor:
    return (kv <= q) & ((q - kv) <= far * near)


def test_numbers_of_any_kind_are_options_and_come_back_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MASKS, "faded", Mask(faded, "faded"))
    three: Any = np.int64(3)
    mask = get_mask("faded", far=1, near=three)
    assert mask.name == "faded(far=1.0, near=3)"
    assert get_mask("faded(far=1)").options == {"far": 1.0, "near": 1}
    assert get_mask(mask.name).options == mask.options
    for far in (math.inf, math.nan):
        with pytest.raises(ValueError, match="option 'far' of mask 'faded' must be finite"):
            get_mask("faded", far=far)
    with pytest.raises(ValueError, match="option 'far' of mask 'faded' must be finite, got inf"):
        get_mask("faded(far=1e999)")


def test_unknown_option_by_keyword() -> None:
    with pytest.raises(TypeError, match="mask 'ism' has no such option: \\['window'\\]"):
        get_mask("ism", window=3)
    with pytest.raises(TypeError, match=r"'sink' is given twice, in 'ism\(sink=True\)' and beside it"):
        get_mask("ism(sink=True)", sink=False)


# -- rules of one's own -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("registry")
def test_a_taken_name_is_refused_and_says_where_it_is_taken() -> None:
    def ism(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        return kv <= q

    with pytest.raises(ValueError, match=r"the name 'ism' is taken by mini_ism\.masks, line \d+; give the function"):
        register_mask(ism)
    assert not torch.equal(get_mask("ism").dense(segments_of(EXAMPLE)), get_mask("causal").dense(segments_of(EXAMPLE)))


@pytest.mark.usefixtures("registry")
def test_a_cell_that_runs_again_replaces_its_own_rule() -> None:
    for reach in (2, 4):

        def mine(q: Tensor, kv: Tensor, s: Segments, *, n: int = reach) -> Tensor:
            return (kv <= q) & (q - kv < n)

        register_mask(mine)
        assert get_mask("mine").options == {"n": reach}


@pytest.mark.usefixtures("registry")
def test_an_option_need_not_be_keyword_only() -> None:
    @register_mask
    def window(q: Tensor, kv: Tensor, s: Segments, n: int = 8, *, least: int = 0) -> Tensor:
        return ((q - kv).abs() < n) & (q - kv >= least)

    s = segments_of(EXAMPLE)
    mask = get_mask("window(3)")
    assert mask.name == "window(n=3)"
    assert torch.equal(mask.dense(s), get_mask("causal & sliding_window(3)").dense(s))
    assert get_mask(mask.name, least=-2).options == get_mask("window(3, -2)").options == {"n": 3, "least": -2}


def test_a_long_composition_comes_back_by_its_name() -> None:
    mask = get_mask("causal")
    for number in range(70):
        mask = mask | get_mask("inside", n=number)
    assert torch.equal(get_mask(mask.name).dense(segments_of(EXAMPLE)), mask.dense(segments_of(EXAMPLE)))
    text = "(q<1)"
    for _ in range(10):
        text = f"({text}|{text})"
    assert len(text) <= LONGEST  # but as "(q < 1) | (q < 1)" it is longer
    with pytest.raises(ValueError, match=f"may have {LONGEST} letters"):
        get_mask(text)


@pytest.mark.usefixtures("registry")
def test_a_lambda_has_no_name_to_register() -> None:
    with pytest.raises(ValueError, match=r"found by its function's name, and <function .*<lambda>.* has none"):
        register_mask(lambda q, kv, s: kv <= q)


@pytest.mark.usefixtures("registry")
def test_a_registered_rule_works_wherever_a_preset_does() -> None:
    @register_mask
    def every_other(q: Tensor, kv: Tensor, s: Segments, *, step: int = 2) -> Tensor:
        """Backwards, and only every other position."""
        return (kv <= q) & ((q - kv) % step == 0)

    assert every_other.__doc__ == "Backwards, and only every other position."
    s = segments_of(EXAMPLE)
    composed = get_mask("every_other(step=3) | same_query")
    assert composed.name == "every_other(step=3) | same_query"
    for i, row in enumerate(get_mask("every_other").dense(s).tolist()):
        assert row == [j <= i and (i - j) % 2 == 0 for j in range(len(s))]

    tokenizer = load_tokenizer()
    model = random_model(vocab_size=tokenizer.n_vocab)
    tokens = random_tokens(len(s))
    assert model(tokens, composed.dense(s)).shape == (1, len(s), tokenizer.n_vocab)
    reply = ChatSession(model, tokenizer, mask="every_other | same_query").send("Hi.", max_new_tokens=2)
    assert len(reply.logits) >= 1
    with pytest.raises(ValueError, match="known masks: bidirectional, causal, every_other,"):
        get_mask("every_one")


def test_same_document_on_a_batch_without_documents() -> None:
    ids = torch.tensor([[0, 0, 1], [0, 1, 1]])
    segments = Segments(ids, ids == 0)
    mod = get_mask("same_document").mask_mod(segments)
    assert bool(create_mask(mod, 2, 1, 3, 3, device="cpu").all())

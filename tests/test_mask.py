"""Masks as objects: three forms that agree with a loop-written reference, an algebra, and clear errors."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention.flex_attention import create_mask, flex_attention

from mini_ism import ChatSession, Mask, Segments, get_mask, load_tokenizer, register_mask
from mini_ism.masks import MASKS
from tests.strategies import (
    EXAMPLE,
    NONEMPTY,
    Layout,
    Row,
    Tree,
    any_mask,
    build,
    layouts,
    packed,
    random_model,
    random_tokens,
    safe_trees,
    segments_of,
    segments_of_rows,
    slow_dense,
    slow_dense_row,
    tables,
    trees,
)

SIZE = 40
TOKENIZER = load_tokenizer()


# -- forms ------------------------------------------------------------------------------------------------------------


@given(layouts(), safe_trees(), st.data())
def test_compositions_against_two_loops(layout: Layout, tree: Tree, data: st.DataObject) -> None:
    mask, s = build(tree), segments_of(layout)
    expected = slow_dense(tree, layout)
    assert mask.dense(s).tolist() == expected
    a, b = sorted(data.draw(st.tuples(st.integers(0, len(s)), st.integers(0, len(s)))))
    assert mask.dense(s, rows=slice(a, b)).tolist() == expected[a:b]
    assert get_mask(mask.name).dense(s).tolist() == expected  # the name gives the mask back
    assert get_mask(get_mask(mask.name).name).dense(s).tolist() == expected


@settings(max_examples=60)
@given(packed(), safe_trees())
def test_packed_and_padded_rows_against_two_loops(drawn: tuple[list[Row], int], tree: Tree) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    dense = build(tree).dense(s)
    assert dense.shape == (len(rows), length, length)
    assert bool(dense.any(-1).all())
    for b, row in enumerate(rows):
        expected = slow_dense_row(tree, row, length)
        for i in range(length):
            for j in range(length):
                if expected[i][j] is not None:
                    assert bool(dense[b, i, j]) == expected[i][j], (b, i, j)


@settings(max_examples=40)
@given(packed(), any_mask(SIZE))
def test_packed_documents_never_see_each_other(drawn: tuple[list[Row], int], mask: Mask) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    assert s.document is not None
    strangers = s.document[:, :, None] != s.document[:, None, :]
    assert not bool((mask.dense(s) & strangers).any())
    assert bool(get_mask("bidirectional").dense(s)[~strangers].all())


@pytest.mark.slow
@settings(max_examples=15)
@given(packed(), any_mask(SIZE))
def test_flex_forms_of_batches(drawn: tuple[list[Row], int], mask: Mask) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    flex = create_mask(mask.mask_mod(s), len(rows), None, length, length, device="cpu")
    assert torch.equal(flex[:, 0], mask.dense(s))


def test_padding_sees_itself_even_where_the_rule_forbids_it() -> None:
    """No softmax over nothing, in either form."""
    s, mask = segments_of_rows([[[("user", 2)]], [[("user", 4)]]], 4), get_mask("same_query")
    dense = mask.dense(s)
    assert dense[0].tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]
    flex = create_mask(mask.mask_mod(s), 2, None, 4, 4, device="cpu")
    assert torch.equal(flex[:, 0], dense)


@settings(max_examples=40)
@given(layouts(), any_mask(SIZE))
def test_flex_forms_of_one_dialogue(layout: Layout, mask: Mask) -> None:
    s = segments_of(layout)
    dense, size = mask.dense(s), len(s)
    flex = create_mask(mask.mask_mod(s), None, None, size, size, device="cpu")
    assert torch.equal(flex[0, 0], dense)

    block = 4
    blocks = mask.block_mask(s, block_size=block).to_dense()[0, 0].bool()
    padded = F.pad(dense, (0, -size % block, 0, -size % block))
    count = padded.shape[0] // block
    occupied = padded.view(count, block, count, block).any(3).any(1)
    assert torch.equal(blocks[:count, :count], occupied)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@settings(max_examples=5)
@given(packed(), any_mask(SIZE))
def test_flex_attention_gives_what_sdpa_gives(drawn: tuple[list[Row], int], mask: Mask) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    generator = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(len(rows), 2, length, 8, generator=generator) for _ in range(3))
    flex = flex_attention(q, k, v, block_mask=mask.block_mask(s, block_size=16))
    sdpa = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.dense(s)[:, None])
    torch.testing.assert_close(flex, sdpa, atol=1e-5, rtol=0)


@settings(max_examples=30)
@given(packed(), any_mask(SIZE), st.sampled_from([0, 2]))
def test_a_packed_forward_is_each_dialogues_own_forward(
    drawn: tuple[list[Row], int], mask: Mask, token_shift: int
) -> None:
    rows, length = drawn
    if mask.name == "table":  # knows absolute positions, which packing moves
        mask = get_mask("ism")
    model = random_model(token_shift=token_shift)
    s = segments_of_rows(rows, length)
    tokens = torch.cat([random_tokens(length, seed) for seed in range(len(rows))])
    with torch.inference_mode():
        together = model(tokens, mask.dense(s))
        assert not bool(together.isnan().any())
        for b, row in enumerate(rows):
            start = 0
            for layout in row:
                alone = segments_of(layout)
                span = slice(start, start + len(alone))
                own = model(tokens[b : b + 1, span], mask.dense(alone))
                torch.testing.assert_close(together[b, span], own[0], atol=2e-5, rtol=0)
                start += len(alone)


# -- algebra, options, parsing ----------------------------------------------------------------------------------------


@given(trees(), trees(), layouts())
def test_laws_of_the_algebra(one: Tree, two: Tree, layout: Layout) -> None:
    a, b, s = build(one), build(two), segments_of(layout)
    own = get_mask("sliding_window(1)")  # keeps every row from being empty

    def matrix(mask: Mask) -> list[list[bool]]:
        return (mask | own).dense(s).tolist()

    assert matrix(~(a & b)) == matrix(~a | ~b)
    assert matrix(~~a) == matrix(a)
    assert matrix(a & b) == matrix(b & a)
    assert matrix(a & (a | b)) == matrix(a)
    for mask in (a, b, ~a, a & b, a | b):
        assert matrix(get_mask(mask.name)) == matrix(mask), mask.name


def test_masks_compose_with_masks_and_functions_only() -> None:
    for compose in (lambda m: m & 3, lambda m: m | "ism", lambda m: 3 & m, lambda m: "ism" | m):
        with pytest.raises(TypeError, match="unsupported operand"):
            compose(get_mask("ism"))
    with pytest.raises(TypeError, match=r"a mask's rule must be a function .*, got 'ism'"):
        Mask("ism")  # type: ignore[arg-type]


def near(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    return q - kv < 2


def test_plain_functions_compose_from_either_side() -> None:
    s, causal = segments_of(EXAMPLE), get_mask("causal")
    window = (causal & get_mask("sliding_window(2)")).dense(s)
    for mask in (causal & near, near & causal, ~(~causal | ~Mask(near)), causal & (lambda q, kv, s: q - kv < 2)):
        assert torch.equal(mask.dense(s), window)
    assert torch.equal((causal | near).dense(s), (near | causal).dense(s))
    assert ((causal & near).name, (near | causal).name) == ("causal & near", "near | causal")


def test_a_mask_can_be_called_as_its_rule() -> None:
    s, here = segments_of(EXAMPLE), torch.arange(12)
    assert torch.equal(get_mask("ism")(here[:, None], here[None, :], s), get_mask("ism").dense(s))
    assert torch.equal(get_mask("~causal")(here[:, None], here[None, :], s), ~get_mask("causal").dense(s))


# -- rules of one's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda q, kv, s: (kv <= q).float(), TypeError, "returned torch.float32, not a bool tensor"),
        (lambda q, kv, s: q - kv, TypeError, "returned torch.int64, not a bool tensor"),
        (lambda q, kv, s: True, TypeError, "returned bool, not a bool tensor"),
        (lambda q, kv, s: None, TypeError, "returned NoneType"),
        (lambda q, kv, s: kv <= q and s.is_query[q], TypeError, "asks whether a whole tensor is true; .* with & | ~"),
        (lambda q, kv, s: kv <= q | kv < 3, TypeError, r"each comparison in brackets: \(kv <= q\) & \(q - kv < 8\)"),
        (lambda q, kv, s: not kv > q, TypeError, "asks whether a whole tensor is true; .*, not with and, or, not"),
        (
            lambda q, kv, s: torch.ones(3, 5, dtype=torch.bool),
            ValueError,
            r"shape \(3, 5\), which does not broadcast to \(12, 12\)",
        ),
        (lambda q, kv, s: kv <= {"y": 1}["x"], ValueError, r"'mine' raised KeyError: 'x' \(test_mask\.py, line \d+\)"),
        (lambda q, kv, s: kv <= s.ends, ValueError, "'mine' raised AttributeError: 'Segments' object has no"),
        (lambda q, kv, s: kv <= q + torch.ones(5), ValueError, "'mine' raised RuntimeError: The size"),
        (lambda q, kv, s: kv <= s.id[q + 999], ValueError, "'mine' raised IndexError"),
        (lambda q, kv, s: kv < q, ValueError, "leaves position 0 with nothing to attend to; let each"),
        (lambda q, kv, s: (kv <= q) & (q != 7), ValueError, "'mine' leaves position 7 with nothing"),
    ],
)  # fmt: skip
def test_bad_rules(rule: object, error: type[Exception], message: str) -> None:
    mask = Mask(rule, "mine")  # type: ignore[arg-type]
    for form in (mask.dense, mask.block_mask):
        with pytest.raises(error, match=message):
            form(segments_of(EXAMPLE))
    chat = ChatSession(random_model(vocab_size=TOKENIZER.n_vocab), TOKENIZER, mask)
    with pytest.raises(error, match=message.replace("12, 12", r"\d+, \d+")):
        chat.send("a b c d e f g h i j k l")
    assert (len(chat.tokens), chat.cached, chat.messages) == (0, 0, [])


def test_the_row_that_sees_nothing_is_named_by_its_position_in_the_dialogue() -> None:
    mask = Mask(lambda q, kv, s: (kv <= q) & (q != 7))
    with pytest.raises(ValueError, match="leaves position 7 "):
        mask.dense(segments_of(EXAMPLE), rows=slice(6, 9))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda b, h, q, kv: kv <= q, r"takes \(b, h, q, kv\); four arguments are FlexAttention's .*drop b and h"),
        (lambda q, kv: kv <= q, r"takes three arguments \(q, kv, s\), but this one takes \(q, kv\)"),
        (lambda q, kv, s, *, n: kv <= q, r"takes \(q, kv, s, \*, n\); whatever comes .* a default, as in n=8$"),
        (lambda q, kv, s, n: kv <= q, r"takes \(q, kv, s, n\); whatever comes .* a default, as in n=8$"),
        (lambda q, kv, s, n=None: kv <= q, r"option 'n' of a mask's rule has the default None"),
    ],
)
def test_a_rule_of_other_arguments_is_refused_at_once(rule: Any, message: str) -> None:
    with pytest.raises(TypeError, match="a mask's name must be str, got 3"):
        Mask(near, 3)  # type: ignore[arg-type]
    for make in (Mask, register_mask, lambda wrong: get_mask("causal") & wrong):
        with pytest.raises((TypeError, ValueError), match=message if make is not register_mask else "function's name"):
            make(rule)


@given(tables(size=SIZE), layouts())
def test_a_table_is_its_own_dense_form(mask: Mask, layout: Layout) -> None:
    s = segments_of(layout)
    here = torch.arange(len(s))
    assert torch.equal(mask.dense(s), mask.rule(here[:, None], here[None, :], s))


@pytest.mark.parametrize("tree", NONEMPTY, ids=str)
def test_an_empty_dialogue_has_an_empty_mask(tree: Tree) -> None:
    assert build(tree).dense(segments_of([("user", 1)])[:0]).shape == (0, 0)


def test_rows_are_a_slice_and_flex_forms_need_a_token() -> None:
    mask, s = get_mask("ism"), segments_of(EXAMPLE)
    with pytest.raises(TypeError, match=r"rows must be slice, got 3; row 3 alone is slice\(3, 4\)"):
        mask.dense(s, 3)  # type: ignore[arg-type]
    nobody = Segments(torch.zeros(0, 4, dtype=torch.long), torch.zeros(0, 4, dtype=torch.bool))
    assert mask.dense(nobody, slice(1, 3)).shape == (0, 2, 4)
    deep = Segments(torch.zeros(2, 2, 4, dtype=torch.long), torch.zeros(2, 2, 4, dtype=torch.bool))
    for wrong in (s[:0], nobody, deep):
        with pytest.raises(ValueError, match=r"FlexAttention takes segments \[T\] or \[B, T\] that hold a token, got"):
            mask.block_mask(wrong)
    with pytest.raises(TypeError, match="expected the Segments of a dialogue, got NoneType"):
        mask.mask_mod(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["~causal", "inside(9)", *MASKS])
def test_every_mask_draws_itself_even_where_rows_see_nothing(name: str) -> None:
    data = get_mask(name)._repr_mimebundle_()[0]
    assert "<img" in str(data["text/html"])
    assert data["text/plain"].endswith(" see nothing") == (name in ("inside(9)", "inside", "same_query"))


def test_a_mask_whose_rule_fails_says_so_where_it_is_displayed() -> None:
    data = Mask(lambda q, kv, s: kv <= s)._repr_mimebundle_()[0]
    assert data["text/plain"].startswith("Mask(custom): the rule of mask 'custom' raised TypeError")


def test_a_mask_draws_itself() -> None:
    data = get_mask("ism")._repr_mimebundle_()[0]
    assert data["text/plain"] == "Mask(ism) over 21 tokens: 254 pairs are visible, 23 look ahead"
    assert str(data["text/html"]).count("ism: row = reader") == 1
    assert get_mask("causal & sliding_window(3)")._repr_mimebundle_()[0] != data

"""Masks as rules: three forms that agree with a loop-written reference, an algebra, a parser, and clear errors."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention.flex_attention import create_mask, flex_attention

from mini_ism import ChatSession, Mask, Segments, get_mask, load_tokenizer, register_mask
from mini_ism.masks import MASKS
from tests.strategies import (
    NONEMPTY,
    PRESETS,
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
EXAMPLE: Layout = [("system", 2), ("user", 3), ("assistant", 2), ("user", 3), ("assistant", 2)]


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


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@settings(max_examples=5)
@given(packed(), any_mask(SIZE))
def test_flex_attention_gives_what_sdpa_gives(drawn: tuple[list[Row], int], mask: Mask) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    chance = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(len(rows), 2, length, 8, generator=chance) for _ in range(3))
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
    assert get_mask("causal").options == {}
    assert get_mask(ism) is ism
    assert repr(get_mask("causal & sliding_window(4)")) == "Mask(causal & sliding_window(n=4))"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("cuasal", ValueError, "unknown mask 'cuasal'; known masks: .*causal.*ism.*prefix"),
        ("ism | nobody", ValueError, "unknown mask 'nobody'; known masks"),
        ("", ValueError, "cannot read mask ''; write names joined by"),
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
            "option 'n' of mask 'sliding_window' must be int, got '3'",
        ),
        ("sliding_window(True)", TypeError, "option 'n' .* must be int, got True"),
        ("sliding_window(1, 2)", TypeError, r"no such option: \[2\]; its options are {'n': 32}"),
        ("ism(snik=True)", TypeError, r"mask 'ism' has no such option: \['snik'\].*'sink': False"),
        ("causal(3)", TypeError, r"no such option: \[3\]; its options are none"),
        (3, TypeError, "by its name, an expression or a Mask object, got 3"),
        (None, TypeError, "got None"),
    ],
)
def test_what_cannot_be_a_mask(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        get_mask(spec)


def test_unknown_option_by_keyword() -> None:
    with pytest.raises(TypeError, match="mask 'ism' has no such option: \\['window'\\]"):
        get_mask("ism", window=3)


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
        (lambda q, kv, s: not kv > q, TypeError, "asks whether a whole tensor is true; .*, not with and, or, not"),
        (
            lambda q, kv, s: torch.ones(3, 5, dtype=torch.bool),
            ValueError,
            r"shape \(3, 5\), which does not broadcast to \(12, 12\)",
        ),
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
        (lambda q, kv, s, *, n: kv <= q, r"but this one takes \(q, kv, s, \*, n\)"),
    ],
)
def test_a_rule_of_other_arguments_is_refused_at_once(rule: Any, message: str) -> None:
    for make in (Mask, register_mask, lambda wrong: get_mask("causal") & wrong):
        with pytest.raises((TypeError, ValueError), match=message if make is not register_mask else "function's name"):
            make(rule)


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


@given(tables(size=SIZE), layouts())
def test_a_table_is_its_own_dense_form(mask: Mask, layout: Layout) -> None:
    s = segments_of(layout)
    here = torch.arange(len(s))
    assert torch.equal(mask.dense(s), mask.rule(here[:, None], here[None, :], s))


@pytest.mark.parametrize("tree", NONEMPTY, ids=str)
def test_an_empty_dialogue_has_an_empty_mask(tree: Tree) -> None:
    assert build(tree).dense(segments_of([("user", 1)])[:0]).shape == (0, 0)


def test_a_mask_draws_itself() -> None:
    html = get_mask("ism")._repr_html_()
    assert "<svg" in html
    assert "ism: row = reader" in html
    assert get_mask("causal & sliding_window(3)")._repr_html_() != html


def test_same_document_on_a_batch_without_documents() -> None:
    ids = torch.tensor([[0, 0, 1], [0, 1, 1]])
    segments = Segments(ids, ids == 0)
    mod = get_mask("same_document").mask_mod(segments)
    assert bool(create_mask(mod, 2, 1, 3, 3, device="cpu").all())

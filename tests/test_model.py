"""The GPT: cached equals uncached for any rule, no path around the mask, honest maps, and bookkeeping that raises."""

import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import GPT, GPTConfig, Mask, get_mask
from mini_ism.functional import apply_rotary, rotary_table
from mini_ism.model import Block
from mini_ism.reuse import borders
from mini_ism.speed import autocast
from tests.strategies import (
    SHAPES,
    Layout,
    any_mask,
    build,
    close,
    layouts,
    random_model,
    random_tokens,
    segments_of,
    segments_of_rows,
)

SIZE = 40
MODELS = [random_model(seed, **shape) for seed, shape in enumerate(SHAPES)]
models = st.sampled_from(MODELS)
CAUSAL_SHIFT = random_model(5)


# -- cached equals uncached -------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(models, layouts(), any_mask(SIZE), st.data())
def test_chunks_over_a_cache_equal_one_forward(model: GPT, layout: Layout, mask: Mask, data: st.DataObject) -> None:
    """For any rule, cut wherever the rule allows a cut."""
    s = segments_of(layout)
    tokens, dense = random_tokens(len(s), seed=len(s)), mask.dense(s)
    cuts = [cut for cut, fine in enumerate(borders(dense).tolist()) if fine]
    inner = [cut for cut in cuts[1:-1] if data.draw(st.booleans())]
    cuts = [0, *inner, len(s)]
    cache = model.new_cache(capacity=len(s))
    with torch.inference_mode():
        whole = model(tokens, dense)
        parts = [model(tokens[:, a:b], dense[a:b, :b], cache) for a, b in pairwise(cuts)]
    close(torch.cat(parts, dim=1), whole)
    assert cache.length == len(s)
    assert torch.equal(cache.tokens, tokens)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_causal_in_chunks_of_any_size(shape: dict[str, int], step: int) -> None:
    """``mask=None`` is causal, over a warm cache as well (neither top-left nor bottom-right)."""
    model, tokens = random_model(**shape), random_tokens(11)
    cache = model.new_cache()
    parts = [model(tokens[:, at : at + step], None, cache) for at in range(0, 11, step)]
    close(torch.cat(parts, dim=1), model(tokens))
    close(model(tokens), model(tokens, torch.ones(11, 11, dtype=torch.bool).tril()))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_feeding_an_ism_query_token_by_token_is_wrong(shape: dict[str, int]) -> None:
    """Each position would be computed without the rest of its query: that is why the engine refuses it."""
    model = random_model(**shape)
    s = segments_of([("user", 3), ("assistant", 2), ("user", 4)])
    tokens, dense = random_tokens(9), get_mask("ism").dense(s)
    cache = model.new_cache()
    model(tokens[:, :5], dense[:5, :5], cache)
    parts = [model(tokens[:, at : at + 1], dense[at : at + 1, : at + 1], cache) for at in range(5, 9)]
    gap = (torch.cat(parts, dim=1) - model(tokens, dense)[:, 5:])[0].abs().amax(-1)
    # The last one's own row is whole, so that one layer gets it right; all the others never are.
    wrong = gap if model.config.layers > 1 else gap[:3]
    assert bool((wrong > 1e-3).all())


def test_a_batch_equals_its_rows_with_a_mask_each() -> None:
    model = random_model()
    s = segments_of([("user", 4), ("assistant", 3)])
    tokens = torch.cat([random_tokens(7, 1), random_tokens(7, 2)])
    masks = torch.stack([get_mask("ism").dense(s), get_mask("causal").dense(s)])
    together = model(tokens, masks)
    for row in range(2):
        close(together[row], model(tokens[row : row + 1], masks[row])[0])


def test_rotary_positions() -> None:
    """A query and a key turned by their positions know their distance, and nothing else of where they are."""
    q, k = torch.randn(1, 1, 1, 8).expand(1, 1, 6, 8), torch.randn(1, 1, 1, 8).expand(1, 1, 6, 8)

    def products(first: int) -> Tensor:
        at = torch.arange(first, first + 6)
        table = rotary_table(at, head_dim=8, theta=100.0)
        return (apply_rotary(q, table) @ apply_rotary(k, table).transpose(-2, -1))[0, 0]

    torch.testing.assert_close(products(0), products(50), atol=1e-4, rtol=0)
    distances = {gap: products(0).diagonal(gap) for gap in range(-5, 6)}
    for same in distances.values():
        torch.testing.assert_close(same, same[:1].expand_as(same), atol=1e-4, rtol=0)
    values = torch.stack([same[0] for same in distances.values()])
    assert len(values.mul(100).round().unique()) == len(values)
    torch.testing.assert_close(apply_rotary(q, rotary_table(torch.zeros(6), head_dim=8)), q)


@pytest.mark.parametrize("rotary_dim", [0, 2, 4, 6, 8])
def test_rotary_against_complex_numbers(rotary_dim: int) -> None:
    """Each pair of channels is a complex number that is multiplied by e^(i * angle); the rest stays."""
    x, positions, half = torch.randn(1, 2, 5, 8), torch.arange(3, 8), rotary_dim // 2
    turned = apply_rotary(x, rotary_table(positions, 8, rotary_dim, theta=50.0))
    for channel in range(half):
        angle = positions * 50.0 ** (-channel / half)
        pair = torch.complex(x[..., channel], x[..., channel + half]) * torch.polar(torch.ones(5), angle)
        torch.testing.assert_close(turned[..., channel], pair.real, atol=1e-5, rtol=0)
        torch.testing.assert_close(turned[..., channel + half], pair.imag, atol=1e-5, rtol=0)
    assert torch.equal(turned[..., rotary_dim:], x[..., rotary_dim:])


# -- no path around the mask ------------------------------------------------------------------------------------------


def reach(model: GPT, dense: Tensor) -> Tensor:
    """Who can hear of whom: a hop (or none) a layer, and before them one to the shifted neighbours."""
    size = len(dense)
    own = torch.eye(size, dtype=torch.bool)
    heard = own.clone()
    for back in range(1, model.config.token_shift + 1):
        heard |= dense & torch.ones(size, size).tril(-back).triu(-back).bool()
    for _ in range(model.config.layers):
        heard = ((dense | own).float() @ heard.float()) > 0
    return heard


def influence(model: GPT, tokens: Tensor, dense: Tensor | None) -> Tensor:
    """``[T, T]``: the size of the gradient of output i with respect to the embedding of input j."""
    embedded: list[Tensor] = []
    hook = model.embed.register_forward_hook(lambda *call: embedded.append(call[-1]))
    logits = model(tokens, dense)
    hook.remove()
    weights = torch.randn(logits.shape[-1], generator=torch.Generator().manual_seed(1))
    rows = [
        torch.autograd.grad((logits[0, i] * weights).sum(), embedded[0], retain_graph=True)[0]
        for i in range(tokens.shape[1])
    ]
    return torch.stack([row[0].abs().sum(-1) for row in rows])


@settings(max_examples=40)
@given(models, layouts(max_messages=4, max_length=3), any_mask(SIZE))
def test_no_path_around_the_mask(model: GPT, layout: Layout, mask: Mask) -> None:
    """Exactly zero wherever the rule forbids it through all layers, and something wherever it allows it."""
    s = segments_of(layout)
    dense = mask.dense(s)
    felt = influence(model, random_tokens(len(s), seed=7), dense) > 0
    hops = dense | torch.eye(len(s), dtype=torch.bool)
    allowed = hops.clone()
    for _ in range(model.config.layers - 1 + (model.config.token_shift > 0)):
        allowed = (allowed.float() @ hops.float()) > 0
    assert not bool((felt & ~allowed).any())  # the mask's own power, as the rule's reader would say it
    assert torch.equal(felt, reach(model, dense))  # and exactly the paths there are


def test_token_shift_alone_opens_no_path() -> None:
    """A neighbour that the rule hides is not heard of, although its embedding is next door."""
    model = random_model(layers=1, token_shift=2)
    alone = get_mask("sliding_window(1)").dense(segments_of([("user", 6)]))
    felt = influence(model, random_tokens(6), alone)
    assert torch.equal(felt > 0, torch.eye(6, dtype=torch.bool))


def test_the_causal_default_sees_no_future() -> None:
    felt = influence(CAUSAL_SHIFT, random_tokens(8), None)
    assert torch.equal(felt > 0, torch.ones(8, 8).tril().bool())


# -- attention maps ---------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(models, layouts(), any_mask(SIZE))
def test_maps_are_those_of_the_real_forward(model: GPT, layout: Layout, mask: Mask) -> None:
    s = segments_of(layout)
    tokens, dense = random_tokens(len(s)), mask.dense(s)
    with torch.inference_mode():
        layers: list[Tensor] = []
        logits = model(tokens, dense, output_attentions=layers)
        close(logits, model(tokens, dense))
    c, maps = model.config, torch.stack(layers)
    assert maps.shape == (c.layers, 1, c.heads, len(s), len(s))
    assert torch.equal(maps > 0, dense.expand_as(maps))
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))


def test_maps_over_a_warm_cache() -> None:
    model, tokens = random_model(), random_tokens(9)
    s = segments_of([("user", 3), ("assistant", 2), ("user", 4)])
    dense = get_mask("ism").dense(s)
    whole: list[Tensor] = []
    model(tokens, dense, output_attentions=whole)
    cache = model.new_cache()
    model(tokens[:, :5], dense[:5, :5], cache)
    maps: list[Tensor] = []
    model(tokens[:, 5:], dense[5:], cache, output_attentions=maps)
    torch.testing.assert_close(torch.stack(maps), torch.stack(whole)[..., 5:, :], atol=1e-5, rtol=0)


def test_logits_at_some_positions_only() -> None:
    model = random_model()
    tokens = torch.cat([random_tokens(6, 1), random_tokens(6, 2)])
    at = torch.rand(2, 6) < 0.5
    torch.testing.assert_close(model(tokens, logits_at=at), model(tokens)[at], atol=1e-6, rtol=0)


# -- bookkeeping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "cached", "message"),
    [
        ((4, 5), 0, r"shape \(4, 5\), but 4 new tokens after 0 cached ones need \[4, 4\]"),
        ((4, 4), 3, r"shape \(4, 4\), but 4 new tokens after 3 cached ones need \[4, 7\]"),
        ((7, 7), 3, r"a row for each new token, a column for each token so far"),
        ((1, 7), 3, r"need \[4, 7\]"),
        ((2, 4, 7), 3, r"need \[4, 7\] or \[1, 4, 7\]"),
        ((7,), 3, r"shape \(7,\)"),
        ((1, 1, 4, 7), 3, r"shape \(1, 1, 4, 7\)"),
    ],
)
def test_a_mask_that_does_not_match_chunk_and_cache(shape: tuple[int, ...], cached: int, message: str) -> None:
    model = random_model()
    cache = model.new_cache()
    if cached:
        model(random_tokens(cached), None, cache)
    with pytest.raises(ValueError, match=message):
        model(random_tokens(4), torch.ones(shape, dtype=torch.bool), cache)
    assert cache.length == cached


def test_a_mask_must_be_bool() -> None:
    with pytest.raises(TypeError, match=r"a bool tensor \(True = may attend\), got torch.float32"):
        random_model()(random_tokens(3), torch.zeros(3, 3))


@pytest.mark.parametrize("mask", ["ism", get_mask("ism"), [[True]]], ids=str)
def test_a_mask_is_given_as_its_matrix(mask: Any) -> None:
    with pytest.raises(
        TypeError, match=r"bool tensor .*; of a rule take its matrix: get_mask\(.*\)\.dense\(segments\)"
    ):
        random_model()(random_tokens(1), mask)


@pytest.mark.parametrize(("rows", "named"), [((3,), "[1]"), ((2, 3), "[1, 1]")])
def test_a_row_that_sees_nothing_is_refused_before_anything_is_computed(rows: tuple[int, ...], named: str) -> None:
    """The softmax over nothing is no number, in the maps at least, and would spread from there."""
    model = random_model()
    cache = model.new_cache(batch=rows[0] if len(rows) == 2 else 1)
    mask = torch.ones(*rows, 3, dtype=torch.bool)
    mask[..., -2, :] = torch.arange(rows[0])[:, None] < 1 if len(rows) == 2 else False
    with pytest.raises(ValueError, match=rf"row {re.escape(named)} of the mask sees nothing; let it see itself"):
        model(random_tokens(3).expand(cache.tokens.shape[0], 3), mask, cache)
    assert cache.length == 0


def test_the_context_is_the_limit() -> None:
    model = random_model(context=6)
    cache = model.new_cache(capacity=20)
    model(random_tokens(4), None, cache)
    with pytest.raises(ValueError, match="4 cached \\+ 3 new positions exceed the model's context of 6"):
        model(random_tokens(3), None, cache)
    assert cache.length == 4
    model(random_tokens(2), None, cache)
    with pytest.raises(ValueError, match="0 cached \\+ 7 new"):
        model(random_tokens(7))


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        (torch.tensor([[3, 40]]), ValueError, "token 40 is out of range: the model knows 0 to 39; use its own"),
        (torch.tensor([[-1, 3]]), ValueError, "token -1 is out of range"),
        (torch.tensor([[3, 99]]), ValueError, r"token 99 .*GPTConfig\(vocab_size=tokenizer.n_vocab\)"),
        (torch.tensor([1, 2]), ValueError, r"\[B, T\] .*got \(2,\); add a batch dimension"),
        (torch.zeros(1, 0, dtype=torch.long), ValueError, r"with T >= 1, got \(1, 0\)"),
        (torch.tensor([[1.0]]), TypeError, "must be a LongTensor .*got torch.float32"),
        (torch.tensor([[1]], dtype=torch.int32), TypeError, "must be a LongTensor .*got torch.int32"),
        ([[1, 2]], TypeError, r"must be a LongTensor .*got \[\[1, 2\]\]"),
    ],
)  # fmt: skip
def test_bad_tokens(tokens: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        random_model()(tokens)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"logits_at": torch.ones(3) > 0}, ValueError, r"shape \(3,\), but the tokens are \[2, 3\]"),
        ({"logits_at": torch.ones(2, 4) > 0}, ValueError, r"shape \(2, 4\), but the tokens are \[2, 3\]"),
        ({"logits_at": torch.ones(2, 3)}, TypeError, r"must be a BoolTensor .*got torch.float32"),
        ({"output_scores": []}, ValueError, "output_scores need output_attentions, too"),
        (
            {"cache": random_model().new_cache(1)},
            ValueError,
            r"holds 1 rows, .* are \[2, 3\]; use model.new_cache\(2\)",
        ),
    ],
)
def test_what_cannot_be_handed_out_is_refused(asked: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        random_model()(random_tokens(3).expand(2, 3), **asked)


def test_a_block_mask_keeps_no_attentions() -> None:
    blocks = get_mask("ism").block_mask(segments_of([("user", 3)]), block_size=4)
    with pytest.raises(ValueError, match=r"a block mask keeps no attentions; give the dense mask"):
        random_model()(random_tokens(3), blocks, output_attentions=[])


# -- shape and cost ---------------------------------------------------------------------------------------------------


def test_how_a_fresh_model_starts() -> None:
    """MLPs add nothing; attention looks for what resembles the reader; no logit is far from the others."""
    model = GPT(GPTConfig(vocab_size=200, width=64, heads=2, token_shift=6))
    for block in model.blocks:
        assert isinstance(block, Block)
        q, k, v = block.attention.qkv.chunk(3)
        assert torch.equal(q, k)
        assert torch.equal(block.attention.out, v.T / 2)
        assert not bool(block.mlp(torch.randn(3, 64)).any())
    *near, fifth, sixth = model.shift.weight.detach().chunk(6, dim=1)
    assert not torch.cat([fifth, sixth]).any()
    for project in near:
        rest = project - torch.eye(64) / 2  # half of itself, and noise of 0.7 / sqrt(width) besides
        assert abs(rest.diagonal().mean()) < 0.05
        assert float(rest.std()) == pytest.approx(0.7 / 8, rel=0.1)
    logits = model(random_tokens(20, vocab_size=200))
    assert 0.3 < logits.std() < 3


def test_same_seed_same_model() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(GPT(GPTConfig(width=16, heads=2)).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_it_costs(shape: dict[str, int]) -> None:
    """Counted by hand on the model's own maps: two operations a weight and token, four a pair and channel."""
    model = random_model(**shape)
    maps = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
    c = model.config
    assert model.flops(7, 0, logits=0) == 2 * 7 * maps
    assert model.flops(0, 10, logits=0) == 4 * 10 * c.width * c.layers
    assert model.flops(0, 0, logits=3) == 2 * 3 * c.width * c.vocab_size
    cache = model.new_cache()
    model(random_tokens(5), None, cache)
    assert model.kv_bytes(5) == cache.nbytes == 5 * 2 * c.layers * c.width * 4
    assert cache.capacity == c.context


@pytest.mark.parametrize("tree", [("ism", {}), ("prefix", {})], ids=str)
def test_a_trained_mask_can_be_swapped(tree: tuple[str, dict[str, Any]]) -> None:
    """The rule is an argument: the same weights give other logits under another rule."""
    model, s = random_model(), segments_of([("user", 4), ("assistant", 2), ("user", 3)])
    tokens = random_tokens(9)
    assert bool(((model(tokens, build(tree).dense(s)) - model(tokens)).abs() > 1e-3).any())


# -- block masks ------------------------------------------------------------------------------------------------------


def compare_with_dense(device: str, *, gradients: bool) -> None:
    """The same logits, and the same gradients, packed rows and padding included."""
    dialogues: list[list[Layout]] = [
        [[("system", 2), ("user", 9), ("assistant", 7)], [("user", 5), ("assistant", 4)]],
        [[("user", 11), ("assistant", 6), ("user", 3)]],
    ]
    s = segments_of_rows(dialogues, 30).to(device)
    assert s.document is not None
    tokens = torch.cat([random_tokens(30, 1), random_tokens(30, 2)]).to(device)
    for name in ("causal", "ism", "prefix", "ism & sliding_window(5)"):
        model = random_model(heads=1, width=32, token_shift=2).to(device).requires_grad_(gradients)
        mask, found = get_mask(name), []
        for form in (mask.dense(s), mask.block_mask(s, block_size=16 if device == "cpu" else 128)):
            model.zero_grad()
            logits = model(tokens, form)
            if gradients:
                logits[s.document >= 0].square().mean().backward()
            found.append((logits.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
        (dense, dense_gradients), (blocks, block_gradients) = found
        torch.testing.assert_close(blocks, dense, atol=1e-4, rtol=0)
        for one, other in zip(dense_gradients, block_gradients, strict=True):
            torch.testing.assert_close(other, one, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_block_mask_reads_as_the_dense_mask_does() -> None:
    compare_with_dense("cpu", gradients=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="FlexAttention has gradients on a GPU only")
def test_a_block_mask_trains_as_the_dense_mask_does() -> None:
    compare_with_dense("cuda", gradients=True)


def test_a_block_mask_gets_one_dtype_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation computes in float32 there, and FlexAttention of PyTorch 2.6 refuses a mixture."""
    kinds: list[torch.dtype] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, *, block_mask: object) -> Tensor:
        kinds.extend(each.dtype for each in (q, k, v))
        return v

    monkeypatch.setattr("mini_ism.functional._flex_attention", lambda *, compiled: attend)
    s = segments_of([("user", 4), ("assistant", 3)])
    for precision in ("bf16", "float32"):
        with autocast(precision, torch.device("cpu")):
            random_model(layers=1)(random_tokens(7), get_mask("ism").block_mask(s, block_size=4))
    assert kinds == [torch.bfloat16] * 3 + [torch.float32] * 3


def test_a_block_mask_serves_whole_sequences() -> None:
    model, s = random_model(), segments_of([("user", 4), ("assistant", 3)])
    blocks = get_mask("ism").block_mask(s, block_size=4)
    cache = model.new_cache()
    model(random_tokens(2), None, cache)
    for tokens, held in ((random_tokens(6), None), (random_tokens(7), cache)):
        with pytest.raises(ValueError, match=r"\(7, 7\) positions, but the tokens are .* without a cache"):
            model(tokens, blocks, held)

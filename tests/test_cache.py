"""The KV cache on its own: room, length, truncation, copies, and what happens when a forward breaks off."""

from typing import Any

import pytest
import torch

from mini_ism import KVCache, get_mask
from tests.strategies import random_model, random_tokens, segments_of


def chunk(size: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 2, size, 4)


def test_it_grows_and_hands_back_all_it_holds() -> None:
    cache = KVCache(layers=2, heads=2, head_width=4, capacity=5)
    first, second = (chunk(3), chunk(3)), (chunk(2), chunk(2))
    for layer in (0, 1):
        cache.write(layer, *first)
    assert cache.length == 0  # not before advance()
    cache.advance(torch.tensor([[7, 8, 9]]))
    k, v = cache.write(0, *second)
    assert torch.equal(k, torch.cat([first[0], second[0]], dim=2))
    assert torch.equal(v, torch.cat([first[1], second[1]], dim=2))
    cache.advance(torch.tensor([[1, 2]]))
    assert cache.length == cache.capacity == 5
    assert cache.tokens.tolist() == [[7, 8, 9, 1, 2]]
    assert cache.nbytes == 2 * 2 * 2 * 5 * 4 * 4  # keys and values, layers, heads, positions, width, float32


def test_a_full_cache_says_so_and_stays_as_it_was() -> None:
    model = random_model()
    cache = model.new_cache(capacity=6)
    model(random_tokens(4), None, cache)
    held, bytes_before = cache.keys[:, :, :, :4].clone(), cache.nbytes
    with pytest.raises(ValueError, match="4 of 6 positions are filled and 3 more do not fit; truncate"):
        model(random_tokens(3), None, cache)
    assert (cache.length, cache.nbytes) == (4, bytes_before)
    assert torch.equal(cache.keys[:, :, :, :4], held)
    assert cache.tokens[0, :4].tolist() == random_tokens(4)[0].tolist()
    model(random_tokens(2), None, cache)  # what fits still fits
    assert cache.length == 6


def test_a_forward_that_breaks_off_leaves_the_cache_as_it_was() -> None:
    model = random_model(layers=3)
    tokens = random_tokens(9)
    whole = model(tokens)
    cache = model.new_cache()
    model(tokens[:, :4], None, cache)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    hook = model.blocks[2].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(tokens[:, 4:7], None, cache)
    hook.remove()
    assert cache.length == 4
    torch.testing.assert_close(model(tokens[:, 4:], None, cache), whole[:, 4:], atol=1e-5, rtol=0)


def test_truncate_and_clone() -> None:
    model, tokens = random_model(), random_tokens(8)
    cache = model.new_cache()
    model(tokens, None, cache)
    twin = cache.clone()
    twin.truncate(5)
    assert (twin.length, cache.length) == (5, 8)
    other = torch.cat([tokens[:, :5], random_tokens(3, seed=9)], dim=1)
    kept = cache.keys.clone()
    logits = model(other[:, 5:], None, twin)
    torch.testing.assert_close(logits, model(other)[:, 5:], atol=1e-5, rtol=0)
    assert torch.equal(cache.keys, kept)  # the copy is independent
    assert torch.equal(cache.tokens[:, :8], tokens)
    for length in (-1, 9):
        with pytest.raises(ValueError, match=f"positions that the cache keeps must be from 0 to 8, got {length}"):
            cache.truncate(length)


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="the cache's capacity must be at least 1, got 0"):
        KVCache(2, 2, 4, capacity=0)


@pytest.mark.parametrize(("batch", "rows"), [(1, 2), (2, 1), (3, 2)])
def test_a_cache_of_another_batch_is_refused(batch: int, rows: int) -> None:
    model = random_model()
    cache = model.new_cache(batch=batch)
    with pytest.raises(ValueError, match=f"the cache holds {batch} row.*{rows}"):
        model(random_tokens(4).expand(rows, 4), None, cache)
    assert cache.length == 0


def test_a_cache_of_another_model_is_refused() -> None:
    cache = random_model(heads=4).new_cache()
    with pytest.raises(ValueError, match=r"4 heads of width 4.*2 heads of width 8.*new_cache"):
        random_model(heads=2)(random_tokens(4), None, cache)


def test_a_batch_with_a_cache_equals_its_rows() -> None:
    model = random_model()
    s = segments_of([("user", 3), ("assistant", 2), ("user", 4)])
    tokens = torch.cat([random_tokens(9, seed) for seed in (1, 2, 3)])
    dense = get_mask("ism").dense(s)
    cache = model.new_cache(batch=3)
    parts = [model(tokens[:, a:b], dense[a:b, :b], cache) for a, b in ((0, 3), (3, 5), (5, 9))]
    for row in range(3):
        own = model(tokens[row : row + 1], dense)
        torch.testing.assert_close(torch.cat(parts, dim=1)[row], own[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "size"), [("batch", -1), ("batch", 2.0), ("capacity", 0), ("capacity", "8"), ("heads", None)]
)
def test_sizes_that_no_cache_has(name: str, size: Any) -> None:
    sizes: dict[str, Any] = {"layers": 1, "heads": 2, "head_width": 4, name: size}
    with pytest.raises((TypeError, ValueError), match=f"the cache's {name} must be"):
        KVCache(**sizes)

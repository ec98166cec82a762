"""Conversations over a warm cache equal one full forward, and prefix with the same reuse does not."""

import functools
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock, patch

import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor

from mini_ism import ChatSession, get_mask, turn_costs
from mini_ism.chat import ContextFullError
from mini_ism.hf import HFChatSession, HFModel, TemplateError, UnfitAttentionError, attention_mask
from mini_ism.sampling import Sampler
from mini_ism.widgets import CachePlayer
from tests.hf.templates import MESSAGES, tokenizer
from tests.hf.tiny import ARCHITECTURES, tiny

CLOSE = 2e-5
SAID = ("Where is the key?", "Who am I?", "And the box?")
RULES = ("causal", "ism", "causal & (sliding_window(9) | sink(2))", "ism(sink=True, system_as_query=False)")
ANSWER = [70, 80, 90]


@pytest.fixture(autouse=True)
def _flex_uncompiled() -> Iterator[None]:
    """The same arithmetic without the minutes that compiling takes."""
    from torch.nn.attention.flex_attention import flex_attention
    from transformers.integrations.flex_attention import WrappedFlexAttention

    def plain(self: object) -> Any:
        return flex_attention

    with patch.object(WrappedFlexAttention, "__call__", plain):
        yield


def chat(name: str = "llama", attention: str = "sdpa", mask: str | None = None, **options: Any) -> HFChatSession:
    given = {} if mask is None else {"mask": mask}
    return HFChatSession(tiny(name, attention), tokenizer("chatml"), context=200, **given, **options)  # type: ignore[arg-type]


def say(session: ChatSession, text: str) -> Tensor:
    """A turn whose answer is given; the scores each of its tokens was picked from, ``[N + 1, V]``."""
    with patch.object(Sampler, "pick", side_effect=[*ANSWER, session.style.end_ids[0]]):
        return session.send(text).logits


@torch.inference_mode()
def full(session: ChatSession, stop: int | None = None) -> Tensor:
    """One uncached forward under the rule, ``[T, V]``."""
    inner: Any = session.model.inner
    dense = session.mask.dense(session.segments[: stop or len(session.tokens)])
    tokens = session.tokens[None, : len(dense)]
    logits: Tensor = inner(tokens, attention_mask=attention_mask(inner, dense, 0), use_cache=False).logits[0]
    return logits.float()


def worst(session: ChatSession) -> float:
    """Over three turns, how far the scores over the cache are from those of a full forward."""
    found = 0.0
    for text in SAID:
        scores = say(session, text)
        stop = len(session.tokens) - 1
        wanted = full(session, stop)[-len(scores) :]
        found = max(found, float((scores - wanted).abs().max()))
    return found


OLD = Version(transformers.__version__) < Version("5.24")
PAIRS = [
    pytest.param(name, attention, marks=[pytest.mark.slow] if attention == "flex_attention" else [])
    for name in ARCHITECTURES
    for attention in ("sdpa", "eager", "flex_attention")
    if (name, attention) != ("gpt2", "flex_attention")  # which transformers does not offer
    and not (OLD and (name, attention) == ("gpt2", "eager"))  # whose own triangle lay over any mask
]


@pytest.mark.parametrize(("name", "attention"), PAIRS)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile", "ignore::DeprecationWarning")
def test_three_turns_over_a_cache_equal_one_full_forward(name: str, attention: str) -> None:
    session = chat(name, attention)
    assert worst(session) <= CLOSE
    costs = turn_costs(session.trace)
    assert [cost.discarded for cost in costs] == [0, 0, 0]
    assert [cost.reused for cost in costs[1:]] == [cost.reused + cost.computed for cost in costs[:-1]]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("mask", RULES)
def test_any_rule_is_exact(name: str, mask: str) -> None:
    assert worst(chat(name, mask=mask, system="You are a helpful assistant.")) <= CLOSE


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_prefix_is_exact_because_it_keeps_nothing_and_wrong_with_the_reuse_of_ism(name: str) -> None:
    session = chat(name, mask="prefix")
    assert worst(session) <= CLOSE
    assert [cost.reused for cost in turn_costs(session.trace)] == [0, 0, 0]
    inner, tokens, segments = session.model.inner, session.tokens[None], session.segments
    cut = int((segments.id < 4).sum())  # two turns
    model = HFModel(inner, 200)
    cache = model.new_cache()
    rule = get_mask("prefix")
    with torch.inference_mode():
        model.compute(tokens[:, :cut], rule.dense(segments[:cut]), cache)
        kept = model.compute(tokens[:, cut:], rule.dense(segments)[cut:], cache)[0]
    assert float((kept - full(session)[cut:]).abs().max()) > 0.1


@pytest.mark.parametrize("name", ["mistral", "phi3", "gemma3"])
@pytest.mark.parametrize("window", [13, 30, 60])  # longer than any trial of the model, shorter than the chat
def test_windows_hold_on_every_turn_where_all_layers_slide(name: str, window: int) -> None:
    slides: dict[str, Any] = {"layer_types": ["sliding_attention"] * 2} if name == "gemma3" else {}
    model = tiny(name, sliding_window=window, **slides)
    session = HFChatSession(model, tokenizer("chatml"), context=200)
    assert not session.model.mask_free
    assert worst(session) <= CLOSE
    assert len(session.tokens) > window
    assert HFModel(model, window).mask_free != OLD  # nothing lies outside of it


def test_a_query_is_read_ahead_and_token_0_is_not() -> None:
    session = chat()
    say(session, SAID[0])
    rows = session.mask.dense(session.segments)
    asked = int(session.segments.is_query.sum())
    assert rows[1:asked, :asked].all()
    assert rows[0].tolist() == [True] + [False] * (len(rows) - 1)
    broken = chat(mask="ism")
    say(broken, SAID[0])
    assert broken.mask.dense(broken.segments)[0, :asked].all()


@pytest.mark.skipif(OLD, reason="earlier versions ignore is_causal=False")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_without_a_mask_only_where_it_is_honoured(name: str) -> None:
    assert HFModel(tiny(name)).mask_free == (name not in ("gemma3", "mistral"))  # whose layers slide
    assert not HFModel(tiny(name, "eager")).mask_free


def test_a_version_that_ignores_is_causal_is_found_out() -> None:
    model = tiny("llama")
    forward = model.forward

    @functools.wraps(forward)
    def deaf(*args: Any, is_causal: bool | None = None, **options: Any) -> Any:
        return forward(*args, **options)

    model.forward = deaf
    session = HFChatSession(model, tokenizer("chatml"), context=200)
    assert not session.model.mask_free
    assert worst(session) <= CLOSE


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_no_turn_waits_for_a_trial(attention: str) -> None:
    """What the model honours is found out beforehand: a turn reads what its trace says, and nothing else."""
    session = chat(attention=attention)
    read: list[int] = []
    session.model.inner.register_forward_pre_hook(lambda _, args: read.append(args[0].shape[1]))
    for text in SAID:
        say(session, text)
    computed = [event.stop - event.start for event in session.trace if event.phase in ("prefill", "decode")]
    assert read == computed


def test_an_attention_that_cannot_be_compiled_is_told_in_a_line() -> None:
    model = tiny("llama")
    model.forward = Mock(side_effect=RuntimeError("C++ compile error\nand a thousand lines"))
    with pytest.raises(
        UnfitAttentionError,
        match=r"'sdpa' cannot be computed here with .*: C\+\+ compile error; load it",
    ):
        HFModel(model)


def test_it_streams_and_goes_on_after_an_interrupt() -> None:
    session = chat()
    with patch.object(Sampler, "pick", side_effect=ANSWER * 9):
        stream: Any = session.stream(SAID[0], max_new_tokens=9)
        next(stream), next(stream)
        stream.close()
    assert session.reply is not None
    assert session.reply.stopped == "interrupted"
    assert session.reply.tokens.tolist() == ANSWER[:2]
    assert worst(session) <= CLOSE


def test_it_stops_where_it_repeats_itself_and_tells_of_each_token() -> None:
    session, heard = chat(), []
    with patch.object(Sampler, "pick", side_effect=[*ANSWER, *[70] * 9]):
        reply = session.send(SAID[0], stop_loops=True, on_token=lambda *token: heard.append(token))
    assert reply.stopped == "loop"
    assert reply.tokens.tolist() == [*ANSWER, 70, 70, 70, 70] == [token for token, _ in heard]
    torch.testing.assert_close(torch.stack([scores for _, scores in heard]), reply.logits)
    assert worst(session) <= CLOSE


def test_a_forward_that_breaks_off_leaves_nothing_behind() -> None:
    session = chat("hrm_text")
    say(session, SAID[0])
    layer = session.model.inner.model.H_module.layers[0]
    with patch.object(layer, "forward", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        session.send(SAID[1])
    assert session.turn == 1
    assert worst(session) <= CLOSE


def test_truncate_and_fork() -> None:
    session = chat("gemma3")  # whose sliding layers would forget
    for text in SAID:
        say(session, text)
    twin = session.fork()
    twin.truncate(1)
    assert worst(twin) <= CLOSE
    assert session.turn == 3
    assert worst(session) <= CLOSE


def test_a_saved_conversation_goes_on() -> None:
    session = chat("mistral", messages=MESSAGES, system="You are a helpful assistant.")
    assert worst(session) <= CLOSE
    assert session.messages[1:5] == MESSAGES[:4]
    assert turn_costs(session.trace)[0].turn == 4


def test_sampling_is_repeatable_and_writes_no_marker() -> None:
    session = chat()
    options: dict[str, Any] = {"max_new_tokens": 12, "temperature": 5.0, "seed": 3}
    first = session.send(SAID[0], **options)
    session.truncate(0)
    again = session.send(SAID[0], **options)
    assert first.tokens.tolist() == again.tokens.tolist()
    assert not set(first.tokens.tolist()) & set(session.style.forbidden_ids)
    assert first.text == session.style.decode(first.tokens.tolist()).removeprefix(" ")


def test_an_update_of_the_weights_empties_the_cache() -> None:
    session = chat()
    say(session, SAID[0])
    with torch.no_grad():
        session.model.inner.model.embed_tokens.weight.mul_(1.5)
    assert worst(session) <= CLOSE


def test_costs() -> None:
    model = HFModel(tiny("llama"))
    each = 2 * (32 * 64 + 2 * 32 * 32 + 64 * 32 + 3 * 32 * 48)
    assert model.flops(5, 10, logits=1) == 2 * (5 * each + 10 * 2 * 2 * 4 * 16 + 32 * 512)
    assert model.kv_bytes(7) == 7 * 2 * 2 * 2 * 16 * 4
    recurrent = HFModel(tiny("hrm_text"))
    assert recurrent.kv_bytes(1) == 6 * 2 * 4 * 16 * 4  # a slot for each step of the recurrence


def test_chunks_end_at_borders_or_are_refused() -> None:
    causal = chat(mask="causal", chunk=5)
    assert worst(causal) <= CLOSE
    with pytest.raises(ValueError, match="a chunk of 5 would end before position 5"):
        chat(chunk=5).send(SAID[0])


def test_bad_input() -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        HFChatSession(tiny("llama"), tokenizer(None))
    flash = tiny("llama")
    flash.config._attn_implementation = "flash_attention_2"
    with pytest.raises(UnfitAttentionError, match="flash_attention_2"):
        HFChatSession(flash, tokenizer("chatml"))
    with pytest.raises(ValueError, match="room for 256 positions"):
        HFChatSession(tiny("llama"), tokenizer("chatml"), context=999)
    with pytest.raises(ValueError, match="the tokenizer has 325 tokens, the model only 300"):
        HFChatSession(tiny("llama", vocab_size=300), tokenizer("chatml"))
    with pytest.raises(TemplateError, match="leave out the system prompt"):
        HFChatSession(tiny("llama"), tokenizer("mistral"), system="You are.")
    with pytest.raises(ValueError, match="context belongs to the HFModel"):
        HFChatSession(HFModel(tiny("llama")), tokenizer("chatml"), context=99)
    for context, reason in ((0, "at least 1, got 0"), (True, "a whole number"), (2.5, "a whole number"), ("64", "64")):
        with pytest.raises((TypeError, ValueError), match=f"context must be .*{reason}"):
            HFModel(tiny("llama"), context)  # type: ignore[arg-type]
    with pytest.raises(ContextFullError, match="needs"):
        chat().send("Where? " * 300)


def test_a_model_that_keeps_no_keys_is_refused() -> None:
    import transformers as t

    config = t.MambaConfig(vocab_size=512, hidden_size=16, num_hidden_layers=1, state_size=4)
    with pytest.raises(
        UnfitAttentionError, match=r"MambaForCausalLM has no attention heads|layers of kind .linear_attention."
    ):
        HFChatSession(t.MambaForCausalLM(config), tokenizer("chatml"), context=64)


@pytest.mark.parametrize(("rows", "reason"), [(0, "it hides what it shows"), (1, "it reads what it hides")])
def test_an_attention_that_goes_its_own_way_is_found_out(rows: int, reason: str) -> None:
    model = tiny("llama")
    forward = model.forward
    own = torch.ones(24, 24, dtype=torch.bool).tril(rows)[None, None]

    def stubborn(*args: Any, attention_mask: Any = None, **options: Any) -> Any:
        return forward(*args, attention_mask=own, **options)

    model.forward = stubborn
    with pytest.raises(
        UnfitAttentionError, match=f"LlamaForCausalLM under attention 'sdpa' does not follow a mask: {reason}"
    ):
        HFModel(model)


def test_the_cache_player_plays_it_and_says_that_it_cannot_break_it() -> None:
    session = chat(mask="prefix")
    for text in SAID[:2]:
        say(session, text)
    player = CachePlayer(sessions={"hf": session}, broken=True)
    player.step.value = player.step.max
    assert len(player.dialogue) == len(session.tokens)
    assert "‹im_start›" in player.dialogue.labels
    assert "no answers to compare for hf: its model is not of this package" in player.error

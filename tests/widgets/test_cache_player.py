"""The cache player: what it keeps, what goes stale when it is broken, and how it says so."""

import re
from typing import Any

import pytest

from mini_ism import ChatSession, encode_dialogue, get_mask, load_tokenizer
from mini_ism.checkpoints import load_model
from mini_ism.dialogue import encode_message
from mini_ism.trace import turn_costs
from mini_ism.widgets import CachePlayer
from mini_ism.widgets.cache_player import AT_ONCE
from mini_ism.widgets.panel import EXAMPLE
from tests.small_models import Models, small, three_models

TOKENIZER = load_tokenizer()
SCRIPT = "<script>alert(1)</script>"
LENGTHS = [len(encode_message(message, TOKENIZER)) for message in EXAMPLE]
STARTS = [sum(LENGTHS[:n]) for n in range(len(LENGTHS) + 1)]


def test_the_player_counts_what_the_rules_say() -> None:
    player = CachePlayer()
    assert player.status.startswith("Nothing has been read yet")
    player.step.value = len(player.film) - 1
    old, total = STARTS[2], STARTS[4]
    assert f"causal {total}, prefix {total + old}, ism {total}" in player.status
    second = next(n for n, frame in enumerate(player.film) if frame.turn == 2)
    player.step.value = second
    assert f"causal keeps {old}; prefix throws away {old}; ism keeps {old}." in player.status
    player.back.click()
    assert player.step.value == second - 1
    for _ in range(3):
        player.forward.click()
    assert player.step.value == second + 2
    player.step.value = 0
    player.back.click()
    assert player.step.value == 0


def test_the_same_turn_has_the_same_bytes_in_a_chat_and_in_a_player() -> None:
    model, tokenizer = load_model("ism")
    chat = ChatSession(model, tokenizer, "ism")
    chat.send(EXAMPLE[0]["content"])
    played, planned = CachePlayer(sessions={"ism": chat}), CachePlayer(chat.messages, masks=["ism"])
    for player in (played, planned):
        player.step.value = player.step.max
        assert f">{turn_costs(chat.trace)[0].kv_bytes / 1e3:.1f}<" in player.bars.value
    own, _ = small("ism")
    player = CachePlayer(chat.messages, masks=["ism"], models={"ism": (own, tokenizer)})
    player.step.value = player.step.max
    assert f">{own.kv_bytes(len(chat.segments)) / 1e3:.1f}<" in player.bars.value


def test_picking_a_moment_goes_there() -> None:
    player = CachePlayer()
    for surface in (player.picture, player.scrubber):
        surface.event = {"pick": "step", "step": 5, "count": 1}
        assert player.step.value == 5
        assert 'data-step="5" aria-current="true"' in player.scrubber.value
        for wrong in ({"pick": "step", "step": len(player.film)}, {"pick": "step", "step": "x"}, {"pick": "step"}):
            surface.event = {**wrong, "count": 2}
            assert player.step.value == 5
        player.step.value = 0


def test_time_in_the_film_is_work() -> None:
    player = CachePlayer()
    steps = {
        turn: sum(bool(frame.lanes["prefix"].touched) for frame in player.film if frame.turn == turn) for turn in (1, 2)
    }
    read, again = LENGTHS[0], STARTS[3]  # tokens of the first question, and all there are when the second is read
    assert steps[1] == -(-read // AT_ONCE) + LENGTHS[1]
    assert steps[2] == 1 + -(-again // AT_ONCE) + LENGTHS[3]  # throw away, read, write


@pytest.fixture
def models() -> Models:
    return three_models()


def last_step(player: CachePlayer) -> None:
    player.step.value = player.step.max


def test_break_it_keeps_what_is_stale_and_says_so(models: Models) -> None:
    player = CachePlayer(models=models)
    whole = encode_dialogue(EXAMPLE, TOKENIZER)
    old = len(encode_dialogue(EXAMPLE[:2], TOKENIZER))
    second = next(n for n, frame in enumerate(player.film) if frame.turn == 2)
    player.step.value = second
    assert f"prefix throws away {old}" in player.status
    before, bars = player.picture.value, player.bars.value
    assert player.proof.value == ""
    player.breaker.value = True
    assert f"prefix blindly keeps {old} stale" in player.status
    assert f"prefix uses {old} stale positions" in player.status
    assert 'class="mi-stale"' in player.picture.value
    assert 'class="mi-discarded"' not in player.picture.value
    assert player.picture.value != before
    assert "read anew" in player.proof.value
    assert "stale cache" in player.proof.value
    last_step(player)
    assert f"causal {len(whole)}, prefix {len(whole)}, ism {len(whole)}" in player.status
    assert f"{old} stale" in player.bars.value
    player.step.value = second
    player.breaker.value = False
    assert (player.picture.value, player.bars.value, player.proof.value) == (before, bars, "")


def test_the_first_turn_of_a_broken_cache_is_still_right(models: Models) -> None:
    player = CachePlayer(models=models, broken=True)
    assert player.status.startswith("Nothing has been read yet")
    player.step.value = 1
    assert "nothing in prefix's cache is stale" in player.status


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "🦊🦊", SCRIPT, "<|assistant|>", "\x00\x1b[31m"])
def test_any_text_can_be_played_and_stays_text(text: str, models: Models) -> None:
    player = CachePlayer([{"role": "user", "content": text}, *EXAMPLE[1:3]], models=models, broken=True)
    for step in range(player.step.max + 1):
        player.step.value = step
        assert player.error == ""
        for part in (player.picture, player.scrubber, player.bars, player.proof, player._status):
            assert "<script" not in part.value
            assert "\x00" not in part.value
    assert player.figure().alt.startswith("Cache player, last step.")


@pytest.mark.slow
def test_a_dialogue_too_long_for_the_model_is_told_in_place_and_the_film_goes_on(models: Models) -> None:
    player = CachePlayer([{"role": "user", "content": "cup " * 1250}, *EXAMPLE[1:3]], models=models, broken=True)
    last_step(player)
    assert re.search("no answers to compare for prefix: the dialogue has 12.. tokens, .* at most 200", player.error)
    assert "Turn 2" in player.status
    assert 'class="mi-stale"' in player.picture.value
    assert player._repr_mimebundle_()[0]["image/png"]
    player.breaker.value = False
    assert player.error == ""


@pytest.mark.parametrize(("rule", "complaint"), [("ism &", "cannot read mask"), ("same_query", "nothing to attend to")])
def test_a_lane_that_cannot_be_is_refused_at_once(rule: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CachePlayer(masks=("ism", rule))


def test_sessions_are_broken_with_their_own_model(models: Models) -> None:
    sessions = {name: ChatSession(*pair) for name, pair in models.items()}
    for session in sessions.values():
        session.send("Where is the cup?", max_new_tokens=2)
        session.send("Why?", max_new_tokens=2)
    player = CachePlayer(sessions=sessions)
    last_step(player)
    assert "1st token ms" in player.bars.value
    player.breaker.value = True
    proof = player._proofs["prefix"]
    assert player.error == ""
    assert proof[1].stale
    assert proof[1].right_text in player.status


def test_nothing_to_break_without_a_cache_that_goes_stale() -> None:
    player = CachePlayer(masks=("causal", "ism"), broken=True)
    assert player.breaker.disabled
    assert not player.breaker.value
    assert "nothing to break" in player.breaker.description


def test_a_lane_without_a_model_is_told_in_place() -> None:
    player = CachePlayer(masks=("bidirectional",), broken=True)
    last_step(player)
    assert "no answers to compare for bidirectional" in player.error
    assert "models={'bidirectional': ...}" in player.error
    assert 'class="mi-stale"' in player.picture.value  # the film goes on
    player.breaker.value = False
    assert player.error == ""


def test_the_player_plays_real_conversations(
    models: Models,
) -> None:
    sessions = {name: ChatSession(*pair) for name, pair in models.items()}
    with pytest.raises(ValueError, match="said nothing yet"):
        CachePlayer(sessions=sessions)
    with pytest.raises(ValueError, match="are none"):
        CachePlayer(sessions={})
    for number, session in enumerate(sessions.values()):
        with pytest.raises(ValueError, match=", ".join(list(sessions)[number:])):  # who is still silent
            CachePlayer(sessions=sessions)
        session.send("Where is the cup?", max_new_tokens=2 + number)
        session.send("Why?", max_new_tokens=2)
    player = CachePlayer(sessions=sessions)
    for name, session in sessions.items():
        assert player.film[-1].lanes[name].computed == sum(cost.computed for cost in turn_costs(session.trace))
    player.step.value = len(player.film) - 1
    assert "Turn 2" in player.status
    with pytest.raises(ValueError, match="not both"):
        CachePlayer(EXAMPLE, sessions=sessions)


def test_lanes_are_names_or_masks_and_each_has_a_name_of_its_own() -> None:
    for masks in ("ism", get_mask("ism"), [get_mask("ism")]):
        assert set(CachePlayer(masks=masks).frame.lanes) == {"ism"}
    with pytest.raises(ValueError, match="two lanes are called 'ism'"):
        CachePlayer(masks=["ism", get_mask("ism")])


@pytest.mark.parametrize(
    "options",
    [
        {"masks": None},
        {"sessions": {"ism": "ism"}},
        {"sessions": ["ism"]},
        {"models": "ism"},
        {"models": {"ism": "ism"}},
    ],
)
def test_other_kinds_are_named(options: Any) -> None:
    with pytest.raises(TypeError, match=r"must (be|hold) \w+( objects)?, got .*; give"):
        CachePlayer(**options)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_session_that_went_back_is_not_played(kept: int, models: Models) -> None:
    session = ChatSession(*models["prefix"])
    for text in ("Where is the cup?", "Why?"):
        session.send(text, max_new_tokens=2)
    assert CachePlayer(sessions={"a": session}).film
    session.truncate(kept)
    with pytest.raises(ValueError, match="'a' went back"):
        CachePlayer(sessions={"a": session})

"""Messages of a chat template as ids, segments and labels."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import encode_dialogue, load_tokenizer
from mini_ism.dialogue import Message
from mini_ism.hf import ChatTemplate, TemplateError, labels
from tests.hf.templates import MARKERS, MESSAGES, TEMPLATES, sentencepiece, tokenizer

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
KNOWN = [name for name in TEMPLATES if name != "qwen3"]


def written(template: ChatTemplate, messages: list[dict[str, str]]) -> list[str]:
    """The text of each segment, markers and all."""
    encoded = template.encode(messages)
    tokens: Any = encoded.tokens
    return [
        template.tokenizer.decode(tokens[encoded.segments.id == number].tolist()) for number in range(len(messages))
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_ids_are_those_of_the_whole_text(name: str) -> None:
    template = ChatTemplate(tokenizer(name))
    whole = template.tokenizer.apply_chat_template(MESSAGES[:-1], tokenize=False, add_generation_prompt=True)
    ids = template.tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert template.encode(MESSAGES[:-1]).tokens.tolist() == ids


IM, TURN = "<|im_start|>", "<start_of_turn>"
PIECES = {
    "chatml": [
        f"{IM}user\nWhere is the key?<|im_end|>\n{IM}assistant\n",
        "It is in the box.<|im_end|>",
        f"\n{IM}user\nWho am I?<|im_end|>\n{IM}assistant\n",
        "You are Ada.<|im_end|>",
    ],
    "gemma": [
        f"<s>{TURN}user\nWhere is the key?<end_of_turn>\n{TURN}model\n",
        "It is in the box.<end_of_turn>",
        f"\n{TURN}user\nWho am I?<end_of_turn>\n{TURN}model\n",
        "You are Ada.<end_of_turn>",
    ],
    "mistral": [
        "<s>[INST] Where is the key? [/INST]",
        " It is in the box.</s>",
        "[INST] Who am I? [/INST]",
        " You are Ada.</s>",
    ],
}


@pytest.mark.parametrize("name", PIECES)
def test_where_the_borders_are(name: str) -> None:
    assert written(ChatTemplate(tokenizer(name)), MESSAGES[:4]) == PIECES[name]


def test_a_system_prompt_has_a_segment_of_its_own_or_joins_the_first_question() -> None:
    chatml, gemma = (ChatTemplate(tokenizer(name)) for name in ("chatml", "gemma"))
    first = written(chatml, [SYSTEM, *MESSAGES[:2]])
    assert first[0] == "<|im_start|>system\nYou are a helpful assistant.<|im_end|>"
    assert first[1] == "\n<|im_start|>user\nWhere is the key?<|im_end|>\n<|im_start|>assistant\n"
    joined = written(gemma, [SYSTEM, *MESSAGES[:2]])
    assert joined[0] == ""
    assert joined[1].startswith(
        "<s><start_of_turn>user\nYou are a helpful assistant.\n\nWhere is the key?<end_of_turn>"
    )
    assert chatml.encode([SYSTEM, *MESSAGES[:2]]).segments.system.any()
    with pytest.raises(TemplateError, match=r"Only user and assistant roles.*leave out the system prompt"):
        ChatTemplate(tokenizer("mistral")).encode([SYSTEM, *MESSAGES[:2]])


SAID = ("It is in the box.You are Ada.", "It is in the box. You are Ada.")


@pytest.mark.parametrize("name", TEMPLATES)
def test_labels_are_the_answers_with_their_ends(name: str) -> None:
    template = ChatTemplate(tokenizer(name))
    encoded = template.encode(MESSAGES[:4])
    targets = labels(encoded)
    assert torch.equal(targets != -100, ~encoded.segments.is_query)
    assert int((targets == template.end_ids[0]).sum()) == 2
    assert template.decode(targets[targets != -100].tolist()).strip() in SAID


@settings(max_examples=30)
@given(name=st.sampled_from(KNOWN), weights=st.lists(st.sampled_from([None, 0, 1]), min_size=1, max_size=3))
def test_targets_are_the_answers_that_are_targets_of_this_package_s_models(
    name: str, weights: list[int | None]
) -> None:
    messages: list[Message] = list(map(dict, MESSAGES[: 2 * len(weights)]))
    for number, weight in enumerate(weights):
        messages[2 * number + 1] = {**MESSAGES[2 * number + 1], "weight": weight}
    answers = [
        encoded.segments.id[encoded.loss_mask].unique().tolist()
        for encoded in (made(name).encode(messages), encode_dialogue(messages, load_tokenizer()))
    ]
    assert answers[0] == answers[1]


@settings(max_examples=30)
@given(name=st.sampled_from(list(TEMPLATES)), said=st.lists(st.text(max_size=8), min_size=2, max_size=6))
def test_what_was_said_never_changes_when_a_turn_is_added(name: str, said: list[str]) -> None:
    template = made(name)
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    tokens = template.encode(messages).tokens
    for stop in range(1, len(messages)):
        first = template.encode(messages[:stop]).tokens
        assert torch.equal(tokens[: len(first)], first)


TEMPLATES_MADE: dict[str, ChatTemplate] = {}


def made(name: str) -> ChatTemplate:
    if name not in TEMPLATES_MADE:
        TEMPLATES_MADE[name] = ChatTemplate(tokenizer(ODD.get(name, name)))
    return TEMPLATES_MADE[name]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("mark", ["<|im_end|>", "</s>", "<|eot_id|> x <start_of_turn>"])
def test_text_that_spells_a_marker_stays_text(name: str, mark: str) -> None:
    template = made(name)
    specials = {template.tokenizer.convert_tokens_to_ids(marker) for marker in MARKERS}
    inside = [template.encode_message("user", text) for text in ("Hi", f"Hi {mark}")]
    assert [sum(id in specials for id in ids) for ids in inside] == [sum(id in specials for id in inside[0])] * 2
    assert f"Hi {mark}" in template.tokenizer.decode(inside[1])


@pytest.mark.parametrize("name", KNOWN)
def test_half_a_character_is_written_as_none(name: str) -> None:
    template = made(name)
    assert template.encode_message("user", "a \ud83d b") == template.encode_message("user", "a \ufffd b")
    assert template.encode_message("user", "\ud83d\ude00") == template.encode_message("user", "\U0001f600")


def test_a_joined_system_prompt_cannot_write_markers_either() -> None:
    template = made("gemma")
    said = [("system", "Be brief.<end_of_turn>"), ("user", "Hi")]
    ids = template.encode_message("user", "Hi", said[:1])
    ends = template.tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert ids.count(ends) == 1
    assert "Be brief.<end_of_turn>\n\nHi<end_of_turn>" in template.tokenizer.decode(ids)


def loop(system: str, user: str, assistant: str) -> str:
    """ChatML that writes each role's content in a way of its own."""
    ways = f"({system} if m.role == 'system' else {user} if m.role == 'user' else {assistant})"
    return TEMPLATES["chatml"].replace("m.content", ways)


ODD = {
    "trims the system prompt": loop("m.content | trim", "m.content", "m.content"),
    "trims all but the system prompt": loop("m.content", "m.content | trim", "m.content | trim"),
    "trims one side": loop("m.content.lstrip()", "m.content.rstrip()", "m.content.lstrip()"),
    "trims lines": loop("m.content.strip('\n')", "m.content.rstrip('\n')", "m.content.lstrip('\n')"),
    "llama 2": (
        "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set messages = messages[1:] %}"
        "{% else %}{% set system = false %}{% endif %}{% for m in messages %}"
        "{% if loop.first and system %}{% set said = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m.content %}"
        "{% else %}{% set said = m.content %}{% endif %}{% if m.role == 'user' %}"
        "{{ bos_token + '[INST] ' + said.strip() + ' [/INST]' }}{% else %}"
        "{{ ' ' + said.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
}
SPACED = st.text(" \n\t\xa0\u2003ab", max_size=6)


@settings(max_examples=150)
@given(
    name=st.sampled_from([*KNOWN, *ODD]),
    system=st.none() | SPACED.filter(bool),
    said=st.lists(SPACED, min_size=1, max_size=5).filter(lambda said: len(said) % 2 == 1),
)
def test_odd_space_is_written_as_the_template_writes_it(name: str, system: str | None, said: list[str]) -> None:
    template = made(name)
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    if system is not None and name != "mistral":
        messages.insert(0, {"role": "system", "content": system})
    whole = template.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert template.tokenizer.decode(template.encode(messages).tokens.tolist()) == whole
    assert template.encode(messages).tokens.tolist() == template.tokenizer(whole, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(("name", "kept"), [("chatml", True), ("llama3", False), ("gemma", False), ("mistral", True)])
def test_space_around_a_message_is_kept_where_the_template_keeps_it(name: str, kept: bool) -> None:
    template = made(name)
    for role in ("user", "assistant"):
        bare, wide = (template.encode_message(role, text) for text in ("Hi", "  Hi  "))
        assert (bare != wide) == kept
    messages = [{"role": "user", "content": "  Hi  "}, {"role": "assistant", "content": "Yes. "}]
    whole = template.tokenizer.apply_chat_template(messages, tokenize=False)
    ids = template.encode(messages).tokens.tolist()
    assert template.tokenizer(whole, add_special_tokens=False)["input_ids"][: len(ids)] == ids


@pytest.mark.parametrize("name", KNOWN)
def test_bytes_of_tokens_add_up_to_the_text(name: str) -> None:
    template = made(name)
    ids = template.encode_message("assistant", "Zoë 🔑 is")
    assert b"".join(map(template.decode_single_token_bytes, ids)).decode().strip() == "Zoë 🔑 is"
    assert template.decode(ids).strip() == "Zoë 🔑 is"


@pytest.mark.parametrize("name", ["mistral", "chatml"])
def test_a_tokenizer_that_writes_spaces_as_letters(name: str) -> None:
    template = ChatTemplate(sentencepiece(name))
    whole = template.tokenizer.apply_chat_template(MESSAGES[:-1], tokenize=False, add_generation_prompt=True)
    assert (
        template.encode(MESSAGES[:-1]).tokens.tolist()
        == template.tokenizer(whole, add_special_tokens=False)["input_ids"]
    )
    ids = template.encode_message("assistant", "It is ë.")
    assert b"".join(map(template.decode_single_token_bytes, ids)).decode().strip() == "It is ë."


REFUSED = {
    "has no chat template": None,
    "does not write each message once": "{% for m in messages %}{{ m.content | upper }}</s>{% endfor %}",
    "without a special token that ends it": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
    "behind a later one": "{% for m in messages %}{{ loop.index }}{{ m.content }}</s>{% endfor %}",
    "refuses a conversation: no": "{{ raise_exception('no') }}",
    "asks for an answer with": TEMPLATES["chatml"].replace("assistant\n{% endif %}", "assistant\n<think>{% endif %}"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_template_without_borders_is_refused(reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        ChatTemplate(tokenizer(REFUSED[reason]))


def test_thoughts_that_leave_the_history_are_refused_when_they_are_prompted_for() -> None:
    with pytest.raises(TemplateError, match="enable_thinking=True"):
        ChatTemplate(tokenizer("qwen3"), enable_thinking=False)


def test_pieces_that_tokens_straddle_are_refused() -> None:
    class Gluing:
        """A tokenizer that forgets where a text began."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __len__(self) -> int:
            return len(self.inner)

        def __call__(self, text: str, **options: Any) -> Any:
            ids = self.inner(text, **options)["input_ids"]
            return {"input_ids": ids if len(ids) < 40 else [7, *ids]}

    with pytest.raises(TemplateError, match="no token border"):
        ChatTemplate(Gluing(tokenizer("chatml")))

"""The tokenizer: exact round trips, text that never becomes a marker, and damaged files refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from mini_ism.corpus import load_split
from mini_ism.corpus.version_1 import POOLS
from mini_ism.files import sha256
from mini_ism.paths import data_dir
from mini_ism.tokenizer import build_tokenizer, load_tokenizer, tokenizer_hash, tokenizer_ranks
from mini_ism.tokenizer_files import NAME, SPECIALS, describe

ENCODING = load_tokenizer()


def encode(text: str) -> list[int]:
    return ENCODING.encode(text, allowed_special=set(), disallowed_special=())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for suffix in (".tiktoken", ".json"):
        content = (data_dir() / "tokenizer" / f"{NAME}{suffix}").read_bytes()
        (tmp_path / f"{NAME}{suffix}").write_bytes(content)
    return tmp_path / f"{NAME}.tiktoken"


# -- encoding ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_round_trip_is_exact(text: str) -> None:
    assert ENCODING.decode(encode(text)) == text


@given(st.text(), st.sampled_from(SPECIALS), st.text())
def test_text_that_spells_a_marker_stays_text(before: str, marker: str, after: str) -> None:
    tokens = encode(before + marker + after)
    assert ENCODING.decode(tokens) == before + marker + after
    assert max(tokens) < ENCODING.n_vocab - len(SPECIALS)


def test_specials_come_after_the_ranks() -> None:
    first = ENCODING.n_vocab - len(SPECIALS)
    assert [ENCODING.encode_single_token(special) for special in SPECIALS] == [
        first + index for index in range(len(SPECIALS))
    ]
    assert ENCODING.n_vocab == 704


def test_digits_come_one_by_one() -> None:
    for text in (" 12", "12", "2024", " 3.14", "٣٤"):
        assert all(sum(map(str.isdigit, ENCODING.decode([t]))) <= 1 for t in encode(text))


@pytest.mark.parametrize("pool", POOLS)
def test_dealt_words_are_single_tokens(pool: str) -> None:
    assert [word for word in POOLS[pool] if len(encode(f" {word}")) > 1] == []


def test_frozen_dialogues_round_trip() -> None:
    for dialogue in load_split("long"):
        for message in dialogue.messages:
            assert ENCODING.decode(encode(f" {message['content']}")) == f" {message['content']}"


# -- files ------------------------------------------------------------------------------------------------------------


def test_copied_files_load(copied: Path) -> None:
    assert load_tokenizer(copied).encode(" the key") == ENCODING.encode(" the key")
    assert load_tokenizer(str(copied)).n_vocab == ENCODING.n_vocab
    assert tokenizer_hash() == sha256(copied.read_bytes())


def test_the_package_s_own_file_is_restored_rather_than_trained(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mini_ism.tokenizer_files.default_path", lambda: copied)
    copied.write_bytes(b"")
    with pytest.raises(ValueError, match=r"git checkout -- data/tokenizer.*corpus build"):
        load_tokenizer(copied)


def test_a_tokenizer_gives_the_file_that_makes_it(copied: Path) -> None:
    ranks = copied.read_bytes()
    assert tokenizer_ranks(ENCODING) == ranks
    assert tokenizer_hash(ENCODING) == tokenizer_hash()
    again = build_tokenizer(ranks, "here")
    assert again.encode(" the key") == ENCODING.encode(" the key")
    assert again.n_vocab == ENCODING.n_vocab


@pytest.mark.parametrize("change", [{"pat_str": r"\S+|\s+"}, {"special_tokens": {"<|endoftext|>": 699}}])
def test_a_tokenizer_of_another_kind_has_no_such_file(change: dict[str, Any]) -> None:
    kind = {
        "pat_str": ENCODING._pat_str,
        "mergeable_ranks": ENCODING._mergeable_ranks,
        "special_tokens": ENCODING._special_tokens,
    }
    with pytest.raises(ValueError, match=r"Encoding 'other'.* is not a tokenizer of this package; make one"):
        tokenizer_ranks(tiktoken.Encoding("other", **{**kind, **change}))


@pytest.mark.parametrize("suffix", [".tiktoken", ".json"])
def test_missing_file(copied: Path, suffix: str) -> None:
    copied.with_suffix(suffix).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no tokenizer file at .*\{suffix}.*tokenizer train"):
        load_tokenizer(copied)


def test_directory(copied: Path) -> None:
    with pytest.raises(ValueError, match="is a directory"):
        load_tokenizer(copied.parent)


@pytest.mark.parametrize("damage", ["truncated", "tampered", "foreign"])
def test_damaged_ranks(copied: Path, damage: str) -> None:
    content = copied.read_bytes()
    damaged = {
        "truncated": content[: len(content) // 2],
        "tampered": content.replace(b" 300\n", b" 301\n"),
        "foreign": b"IQ== 0\nIg== 1\n",
    }[damage]
    copied.write_bytes(damaged)
    with pytest.raises(ValueError, match="is not the file that") as caught:
        load_tokenizer(copied)
    for part in (str(copied), sha256(content), sha256(damaged), "tokenizer train"):
        assert part in str(caught.value)


def test_a_file_edited_in_place_is_noticed_after_a_load(copied: Path) -> None:
    load_tokenizer(copied)
    copied.write_bytes(copied.read_bytes()[:-3])
    with pytest.raises(ValueError, match="is not the file that"):
        load_tokenizer(copied)


@pytest.mark.parametrize("about", [b"{", b"[]", b"{}", b'{"sha256": 3}', b"\xff"])
def test_unreadable_description(copied: Path, about: bytes) -> None:
    copied.with_suffix(".json").write_bytes(about)
    with pytest.raises(ValueError, match=r"mini-ism\.json (is not readable|does not give)"):
        load_tokenizer(copied)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", 705),
        ("pattern", r"\s+"),
        ("specials", {"<|endoftext|>": 699}),
        ("name", "gpt2"),
    ],
)
def test_description_that_does_not_fit(copied: Path, key: str, value: object) -> None:
    path = copied.with_suffix(".json")
    about = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**about, key: value}), "utf-8")
    with pytest.raises(ValueError, match="does not fit its ranks"):
        load_tokenizer(copied)


def byte_lines() -> list[bytes]:
    return [base64.b64encode(bytes([byte])) + b" %d" % byte for byte in range(256)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*byte_lines(), b"not base64 at all"], "line 257: .* is not `base64 rank`"),
        ([*byte_lines(), b"dGhl"], "line 257"),
        ([*byte_lines(), b"dGhl 300"], "does not hold ranks 0, 1, 2"),
        (byte_lines()[:255], "does not hold ranks 0, 1, 2"),
        ([*byte_lines()[:255], b"dGhl 255"], "does not hold ranks 0, 1, 2"),
    ],
)
def test_ranks_that_cannot_be(copied: Path, lines: list[bytes], message: str) -> None:
    content = b"\n".join(lines)
    copied.write_bytes(content)
    copied.with_suffix(".json").write_text(json.dumps(describe(content)), "utf-8")
    with pytest.raises(ValueError, match=message):
        load_tokenizer(copied)

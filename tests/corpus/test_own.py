"""Files of one's own dialogues: what is read, and errors that name file, line and message."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from mini_ism import load_tokenizer
from mini_ism.corpus import Dialogue, load_split, read_dialogues
from mini_ism.corpus.own import draw_own, fit
from mini_ism.corpus.splits import to_jsonl
from mini_ism.dialogue import encode_dialogue

TOKENIZER = load_tokenizer()


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


TURN = [user("Who is Pia?"), answer("A penguin.")]


def write(folder: Path, *records: Any) -> Path:
    """A file with a line for each record; text stands as it is."""
    file = folder / "zoo.jsonl"
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    return file


# -- what is read -----------------------------------------------------------------------------------------------------


def test_lists_and_objects_blank_lines_and_labels(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be kind."}
    file = write(
        tmp_path, TURN, "", {"messages": [system, *TURN]}, {"messages": TURN, "skills": ["animals"]}, "  ", [*TURN * 2]
    )
    assert read_dialogues(file) == [
        Dialogue(TURN, ["answer"]),
        Dialogue([system, *TURN], ["answer"]),
        Dialogue(TURN, ["animals"]),
        Dialogue(TURN * 2, ["answer", "answer"]),
    ]


def test_a_split_of_the_corpus_reads_as_it_was(tmp_path: Path) -> None:
    frozen = load_split("validation")
    (tmp_path / "split.jsonl").write_bytes(to_jsonl(frozen))
    assert read_dialogues(tmp_path / "split.jsonl") == frozen


def test_weight_0_is_kept_and_none_is_nothing(tmp_path: Path) -> None:
    unlearned = answer("Hello.", weight=0)
    file = write(tmp_path, [user("Hi."), unlearned, user("Who?"), answer("Me.", weight=1, name=None)])
    (dialogue,) = read_dialogues(file)
    assert dialogue.messages == [user("Hi."), unlearned, user("Who?"), answer("Me.", weight=1)]
    targets = encode_dialogue(dialogue.messages, TOKENIZER).loss_mask
    assert targets.sum() == len(TOKENIZER.encode_ordinary(" Me.")) + 1


def test_other_ends_of_lines_are_text(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three"
    file = tmp_path / "zoo.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps([user(text), answer("x")], ensure_ascii=False).encode() + b"\r\n\r\n")
    (dialogue,) = read_dialogues(file)
    assert dialogue.messages[0]["content"] == text


def test_other_fields_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, {"messages": TURN, "id": 1}, {"messages": TURN, "source": "web", "id": 2})
    with pytest.warns(UserWarning, match=r"zoo\.jsonl: not read: id, source$"):
        assert len(read_dialogues(file)) == 2


# -- what is refused --------------------------------------------------------------------------------------------------

MISTAKES: list[tuple[Any, str]] = [
    ("{", r"not JSON \(.*\); write each dialogue on a line of its own"),
    ("[" * 100_000, "not JSON .*nested too deeply"),
    ('{"messages": NaN}', "not JSON .*NaN"),
    ('[{"role": "user", "role": "user", "content": "Hi."}]', "'role' is given twice"),
    ("3", "a dialogue is a list of messages"),
    ([], "the dialogue is empty"),
    ({}, 'should be a list of messages, or have "messages"; it has nothing'),
    ({"prompt": "Hi.", "completion": "Hi."}, "it has prompt, completion"),
    ([TURN, TURN], "holds a list of dialogues; write each on a line of its own"),
    ([user("Hi."), "Hi."], 'message 1 must be a mapping with "role" and "content"'),
    ([{"role": "human", "content": "Hi."}], "message 0 has unknown role 'human'"),
    ([user("Hi."), user("Hi.")], "message 1 is from 'user', but here the dialogue needs 'assistant'"),
    ([user("Hi."), answer(3)], r"the content of message 1 \(assistant\) must be a string, got 3"),
    ([user("Hi."), answer("Hi.", name="Pia")], "message 1 has 'name', which would be dropped"),
    ([user("Hi."), answer("Hi.", weight=2)], r"the weight of message 1 .* must be 0 .* or 1, got 2"),
    ('[{"role": "user", "content": "\\ud83d"}, {"role": "assistant", "content": "x"}]', "message 0 holds half a char"),
    ([user("Hi.")], "no answer to learn"),
    ([user("Hi."), answer("Hi.", weight=0)], "no answer to learn"),
    ({"messages": TURN, "skills": ["a", "b"]}, "there are 1 answers, so .* as many names, got"),
    ({"messages": TURN, "skills": [1]}, "there are 1 answers, so"),
    ([user([{"type": "text", "text": "Hi."}])], r"must be a string.*looks like parts: convert it \(--convert parts"),
    ({"conversations": [{"from": "human", "value": "Hi."}]}, "it has conversations; it looks like sharegpt"),
    ([*TURN, {"role": "tool", "content": "4"}], "unknown role 'tool'.*; it looks like tools"),
]


@pytest.mark.parametrize(("record", "message"), MISTAKES)
def test_mistakes_name_file_line_and_message(tmp_path: Path, record: Any, message: str) -> None:
    file = write(tmp_path, TURN, "", record, TURN)
    with pytest.raises(ValueError, match=rf"^{file}, line 3: .*{message}") as caught:
        read_dialogues(file)
    assert len(str(caught.value)) < 700


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no dialogues at .*none\.jsonl"):
        read_dialogues(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match=r"zoo\.jsonl holds no dialogue"):
        read_dialogues(write(tmp_path, "", "  "))
    (tmp_path / "zoo.jsonl").write_bytes("[é]".encode("utf-16"))
    with pytest.raises(ValueError, match=r"zoo\.jsonl is not UTF-8 .*save it as UTF-8"):
        read_dialogues(tmp_path / "zoo.jsonl")


# -- what is too long -------------------------------------------------------------------------------------------------

LONG = [*TURN, user("word " * 40), answer("Yes."), *TURN]


def test_too_long_ones_are_named_and_not_cut(tmp_path: Path) -> None:
    file = write(tmp_path, TURN, "", LONG, LONG, *[LONG] * 7)
    tokens = len(encode_dialogue(LONG, TOKENIZER))
    with pytest.raises(
        ValueError,
        match=rf"zoo\.jsonl: 9 of 10 dialogues have more than the model's {tokens - 1} tokens: line 3 \({tokens}\), "
        r"line 4 .* and 1 more; shorten them \(cut=True in read_dialogues, or --cut",
    ):
        read_dialogues(file, tokenizer=TOKENIZER, context=tokens - 1)
    assert len(read_dialogues(file, tokenizer=TOKENIZER, context=tokens)) == 10


def test_cut_keeps_the_turns_from_the_beginning_that_fit(tmp_path: Path) -> None:
    file = write(tmp_path, {"messages": LONG, "skills": ["a", "b", "c"]})
    whole = len(encode_dialogue(LONG, TOKENIZER))
    for context, kept in ((whole, 6), (whole - 1, 4), (len(encode_dialogue(LONG[:2], TOKENIZER)), 2)):
        (dialogue,) = read_dialogues(file, tokenizer=TOKENIZER, context=context, cut=True)
        assert dialogue == Dialogue(LONG[:kept], ["a", "b", "c"][: kept // 2])
        assert len(encode_dialogue(dialogue.messages, TOKENIZER)) <= context


def test_what_cannot_be_cut_is_named(tmp_path: Path) -> None:
    unlearned = [user("Hi."), answer("Hello.", weight=0), *LONG]
    for record in (LONG[2:], unlearned):
        with pytest.raises(ValueError, match=r"line 2 \(\d+\); shorten them \(not even a first turn to learn fits"):
            read_dialogues(write(tmp_path, TURN, record), tokenizer=TOKENIZER, context=20, cut=True)


def test_dialogues_in_memory_are_named_by_their_places() -> None:
    with pytest.raises(ValueError, match=r"data: 1 of 1 dialogues have more .*: dialogue 0 \("):
        fit({"dialogue 0": Dialogue(LONG, ["a"] * 3)}, "data", TOKENIZER, 9)


# -- the endless stream -----------------------------------------------------------------------------------------------


def test_each_round_has_every_dialogue_once_in_another_order() -> None:
    dialogues = [Dialogue([user(str(n)), answer("x")], ["answer"]) for n in range(7)]
    stream = list(chain.from_iterable(draw_own(dialogues, 3, start, 4) for start in range(0, 28, 4)))
    rounds = [[int(d.messages[0]["content"]) for d in stream[n : n + 7]] for n in range(0, 28, 7)]
    assert all(sorted(each) == list(range(7)) for each in rounds)
    assert len(set(map(tuple, rounds))) == 4
    assert draw_own(dialogues, 3, 9, 4) == stream[9:13]
    assert draw_own(dialogues, 4, 0, 7) != stream[:7]

"""Rules written out as text: what they mean, and what is refused with which hint."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import ChatSession, get_mask, load_tokenizer
from mini_ism.expressions import COUNTS, DEEPEST, FLAGS, LONGEST
from mini_ism.planner import Planner
from tests.strategies import EXAMPLE, random_model, segments_of


def test_the_rules_that_the_course_teaches() -> None:
    s = segments_of(EXAMPLE)
    for text, same in (
        ("kv <= q", "causal"),
        ("(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))", "ism"),
        ("(kv <= q) | (kv < s.last_query_end[q])", "prefix"),
        ("(kv <= q) & (abs(q - kv) < 3)", "causal & sliding_window(3)"),
        ("causal & (sliding_window(3) | (s.position[kv] < 2))", "causal & (sliding_window(3) | sink(2))"),
        ("~(kv > q)", "causal"),
    ):
        assert torch.equal(get_mask(text).dense(s), get_mask(same).dense(s)), text
    assert get_mask("(kv <= q) | same_query").name == "(kv <= q) | same_query"


places = st.sampled_from(["q", "kv"])
numbers = st.recursive(
    places
    | st.integers(0, 9).map(str)
    | st.tuples(st.sampled_from(sorted(COUNTS)), places).map(lambda pair: f"s.{pair[0]}[{pair[1]}]"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({' '.join(t)})")
        | st.tuples(inner, st.sampled_from(["//", "%"]), st.integers(1, 5)).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | inner.map(lambda text: f"abs({text})")
        | inner.map(lambda text: f"(-{text})")
    ),
    max_leaves=4,
)
flags = st.tuples(st.sampled_from(sorted(FLAGS)), places).map(lambda pair: f"s.{pair[0]}[{pair[1]}]")
comparisons = (
    st.tuples(places, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), numbers).map(
        lambda t: f"({t[0]} + {t[1]} {t[2]} {t[3]})"
    )
    | flags
    | st.tuples(flags, st.sampled_from(["==", "!="]), flags).map(lambda t: f"({' '.join(t)})")
)
rules = st.recursive(
    comparisons,
    lambda inner: (
        st.tuples(inner, st.sampled_from("&|"), inner).map(lambda t: f"({' '.join(t)})")
        | inner.map(lambda text: f"~{text}")
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(rules)
def test_a_text_means_what_python_would_mean_by_it(text: str) -> None:
    s = segments_of(EXAMPLE)
    here = torch.arange(len(s))
    q, kv = here[:, None], here[None, :]
    shape = (len(s), len(s))
    expected = eval(text, {"q": q, "kv": kv, "s": s, "abs": abs}).broadcast_to(shape)
    mask = get_mask(text)
    assert torch.equal(mask.allowed(q, kv, s), expected)
    assert torch.equal(get_mask(mask.name).allowed(q, kv, s), expected)  # a model keeps its mask's name


REFUSED = [
    ("cuasal", "did you mean 'causal'"),
    ("ISM", "did you mean 'ism'"),
    ("Causal | Same_Query", "did you mean 'causal'"),
    ("kv <= q | same_query", "a comparison needs brackets of its own"),
    ("same_query | kv <= q", "a comparison needs brackets of its own"),
    ("(kv <= q) and causal", "write & | ~ where Python says and, or, not"),
    ("not causal", "write & | ~ where"),
    ("0 < kv <= q", "compare two at a time"),
    ("q - kv", "that is a number, and a mask says yes or no"),
    ("abs(q - kv)", "that is a number"),
    ("s.id[q]", "that is a number"),
    ("causal < q", "a number is needed there"),
    ("s.is_query[q] < q", "a number is needed there"),
    ("1 < 2", "it says nothing of q or kv"),
    ("kv is q", "compare with < <="),
    ("kv in q", "compare with < <="),
    ("s.id == 3 + q", r"say whose: s.id\[q\] or s.id\[kv\]"),
    ("s.id[0] == q", "say whose"),
    ("s.id[q + 1] == q", "say whose"),
    ("s.is_query[-1]", "say whose"),
    ("s.rows[q] == q", "the fields of s are is_query, system, id, position"),
    ("s.is_query", "write names or comparisons"),
    ("q % 0 == kv", "divide by a number that is written there, and not 0"),
    ("q // kv == 1", "divide by a number that is written there"),
    ("q ** 2 == kv", "a number is needed there"),
    ("kv < 99999999999999999999", "numbers go up to 1,000,000"),
    ("kv < 1e3", "a number is needed there: q, kv, a whole number or s.id"),
    ("kv < True", "a number is needed there"),
    ("kv <= __import__('os').getpid()", "a number is needed there"),
    ("s.__class__[q] == q", "the fields of s are"),
    ("q.numpy() == kv", "a number is needed there"),
    ("abs(q, kv) == 1", "a number is needed there"),
    ("(lambda: causal)()", "cannot read"),
    ("[causal for q in q]", "cannot read"),
    ("causal if q else ism", "cannot read"),
    ("sliding_window({[]: 1})", "cannot read"),
    ("causal \0", "cannot read mask"),
    ("(" * 300 + "causal" + ")" * 300, "cannot read mask"),
    ("~" * (DEEPEST + 1) + "causal", f"may be {DEEPEST} levels deep"),
    ("causal" + " | causal" * LONGEST, f"may have {LONGEST} letters"),
]


@pytest.mark.parametrize(("text", "hint"), REFUSED)
def test_what_is_refused_and_with_which_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        get_mask(text)


@pytest.mark.parametrize(
    "text", ["q < 1000000 * 1000000 * 1000000 * 1000000", "(kv + 1) * 1000000 * 1000000 * 1000000 * 19 > 0"]
)
def test_a_product_that_no_tensor_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="its numbers may grow past what a tensor holds"):
        get_mask(text)


def test_nothing_is_executed() -> None:
    for text in ("exec('1/0')", "(1).__class__ == q", "q == (kv := 3)", "print('x') == q", "q == [].append(1)"):
        with pytest.raises(ValueError, match=r"cannot read|unknown mask"):
            get_mask(text)


def test_a_chat_plans_ahead_under_a_written_rule_as_under_a_registered_one() -> None:
    tokenizer = load_tokenizer()
    model = random_model(vocab_size=tokenizer.n_vocab)
    replies, traces = [], []
    for mask in ("ism", "(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))"):
        chat = ChatSession(model, tokenizer, mask)
        replies.append([chat.send(text, max_new_tokens=4).tokens.tolist() for text in ("Hi.", "Well?")])
        traces.append([(event.phase, event.start, event.stop) for event in chat.trace])
    assert replies[0] == replies[1]
    assert traces[0] == traces[1]
    for rule in ("(kv <= q) & (abs(q - kv) < 9)", "s.position[kv] <= s.position[q]"):
        planner, s = Planner(get_mask(rule), 64), segments_of(EXAMPLE)
        planner.plan(s[:4])
        planner.computed(4)
        planner.foresee(s[:6])
        assert planner.step() is not None, rule

"""Files of one's own, run for what they register."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mini_ism import Segments, get_mask
from mini_ism.corpus import registry, skill_names
from mini_ism.imports import import_file
from mini_ism.masks import MASKS

OWN = '''
"""A mask and a skill of one's own."""
from mini_ism import register_mask
from mini_ism.corpus import Turn, register_skill


@register_mask
def four_back(q, kv, s):
    """Four tokens back."""
    return (kv <= q) & (q - kv < 4)


@register_skill
def zoo(rng, world, size):
    """Pia is a penguin. What is Pia? -> A penguin."""
    name = world.name()
    animal = ("penguin", "lion", "zebra", "bear")[int(rng.random() * 4)]
    return [Turn(f"{name} is a {animal}. What is {name}?", f"A {animal}.", "zoo")]
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file whose registrations, and whose module, are gone after the test."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    file = tmp_path / "own_rules.py"
    file.write_text(OWN, encoding="utf-8")
    yield file
    MASKS.pop("four_back", None)
    sys.modules.pop("own_rules", None)


def test_masks_and_skills_are_known_afterwards(own: Path) -> None:
    import_file(own)
    assert get_mask("four_back").name == "four_back"
    assert "zoo" in skill_names()
    import_file(str(own))  # a second time changes nothing


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        ("return kv <= s", "TypeError: '<=' not supported"),
        ("assert len(s) < 0", r"AssertionError \("),
        ("a, b = [1, 2, 3]", "ValueError: too many values to unpack"),
        ("return json.loads('{')", "JSONDecodeError: Expecting property name"),
        ("return get_mask('causal')(q, kv)", r"TypeError: Mask\.__call__\(\) missing"),
    ],
)
def test_what_fails_in_a_rule_is_told_with_its_line(own: Path, body: str, summary: str) -> None:
    text = own.read_text(encoding="utf-8").replace("return (kv <= q) & (q - kv < 4)", body)
    own.write_text(f"import json; from mini_ism import get_mask\n{text}", encoding="utf-8")
    line = own.read_text(encoding="utf-8").splitlines().index(f"    {body}") + 1
    import_file(own)
    segments = Segments(torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.bool))
    message = rf"the rule of mask 'causal \| four_back' raised {summary}.*own_rules\.py, line {line}\)$"
    with pytest.raises(ValueError, match=message) as raised:
        get_mask("causal | four_back").dense(segments)
    assert raised.value.__cause__ is not None


def test_names_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file at .*none\.py to import"):
        import_file(tmp_path / "none.py")
    for name, message in (("my-rules.py", "call it NAME.py"), ("rules.txt", "call it NAME.py"), ("json.py", "'json'")):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=rf"{name} cannot be imported: .*{message}"):
            import_file(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ndef rule(q, kv, s)\n", r"broken\.py, line 2: SyntaxError: expected ':'"),
        ("import no_such_module\n", r"broken\.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\ny = x / 0\n", r"broken\.py, line 2: ZeroDivisionError"),
        ("import sys\nsys.exit()\n", r"broken\.py, line 2: SystemExit; it must not end Python when it is imported"),
        (
            "from mini_ism import register_mask\n\n@register_mask\ndef ism(q, kv, s):\n    return kv <= q\n",
            r"broken\.py, line \d: ValueError: the name 'ism' is taken by mini_ism\.masks",
        ),
    ],
)
def test_what_fails_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        import_file(tmp_path / "broken.py")
    assert "broken" not in sys.modules


def test_ctrl_c_in_the_file_is_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        import_file(tmp_path / "stops.py")
    assert "stops" not in sys.modules

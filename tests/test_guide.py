"""The guide to dialogues of one's own: its commands run as they stand, with fewer steps."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_ism.__main__ import main
from mini_ism.corpus import SIZES, read_dialogues, registry
from mini_ism.masks import MASKS
from mini_ism.paths import data_dir

GUIDE = Path(__file__).parent.parent / "docs" / "your-own-dialogues.md"
EXAMPLES = data_dir() / "examples"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def _aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with the example's files and the guide's own rules, which are forgotten afterwards."""
    shutil.copytree(EXAMPLES, tmp_path / "data" / "examples")
    rules = next(block for block in blocks("python") if block.startswith("# my_rules.py"))
    (tmp_path / "my_rules.py").write_text(rules, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    monkeypatch.setitem(SIZES, "test", 20)
    yield
    MASKS.pop("near", None)
    sys.modules.pop("my_rules", None)


@pytest.mark.slow
@pytest.mark.usefixtures("_aside")
def test_the_commands_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["Where is the penguin?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        python, flag, module, *arguments = shlex.split(re.sub(r"--steps \d+", "--steps 2 --validation-size 2", line))
        assert (python, flag, module) == ("python", "-m", "mini_ism")
        assert main(arguments) == 0, line
        capsys.readouterr()


@pytest.mark.slow
@pytest.mark.usefixtures("_aside")
def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("python")[-1]
    exec(code.replace("steps=100", "steps=1"), {})
    assert capsys.readouterr().out.strip()


def test_the_zoo_is_as_the_guide_says() -> None:
    data, validation = (read_dialogues(EXAMPLES / f"{name}.jsonl") for name in ("zoo", "zoo-validation"))
    assert len(data) == 120
    assert not [dialogue for dialogue in validation if dialogue in data]

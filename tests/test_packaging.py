"""What a reader installs: the wheel works far from a checkout, offline; the lists of packages agree."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import mini_ism
from tools.course import COURSE
from tools.pack_colab import pack

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MEGABYTE = 2**20

# Replacing one of these breaks a hosted notebook's own Jupyter.
NOT_FOR_CORE = {"ipykernel", "ipython", "jupyter", "jupyterlab", "notebook", "traitlets"}

SESSION = """\
import sys
from pathlib import Path

import mini_ism
from mini_ism import ChatSession, load_model, load_tokenizer

site = Path(sys.argv[1])
tokenizer = load_tokenizer()
assert tokenizer.decode(tokenizer.encode("The key is in the box.")) == "The key is in the box."
model, tokenizer = load_model("ism")
chat = ChatSession(model, tokenizer, mask="ism")
reply = chat.send("The key is in the box. Where is the key?", max_new_tokens=8)
assert isinstance(reply.text, str)
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None)
    if file and name.partition(".")[0] == "mini_ism":
        assert site in Path(file).parents, f"{name} comes from {file}"
print("reply:", reply.text)
"""


@cache
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return table["project"]


def requirements(extra: str | None = None) -> list[Requirement]:
    """The direct requirements of the package, or of one extra (without the package itself)."""
    lines = project()["optional-dependencies"][extra] if extra else project()["dependencies"]
    parsed = map(Requirement, lines)
    return [requirement for requirement in parsed if requirement.name != project()["name"]]


def constraints(file: str = "constraints.txt") -> list[Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins(python: str) -> dict[str, str]:
    """Package name to pinned version, as pip reads the constraints on that Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    chosen: dict[str, str] = {}
    for pin in constraints():
        if pin.marker is None or pin.marker.evaluate(environment):
            (specifier,) = pin.specifier
            assert specifier.operator == "==", f"{pin}: constraints.txt pins exactly"
            name = canonicalize_name(pin.name)
            assert name not in chosen, f"{pin.name} is pinned twice for Python {python}"
            chosen[name] = specifier.version
    return chosen


# -- the lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_satisfies_the_bounds(python: str) -> None:
    pinned = pins(python)
    for extra in (None, *project()["optional-dependencies"]):
        for requirement in requirements(extra):
            version = pinned.get(canonicalize_name(requirement.name))
            if version is not None:
                assert version in requirement.specifier, f"{requirement} against {version}"


@pytest.mark.parametrize("python", PYTHONS)
def test_every_core_dependency_is_pinned(python: str) -> None:
    missing = {canonicalize_name(needed.name) for needed in requirements()} - set(pins(python))
    assert not missing


def test_every_direct_requirement_is_pinned_somewhere() -> None:
    needed = [
        *requirements(),
        *(r for e in project()["optional-dependencies"] for r in requirements(e)),
    ]
    names = {canonicalize_name(requirement.name) for requirement in needed if not requirement.marker}
    assert names <= {canonicalize_name(pin.name) for pin in constraints()}


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    """`make lowest` runs the tests among them."""
    lowest = {canonicalize_name(pin.name): str(pin.specifier) for pin in constraints("constraints-lowest.txt")}
    for requirement in (*requirements(), *requirements("lab"), *requirements("test")):
        (specifier,) = requirement.specifier
        assert specifier.operator == ">=", requirement
        pinned = lowest[canonicalize_name(requirement.name)].removeprefix("==")
        assert Version(pinned) == Version(specifier.version), requirement


def test_core_dependencies_have_lower_bounds_only_and_leave_jupyter_alone() -> None:
    for requirement in requirements():
        assert [specifier.operator for specifier in requirement.specifier] == [">="], requirement
    assert not {canonicalize_name(needed.name) for needed in requirements()} & NOT_FOR_CORE


def test_conda_environment_agrees_with_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == project()["name"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (by_pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    # Packages come from one list only, pyproject's: conda brings Python and pip.
    names = [re.split(r"[<>=!~ ]", entry)[0] for entry in plain]
    assert names == ["python", "pip"]
    pythons = SpecifierSet(plain[0].removeprefix("python"))
    supported = SpecifierSet(project()["requires-python"])
    for version in ("3.9", *PYTHONS):
        assert (version in pythons) == (version in supported)
    assert by_pip == ["-c constraints.txt", "-e .[lab]"]
    assert (ROOT / "constraints.txt").is_file()
    assert "lab" in project()["optional-dependencies"]


def test_citation_names_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == mini_ism.__version__
    assert citation["repository-code"] == project()["urls"]["Repository"]
    assert any("2408.00539" in reference["url"] for reference in citation["references"])


# -- the repository --------------------------------------------------------------------------------


@cache
def repository_files() -> tuple[Path, ...]:
    """What git tracks or would add: a new file counts before it is committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.decode("utf-8").split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def test_sizes() -> None:
    data = sum(path.stat().st_size for path in (ROOT / "data").rglob("*") if path.is_file())
    assert data < 12 * MEGABYTE
    assert sum(path.stat().st_size for path in repository_files()) < 40 * MEGABYTE


def forbidden_words() -> list[str]:
    """Paths of machines and hosts of registries, put together so that this file holds none."""
    homes = ["/" + name + "/" for name in ("home", "Users", "root")]
    here = [f"{path.as_posix()}/" for path in (ROOT, Path.home(), Path(sys.base_prefix))]
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("download", "pytorch", "org"),
            ("registry", "npmjs", "org"),
            ("deb", "debian", "org"),
            ("conda", "anaconda", "org"),
            ("unpkg", "com"),
            ("cdn", "jsdelivr", "net"),
        )
    ]
    return [*homes, *here, *hosts]


def test_no_file_names_a_machine_or_a_registry() -> None:
    words = "|".join(map(re.escape, forbidden_words()))
    pattern = re.compile(rf"(?<![\w.-])(?:[\w-]+\.)?(?:{words})")
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text file
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


# -- the wheel -------------------------------------------------------------------------------------


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_package_needs_neither_the_sweeps_nor_scipy() -> None:
    imports = re.compile(r"^ *(?:from|import) +(?:research|scipy|tools|tests|benchmarks)\b", re.MULTILINE)
    sources = [path for path in repository_files() if ROOT / "mini_ism" in path.parents and path.suffix == ".py"]
    assert [path for path in sources if imports.search(path.read_text(encoding="utf-8"))] == []
    from_lessons = re.compile(r"(?:from|import) (?:research|scipy)\b")
    lessons = [path for path in repository_files() if path.suffix == ".ipynb"]
    assert [path for path in lessons if from_lessons.search(path.read_text(encoding="utf-8"))] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built the way a release is: sources first, then the wheel from those sources alone."""
    out = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", out, cwd=ROOT)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # By an attribute, which a Python without filters (3.11.2 in Debian 12) does not look at.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(out)
    run(
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        out,
        cwd=out / sdist.name[: -len(".tar.gz")],
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_package_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"mini_ism"}
    assert "mini_ism/py.typed" in names
    sources = {path for path in repository_files() if ROOT / "mini_ism" in path.parents}
    assert {path.relative_to(ROOT).as_posix() for path in sources} <= names
    data = {path for path in repository_files() if ROOT / "data" in path.parents}
    assert {f"mini_ism/{path.relative_to(ROOT).as_posix()}" for path in data} <= names
    assert not [name for name in names if name.endswith(".pyc")]


@pytest.mark.slow
def test_the_wheel_holds_no_sweep_and_the_sources_hold_them_all(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if re.search(r"research/|experiment|/sweeps?[./]", name)]
        for name in (name for name in archive.namelist() if name.endswith(".py")):
            assert "register_sweep" not in archive.read(name).decode("utf-8"), name
    (sdist,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    sweeps = {path.relative_to(ROOT).as_posix() for path in repository_files() if ROOT / "research" in path.parents}
    assert "research/sweep.py" in sweeps <= held


@pytest.mark.slow
@pytest.mark.colab
def test_installing_the_wheel_changes_no_other_package(wheel: Path, tmp_path: Path) -> None:
    """The resolver's plan, here and (`make colab-test`) among Colab's versions: this package and nothing else."""
    report = tmp_path / "plan.json"
    run("-m", "pip", "install", "--dry-run", "--no-index", "--quiet", "--report", report, wheel, cwd=tmp_path)
    plan = json.loads(report.read_text(encoding="utf-8"))["install"]
    assert [item["metadata"]["name"] for item in plan] == ["mini-ism"]


@pytest.mark.slow
def test_the_zip_for_colab_holds_the_wheel_and_the_course(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(tmp_path / "colab.zip")) as archive:
        assert archive.testzip() is None
        names = sorted(archive.namelist())
    assert [name for name in names if name.endswith(".ipynb")] == [f"{name}.ipynb" for name in COURSE]
    assert [name.partition("-")[0] for name in names if not name.endswith(".ipynb")] == ["mini_ism"]


@pytest.mark.slow
def test_the_wheel_chats_offline_far_from_the_checkout(wheel: Path, tmp_path: Path, offline: Path) -> None:
    site, cwd = tmp_path / "site", tmp_path / "elsewhere"
    cwd.mkdir()
    install = ("-m", "pip", "install", "--no-deps", "--no-index", "--quiet")
    run(*install, "--target", site, wheel, cwd=cwd)
    # Ahead of an editable install of the checkout, whose path comes from a .pth file.
    path = os.pathsep.join(map(str, (offline, site)))
    env = {**os.environ, "PYTHONPATH": path, "HOME": str(cwd), "OMP_NUM_THREADS": "1"}
    assert "reply:" in run("-c", SESSION, site, cwd=cwd, env=env)
    assert "train" in run("-m", "mini_ism", "--help", cwd=cwd, env=env)
    assert not list(cwd.glob("*.*")), "the package left files behind"


def test_the_guard_blocks_the_network(offline: Path, tmp_path: Path) -> None:
    """The guard the tests lean on does refuse a connection, by name and by number."""
    code = """if True:
        import socket
        for address in ("example.invalid", "192.0.2.1"):
            try:
                socket.create_connection((address, 80), timeout=1)
            except OSError as error:
                assert "offline" in str(error), error
            else:
                raise SystemExit("connected")
    """
    run("-c", code, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(offline)})

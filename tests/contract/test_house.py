"""What is written about the project is true of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with pre-commit, its stubs do not
from click.testing import CliRunner

from services import env_example
from services.cli import relance

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_environment_example_is_made_from_the_settings() -> None:
    assert (ROOT / ".env.example").read_text() == env_example.build()


def test_the_architecture_page_holds_what_relance_topics_prints() -> None:
    printed = CliRunner().invoke(relance, ["topics"]).output.strip()
    page = (ROOT / "docs" / "architecture.md").read_text()
    match = re.search(r"<!-- topics -->\n```\n(.*?)\n```\n<!-- /topics -->", page, re.DOTALL)
    assert match is not None
    assert match[1].strip() == printed


def test_the_readme_names_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make up" in readme
    assert "make test" in readme


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\n\s+--hash=", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9][^\n]*==", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("room", ["libs", "services"])
def test_no_file_outgrows_its_room(room: str) -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / room).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert too_long == {}


def test_the_operations_page_names_every_metric_and_no_other() -> None:
    declared = r'(?:Counter|Gauge|Histogram)\(\s*"(relance_\w+)"'
    sources = [path.read_text() for room in ("libs", "services") for path in (ROOT / room).rglob("*.py")]
    named = set(re.findall(r"`(relance_\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert named == {name for source in sources for name in re.findall(declared, source)}


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^\| \[(\d{4})\]\((\1-[^)]+)\)", (folder / "README.md").read_text(), re.MULTILINE)
    assert [name for _, name in listed] == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_the_commit_hooks_download_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["language"] for repository in repositories for hook in repository["hooks"]} == {"system"}

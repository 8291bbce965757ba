"""What `make release` refuses, and that hooks and workflow call targets of the Makefile and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.release import problems_of_changelog

ROOT = Path(__file__).parents[2]
GOOD = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n### Added\n\n- A thing.\n\n## [1.1.0] - 2025-12-01\n\n- Another.\n"


def test_a_changelog_with_a_dated_section_of_this_version_may_be_released() -> None:
    assert [] == problems_of_changelog(GOOD, "1.2.0")


@pytest.mark.parametrize(
    ("changed", "version", "problem"),
    [
        (("## [Unreleased]\n", "## [Unreleased]\n\n- Not yet.\n"), "1.2.0", "Entries are unreleased"),
        (("## [Unreleased]\n\n", ""), "1.2.0", "first section"),
        (("", ""), "1.3.0", 'no section "## [1.3.0]"'),
        (("", ""), "1.1.0", 'no section "## [1.1.0]" next after'),
        ((" - 2026-01-31", ""), "1.2.0", "no date"),
        (("- A thing.\n", ""), "1.2.0", "no entry"),
    ],
)
def test_what_stands_in_the_way_of_a_release_is_named(changed: tuple[str, str], version: str, problem: str) -> None:
    assert problem in " ".join(problems_of_changelog(GOOD.replace(*changed), version))


def test_the_changelog_of_this_project_is_one_that_a_release_can_read() -> None:
    problems = problems_of_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), "0.0.0")

    assert not [problem for problem in problems if "first section" in problem]


@pytest.mark.parametrize("name", [".github/workflows/ci.yml", ".pre-commit-config.yaml"])
def test_ci_and_hooks_call_targets_of_the_makefile_and_nothing_else(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = re.findall(r"^\s*(?:- run|run|entry): (\S.*)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)

    # What the system of a runner lacks may be installed, as `setup-python` does.
    ours = [command.split() for command in commands if not command.startswith("sudo apt-get install ")]

    assert ours
    assert [] == [words for words in ours if words[0] != "make" or words[1] not in targets]


def test_every_dependency_is_pinned_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    pinned: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith(("#", " ")):
            name, version = line.split(";")[0].strip().split("==")
            pinned.setdefault(canonicalize_name(name), []).append(version)
    wrong = [
        str(requirement)
        for requirement in map(Requirement, declared)
        if requirement.name != "pixfind"
        and not any(
            requirement.specifier.contains(version) for version in pinned.get(canonicalize_name(requirement.name), [])
        )
    ]

    assert [] == wrong, "constraints.txt is out of date: make constraints"

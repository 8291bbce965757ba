"""
The documents say what the program does.

`docs/reference/errors.md` and `docs/reference/cli_help.txt` are golden files: a test that finds them different writes them again and fails, so that the change
shows up in review as a diff.
"""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pixfind
from pixfind import errors
from pixfind.cli import BUG
from pixfind.testing import make_library, make_pictures

ROOT = Path(__file__).parents[2]

HEAD = """# Errors

All errors of pixfind, with their exit codes. Words in braces are filled in.
0 is success, 1 a search that found nothing, 2 wrong usage, 70 a bug of ours, 130 a run that was stopped.
"""


def _kinds(base: type) -> list[Any]:
    return [kind for child in base.__subclasses__() for kind in (child, *_kinds(child))]


def _errors_page() -> str:
    lines = [HEAD, "## Errors that stop a command\n"]
    for kind in sorted(_kinds(errors.OperationError), key=lambda kind: (kind.exit_code, kind.__name__)):
        lines += [f"### {kind.exit_code} {kind.__name__}\n", *_quoted(kind), ""]
    lines.append("## What `pixfind serve` answers to a request that it refuses\n")
    for kind in sorted(_kinds(errors.RequestError), key=lambda kind: (kind.status, kind.__name__)):
        lines += [f"### {kind.status} {kind.__name__}\n", *_quoted(kind), ""]
    lines.append(
        "## Why an image is not embedded\n\nRecorded with the image and counted by `pixfind status`; they never stop a run.\n"
    )
    for kind in sorted(_kinds(errors.ImageProblem), key=lambda kind: kind.__name__):
        fate = "skipped" if kind.skipped else "tried again by the next run" if kind.transient else "failed"
        lines += [f"### {kind.__name__} ({fate})\n", *_quoted(kind), ""]
    return "\n".join(lines)


def _quoted(kind: type) -> list[str]:
    return [f"> {line}" for line in inspect.cleandoc(kind.__doc__ or "").splitlines()]


def _help() -> str:
    from typer import rich_utils
    from typer.main import get_group
    from typer.testing import CliRunner

    from pixfind.cli import app

    commands = get_group(app).commands
    verbs: list[tuple[str, ...]] = [(verb,) for verb in commands]
    verbs += [(verb, below) for verb, command in commands.items() for below in getattr(command, "commands", {})]
    pages = []
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    # Read from the environment when the module is imported, which may have been long ago.
    before, rich_utils.MAX_WIDTH = rich_utils.MAX_WIDTH, 100
    try:
        for verb in ((), *sorted(verbs)):
            shown = CliRunner().invoke(app, [*verb, "--help"], env=plain, prog_name="python -m pixfind")
            assert 0 == shown.exit_code, shown.output
            pages.append("\n".join(line.rstrip() for line in shown.output.splitlines()).strip())
    finally:
        rich_utils.MAX_WIDTH = before
    return "\n\n".join(pages) + "\n"


@pytest.mark.parametrize(
    ("name", "made"), [("errors.md", _errors_page), ("cli_help.txt", _help)], ids=["errors", "help"]
)
def test_the_golden_documents_are_up_to_date(name: str, made: Callable[[], str]) -> None:
    path = ROOT / "docs/reference" / name
    now = made()
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(now, encoding="utf-8")

    assert before == now, (
        f"docs/reference/{name} was out of date and has been written again: look at its diff and commit it"
    )


def test_every_error_has_its_own_exit_code_above_two() -> None:
    usage = {errors.InvalidUsage, *_kinds(errors.InvalidUsage)}
    codes = {kind.__name__: kind.exit_code for kind in _kinds(errors.OperationError) if kind not in usage}
    shared = {code for code in codes.values() if list(codes.values()).count(code) > 1}

    assert set() == shared
    # 70 is a bug; from 126 on shells have meanings of their own.
    assert all(3 <= code < 126 and code != BUG for code in codes.values())
    assert {2} == {kind.exit_code for kind in usage}


def test_no_flag_takes_a_bool() -> None:
    assert "bool" not in (ROOT / "docs" / "reference" / "cli_help.txt").read_text(encoding="utf-8")


def test_the_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['pixfind', '--help']\n"
        "import pixfind.__main__\n"
        "try: pixfind.__main__.main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'onnxruntime', 'faiss', 'torch', 'ray', 'openvino', 'transformers', 'huggingface_hub', 'tokenizers', 'fastapi', 'mcp'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stderr.strip().splitlines()[-1]


def test_the_python_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 5)
    make_library(tmp_path / "demo-library", tmp_path / "pictures").close()
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (0, 3) == (done.returncode, len(done.stdout.splitlines())), done.stderr


def test_every_verb_is_in_the_readme() -> None:
    from typer.main import get_group

    from pixfind.cli import app

    verbs = set(get_group(app).commands)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert set() == {verb for verb in verbs if not re.search(rf"(pixfind |`){verb}(?![\w-])", readme)}


def test_the_python_of_the_pages_is_python() -> None:
    blocks = [
        (page.name, block)
        for page in (ROOT / "docs").rglob("*.md")
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    for name, block in blocks:
        compile(block, name, "exec")
    called = {name for _, block in blocks for name in re.findall(r"\blibrary\.(\w+)", block)}

    assert called
    assert all(hasattr(pixfind.Library, name) for name in called), called


def test_the_tree_of_the_readme_is_the_tree() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").partition("src/pixfind/\n")[2].partition("```")[0]
    package = ROOT / "src" / "pixfind"
    parts = {path.name + "/" for path in package.iterdir() if (path / "__init__.py").exists()}
    parts |= {path.name for path in package.glob("*.py") if not path.name.startswith("__")}

    assert set() == {part for part in parts if part not in tree.replace("errors.py", "errors.py errors/")}

"""What an import loads: commands that only read the catalogue do without NumPy."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pixfind.embedding.runners.serial import Serial
from pixfind.testing import make_library, make_pictures
from pixfind.testing.libraries import QUIET
from pixfind.workflows.index import index


@pytest.mark.parametrize("module", ["pixfind.library.library", "pixfind.library.control", "pixfind.types"])
def test_reading_a_library_loads_no_numpy(module: str) -> None:
    code = f"import {module}, sys; print('numpy' in sys.modules)"

    assert "False\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_opening_a_library_and_reading_its_ledger_loads_no_numpy(tmp_path: object) -> None:
    code = (
        "import sys; from pathlib import Path; from pixfind.library.library import Library\n"
        "Library.create(Path(sys.argv[1])).close()\n"
        "with Library.open(Path(sys.argv[1])) as library: library.catalogue.ledger(), library.model(), library.holder()\n"
        "print(library.merged_rows, 'numpy' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "0 False\n" == ran.stdout


#: What takes longer to import than the work of a short command.
_SLOW = ("pydantic", "rich", "psutil", "platformdirs", "asyncio", "importlib.abc", "importlib.resources")

_SEARCH = (
    *_SLOW,
    "onnx",
    "openvino",
    "torch",
    "PIL",
    "faiss",
    "filelock",
    "huggingface_hub",
    "fastapi",
    "pandas",
    "pixfind.cli.index_commands",
    "pixfind.worker",
    "pixfind.embedding.coordinator",
    "pixfind.embedding.runners",
    "pixfind.server",
)

#: command -> what it does without
_WITHOUT = {
    "status": (
        *_SLOW,
        "filelock",
        "pixfind.embedding.progress",
        "pixfind.cli.search_commands",
        "numpy",
        "PIL",
        "faiss",
        "onnxruntime",
        "blake3",
        "huggingface_hub",
        "tokenizers",
        "fastapi",
        "pixfind.worker",
    ),
    "stop": (
        *_SLOW,
        "pixfind.cli.search_commands",
        "numpy",
        "PIL",
        "faiss",
        "onnxruntime",
        "blake3",
        "huggingface_hub",
        "tokenizers",
        "fastapi",
        "pixfind.worker",
    ),
    "search sky": _SEARCH,
    "search -k 3 --paths --in pictures --after 2021 --landscape --pictures none sky": _SEARCH,
    "search-image pictures/000.jpg": ("pydantic", "rich", "tokenizers"),
    "embed 1 --cpu 50% --memory 4GiB --between 22:00-07:00 --device cpu --max-megapixels 5": ("pydantic", "rich"),
    "model list --json": ("pydantic", "rich", "numpy"),
    "-q index": ("pydantic", "rich", "PIL", "faiss", "onnxruntime", "huggingface_hub", "tokenizers", "asyncio"),
    "--help": ("numpy", "PIL", "pixfind.workflows.watch", "pixfind.worker"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with five embedded images and an index of them."""
    place = tmp_path_factory.mktemp("imports")
    make_pictures(place / "pictures", 5)
    with make_library(place / "library", place / "pictures") as made:
        index(made, (), QUIET, runner=Serial())
    return place / "library"


@pytest.mark.parametrize("command", _WITHOUT)
def test_a_command_loads_only_what_it_uses(library: Path, command: str) -> None:
    code = (
        "import contextlib, sys\n"
        "from pixfind.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "--library", str(library), *command.split()]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stderr.splitlines()[-1].split()

    assert "pixfind.cli" in loaded
    assert [] == [name for name in loaded for heavy in _WITHOUT[command] if (name + ".").startswith(heavy + ".")]


@pytest.mark.usefixtures("unmeasured")
def test_a_worker_never_loads_the_library() -> None:
    code = "import sys, pixfind.worker.process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert [] == [
        name for name in loaded if name.startswith(("sqlite3", "pixfind.library", "pixfind.search", "typer", "rich"))
    ]


def test_every_command_is_found_in_the_table_of_modules() -> None:
    """One that is missing there is found too, but only after all modules are imported."""
    from pixfind.cli import app, options

    assert set(typer.main.get_group(app).commands) == {name for listed in options.MODULES.values() for name in listed}

"""What an import loads: commands that only read the catalogue do without NumPy."""

import subprocess
import sys

import pytest


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

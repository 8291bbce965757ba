import subprocess
import sys

from pixfind import models


def test_the_default_is_in_the_table() -> None:
    row = models.find(models.DEFAULT)

    assert row is not None
    assert "Apache-2.0" == row.licence


def test_every_name_finds_its_own_row() -> None:
    assert list(models.TABLE) == [models.find(row.name) for row in models.TABLE]


def test_an_unknown_name_finds_nothing() -> None:
    assert models.find("resnet-50") is None


def test_only_the_starter_needs_no_download() -> None:
    assert [models.STARTER] == [row.name for row in models.TABLE if not row.download_bytes]
    assert [models.STARTER] == [row.name for row in models.TABLE if not row.repo]


def test_every_quality_names_its_source() -> None:
    assert all(row.quality_source for row in models.TABLE)


def test_the_table_loads_no_library_that_runs_models() -> None:
    code = "import sys, pixfind.models; print(sorted({'onnxruntime', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_the_interface_of_the_encoders_loads_no_engine() -> None:
    heavy = "{'onnxruntime', 'torch', 'openvino', 'transformers', 'tokenizers', 'huggingface_hub', 'onnx'}"
    code = f"import sys, pixfind.encoders, pixfind.hub, pixfind.tune; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()

import subprocess
import sys

from pixfind.models import registry


def test_the_default_is_in_the_table() -> None:
    row = registry.find(registry.DEFAULT)

    assert row is not None
    assert "Apache-2.0" == row.licence


def test_every_name_finds_its_own_row() -> None:
    assert list(registry.TABLE) == [registry.find(row.name) for row in registry.TABLE]


def test_an_unknown_name_finds_nothing() -> None:
    assert registry.find("resnet-50") is None


def test_only_the_starter_needs_no_download() -> None:
    assert [registry.STARTER] == [row.name for row in registry.TABLE if not row.download_bytes]
    assert [registry.STARTER] == [row.name for row in registry.TABLE if not row.repo]


def test_every_quality_names_its_source() -> None:
    assert all(row.quality_source for row in registry.TABLE)


def test_the_table_loads_no_library_that_runs_models() -> None:
    code = "import sys, pixfind.models; print(sorted({'onnxruntime', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_the_interface_of_the_encoders_loads_no_engine() -> None:
    heavy = "{'onnxruntime', 'torch', 'openvino', 'transformers', 'tokenizers', 'huggingface_hub', 'onnx'}"
    code = f"import sys, pixfind.models.encoders, pixfind.models.hub, pixfind.models.tune; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()

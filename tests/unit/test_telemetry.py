"""The switches are thrown before any library is looked at, in this process and those that it starts, whatever the environment says."""

import os
import subprocess
import sys

LIBRARIES = ("onnxruntime", "openvino", "huggingface_hub", "transformers", "torch", "nncf", "ray", "fastapi", "mcp")

#: Imports every part of pixfind, and all that it uses and is installed; fails when one of them is looked for too early.
EVERYTHING = f"""
import contextlib, importlib, importlib.abc, os, pkgutil, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        assert name != "openvino_telemetry", "looked for"
        if name in {LIBRARIES}:
            assert "1" == os.environ["ORT_DISABLE_TELEMETRY"], name
            assert "1" == os.environ["HF_HUB_DISABLE_TELEMETRY"], name
sys.meta_path.insert(0, Watch())
import pixfind
for module in pkgutil.walk_packages(pixfind.__path__, "pixfind."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for library in {LIBRARIES}:
    with contextlib.suppress(ImportError):
        importlib.import_module(library)
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_every_switch_is_thrown_before_a_library_is_looked_at() -> None:
    run(EVERYTHING, ORT_DISABLE_TELEMETRY="0", HF_HUB_DISABLE_TELEMETRY="0", DO_NOT_TRACK="0")


def test_a_process_that_we_start_has_the_switches_too() -> None:
    code = "import pixfind, subprocess, sys; print(subprocess.check_output(['env'], text=True))"

    assert {"ORT_DISABLE_TELEMETRY=1", "RAY_USAGE_STATS_ENABLED=0"} <= set(run(code).splitlines())


def test_the_hub_library_knows_that_it_is_to_be_silent() -> None:
    run(
        "import pixfind, huggingface_hub.constants as known; assert known.HF_HUB_DISABLE_TELEMETRY",
        HF_HUB_DISABLE_TELEMETRY="0",
    )


def test_a_program_that_imported_openvinos_telemetry_before_us_keeps_it() -> None:
    code = "import sys, types; sys.modules['openvino_telemetry'] = own = types.ModuleType('own')\n"

    run(code + "import pixfind; assert sys.modules['openvino_telemetry'] is own")


def test_a_program_that_imports_us_may_trace_what_it_likes() -> None:
    run("import os, pixfind; assert 'OTEL_SDK_DISABLED' not in os.environ")
    run(
        "import os, sys, contextlib; from pixfind.cli import main; sys.argv = ['pixfind', '--help']\n"
        "with contextlib.suppress(SystemExit):\n    main()\n"
        "assert 'true' == os.environ['OTEL_SDK_DISABLED']"
    )

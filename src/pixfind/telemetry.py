"""
Telemetry of the libraries that we use: switched off before any of them is imported.

Owns the list of switches. `pixfind/__init__` throws them, so they hold in every process that imports any part of pixfind, and in
all that it starts. A library that reports anything gets its line here before it becomes a dependency. Must not import any of them.
What each would send otherwise, and how the silence is tested: docs/explanation/privacy.md.
"""

import os
import sys

#: Each overrides what the environment says: the promise is ours, not the user's to keep.
_SWITCHES = {
    # Since 1.32 it writes an identifier of the machine to ~/.cache and uploads events from native code, on Linux as well.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, transformers, tokenizers
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",  # what several libraries agreed on: https://donottrack.sh
}

#: OpenVINO reports when it is imported, and NNCF when it is used, both through this package, which is theirs to do without:
#: where it cannot be imported they take their own stub. Its opt-out file in the user's home is not ours to write.
_PACKAGE = "openvino_telemetry"


def disable() -> None:
    """Switch off what reports to the makers of libraries, in this process and those that it starts."""
    os.environ.update(_SWITCHES)
    # Where a program imported it before us, that was the program's decision.
    sys.modules.setdefault(_PACKAGE, None)  # type: ignore[arg-type]  # None: an import of it fails


def disable_export() -> None:
    """
    Switch off the export of traces, which FastAPI and MCP begin where the environment names a collector: they would hold queries.

    Only for processes that are ours alone: a program that imports pixfind may trace what it likes.
    """
    os.environ["OTEL_SDK_DISABLED"] = "true"

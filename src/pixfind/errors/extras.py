"""
The command that installs an extra, which depends on what made the environment that this process runs in.
"""

import os
import shlex
import sys
from pathlib import Path


def install_command(extra: str) -> str:
    """
    Return what to type to have an extra of pixfind, such as "raw", beside those that are there in the environment of this process.

    pipx and uv leave a file each in the environments that they own: https://pipx.pypa.io, https://docs.astral.sh/uv/concepts/tools.
    """
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").exists():
        return f"pipx runpip {shlex.quote(environment.name)} install 'pixfind[{extra}]'"
    if (receipt := environment / "uv-receipt.toml").exists():
        return _of_uv(receipt, extra)
    active = os.environ.get("VIRTUAL_ENV")
    pip = "pip" if active and Path(active) == environment else f"{shlex.quote(sys.executable)} -m pip"
    return f"{pip} install 'pixfind[{extra}]'"


def _of_uv(receipt: Path, extra: str) -> str:
    """Return the command for a tool of uv, which removes the extras that it does not name."""
    import tomllib

    try:
        found = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        own = next(each for each in found if each["name"] == "pixfind")
        source = own.get("directory") or own.get("editable") or "pixfind"
        extras = ",".join(dict.fromkeys([*own.get("extras", ()), extra]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        source, extras = "pixfind", extra
    return f"uv tool install {shlex.quote(f'{source}[{extras}]')}"

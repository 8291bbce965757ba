"""What is to be typed for an extra depends on who made the environment."""

import sys
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.errors.extras import install_command


def test_pipx_owns_its_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / "pixfind"
    environment.mkdir()
    (environment / "pipx_metadata.json").touch()
    monkeypatch.setattr(sys, "prefix", str(environment))

    assert "pipx runpip pixfind install 'pixfind[raw]'" == install_command("raw")


@pytest.mark.parametrize(
    ("requirement", "named"),
    [
        ('{ name = "pixfind" }', "pixfind[raw]"),
        ('{ name = "pixfind", extras = ["map", "raw"] }', "pixfind[map,raw]"),
        ('{ name = "pixfind", extras = ["map"], directory = "/a clone" }', "/a clone[map,raw]"),
        ('{ name = "pixfind", editable = "/clone" }', "/clone[raw]"),
        ('{ name = "another" }', "pixfind[raw]"),
        ("what a later version writes", "pixfind[raw]"),
    ],
)
def test_uv_keeps_the_extras_that_are_there(
    requirement: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv-receipt.toml").write_text(f"[tool]\nrequirements = [{requirement}]\n", encoding="utf-8")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert f"uv tool install '{named}'" == install_command("raw")


def test_pip_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/some where/python")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert "pip install 'pixfind[ocr]'" == install_command("ocr")

    monkeypatch.delenv("VIRTUAL_ENV")
    assert "'/some where/python' -m pip install 'pixfind[ocr]'" == install_command("ocr")


def test_an_error_about_an_extra_says_what_to_type() -> None:
    for error in (
        errors.ExtraNotInstalled(what="This", package="av", extra="cloud"),
        errors.CloudSupportMissing(path="s3://a/b"),
    ):
        assert str(error).endswith(f"Install it with: {install_command('cloud')}")
        # As when it comes from another process.
        kind, arguments = error.__reduce__()
        assert str(error) == str(kind(*arguments))

"""The examples of docs/reference/api.md, run as they stand."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind.testing import make_image

PAGE = (Path(__file__).parents[2] / "docs/reference/api.md").read_text(encoding="utf-8")
EXAMPLES = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ curl")]
AUTH = next(line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ AUTH="))


@pytest.fixture(scope="module")
def guarded(drawn: Path, connect: Callable[..., Any]) -> Iterator[Any]:
    """A client of a server that needs its token."""
    with connect(drawn, drawn.parent / "guarded.log", token=True) as made:
        made.library = drawn
        yield made


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are for curl")
@pytest.mark.parametrize("example", [line for line in EXAMPLES if not re.search("start|scan", line)])
def test_an_example_of_the_document_works(guarded: Any, tmp_path: Path, example: str) -> None:
    make_image(tmp_path / "picture.jpg")
    port = guarded.server.port
    command = f"{AUTH.replace('LIBRARY', str(guarded.library))}; {example}"
    command = command.replace("8765", str(port)).replace("curl -s", "curl --fail-with-body -s")
    done = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr), done.stdout[:500]
    assert done.stdout or any(path.stat().st_size for path in tmp_path.iterdir() if path.name != "picture.jpg")


def test_the_document_has_examples_of_every_route(client: Any) -> None:
    described = client.get("/openapi.json").json()["paths"]
    shown = " ".join(EXAMPLES)

    missing = [
        path for path in described if not re.search(path.replace("{image_id}", r"\d+").replace("{name}", r"\w+"), shown)
    ]
    assert [] == missing


def test_the_document_names_the_limits_that_hold() -> None:
    from pixfind.images import thumbnails
    from pixfind.server import openai_api, schemas, uploads

    for number in (schemas.MAX_HITS, schemas.MAX_OFFSET, openai_api.MAX_INPUTS, *thumbnails.SIDES):
        assert f"{number:,}" in PAGE
    assert f"{uploads.MAX_IMAGE_BYTES >> 20} MiB ({openai_api.MAX_BYTES >> 20} MiB" in PAGE

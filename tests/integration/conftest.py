"""A hub on localhost in place of the real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind.testing.hub import CHUNK, Hub, serving

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with two small models, `someone/clip` and `someone/siglip`; the cache is empty."""
    with serving() as state:
        state.repos = {"someone/clip": GOLDEN / "clip-tiny", "someone/siglip": GOLDEN / "siglip2-tiny"}
        monkeypatch.setenv("HF_ENDPOINT", state.address)
        monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        # The library hands over 10 MB at a time and drops what it has of the last such piece when the line breaks.
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)
        yield state

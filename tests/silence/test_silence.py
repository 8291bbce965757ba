"""
No command of ours talks to anybody but this machine, and none of the libraries below it does.

Every verb runs as a user would run it: no CI in the environment, a home of its own. With the extras installed
(`make test-extras`) the same tests run with them, and those that need one are not skipped.
"""

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import typer

from pixfind.cli import app
from pixfind.library import watch_lock
from pixfind.library.library import Library
from pixfind.storage.output import Output
from pixfind.testing import draw_text, make_image, make_library, make_slow_pictures, wait_for
from pixfind.testing.images import picture
from pixfind.testing.objects import serving
from pixfind.testing.raw import make_dng
from pixfind.testing.watch import Audit, Seen, Strace
from pixfind.workflows import export_file

#: Minutes beside the rest of the suite: `make test-extras` runs them.
pytestmark = [pytest.mark.extras, pytest.mark.timeout(1200)]

STARTER = ("--model", "starter", "--cpu", "100%")
#: Each verb with arguments that let it do its work on a library where all is embedded ("filled") or nothing is ("known").
VERBS: dict[str, tuple[str, ...]] = {
    "search": ("sky", "+red", "-snow", "--html", "{home}/library/sheet.html"),
    "search-text": ("sky",),
    "search-image": ("{home}/pictures/picture_00003.jpg",),
    "duplicates": (),
    "verify": ("--repair",),
    "status": (),
    "plan": (),
    "relocate": ("{home}/pictures", "{home}/moved", "--dry-run", "--anyway"),
    "backup": ("{home}/backup",),
    "export": ("{home}/library/images.jsonl", "--embeddings"),
    "albums": (),
    "thumbnails": (),
    "models": (),
    "model": ("show", "starter"),
    "merge": (),
    "build-index": (),
    "completions": ("bash",),
    "config": (),
    "man": (),
}
TALKERS = {
    "index",
    "watch",
    "import",
    "add",
    "embed",
    "label",
    "read-text",
    "stop",
    "pause",
    "resume",
    "limit",
    "demo",
    "tune",
    "serve",
    "mcp",
}

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs the openvino extra")
needs_nncf = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="needs the nncf extra")
needs_raw = pytest.mark.skipif(importlib.util.find_spec("rawpy") is None, reason="needs the raw extra")
needs_ocr = pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="needs the ocr extra")
needs_cloud = pytest.mark.skipif(importlib.util.find_spec("obstore") is None, reason="needs the cloud extra")
needs_mcp = pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="needs the mcp extra")


def test_every_verb_is_watched() -> None:
    assert {*VERBS, *TALKERS} == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_looks_is_silent(filled: Any, verb: str) -> None:
    filled.run(verb, *(argument.format(home=filled.home) for argument in VERBS[verb]))

    filled.assert_silent()


def test_label_is_silent(filled: Any) -> None:
    words = filled.home / "library" / "labels.txt"
    words.write_text("red >= 0\nsnow >= 0\n", encoding="utf-8")
    filled.run("label", words)

    filled.assert_silent()


def test_import_is_silent(known: Any, tmp_path: Path) -> None:
    table = known.home / "library" / "images.jsonl"
    with make_library(tmp_path / "elsewhere", known.home / "pictures") as library:
        export_file.export_file(library, Output.at(table), export_file.Format.JSONL, embeddings=True)
    known.run("import", table)

    known.assert_silent()


def test_index_is_silent(place: Any) -> None:
    place.run("index", place.home / "pictures", *STARTER)

    assert runs_worker(place.assert_silent())


@needs_raw
@pytest.mark.parametrize("preview", [None, (160, 120)])
def test_raw_files_are_read_in_silence(place: Any, preview: tuple[int, int] | None) -> None:
    seen = picture(1, (320, 240))
    make_dng(place.home / "pictures" / "a.dng", seen, preview=preview and seen.resize(preview))
    place.run("index", place.home / "pictures", *STARTER)

    assert runs_worker(place.assert_silent())
    assert '"embedded": 13' in place.run("status", "--json").stdout


@needs_cloud
def test_only_the_store_that_is_named_is_asked(place: Any) -> None:
    with serving() as store:
        for path in (place.home / "pictures").iterdir():
            store.put(path.name, path.read_bytes())
        # Without credentials clients ask the metadata service of clouds, at an address that is not loopback.
        refused = place.run("add", "s3://photos", "--endpoint", store.address, "--model", "starter", code=44)
        place.assert_silent()
        assert "--instance-role" in refused.stderr
        assert not store.requests
        place.run("index", "s3://photos", "--endpoint", store.address, "--anonymous", *STARTER)

    assert runs_worker(place.assert_silent())
    assert '"embedded": 12' in place.run("status", "--json").stdout


def test_only_the_web_server_that_is_named_is_asked(place: Any) -> None:
    with serving() as store:
        for path in (place.home / "pictures").iterdir():
            store.put(path.name, path.read_bytes())
        place.run("index", f"{store.address}/photos", *STARTER)

    assert runs_worker(place.assert_silent())
    assert '"embedded": 12' in place.run("status", "--json").stdout


@needs_ocr
def test_text_is_read_in_silence(known: Any) -> None:
    draw_text(known.home / "pictures" / "page.png", "Invoice 2023")
    known.run("index")
    known.run("read-text")

    assert runs_worker(known.assert_silent())
    assert "says" in known.run("search", "says:invoice").stdout


def test_add_is_silent(place: Any) -> None:
    place.run("add", place.home / "pictures", "--model", "starter")

    place.assert_silent()


def test_embed_is_silent(known: Any) -> None:
    known.run("embed", "2")

    assert runs_worker(known.assert_silent())


def test_an_embed_in_the_background_is_silent(known: Any) -> None:
    known.run("embed", "1", "--background")

    seen = known.assert_silent()
    # Without strace nobody waits for the background.
    assert runs_worker(seen) or isinstance(known.watch, Audit)


def test_int8_is_silent(place: Any) -> None:
    place.run("index", place.home / "pictures", *STARTER, "--precision", "int8")

    place.assert_silent()


def test_another_model_is_silent(filled: Any) -> None:
    golden = Path(__file__).parents[1] / "golden" / "clip-tiny"
    filled.run("model", "switch", golden)
    filled.run("model", "rollback")
    filled.run("model", "prune")

    filled.assert_silent()


def test_demo_is_silent(place: Any) -> None:
    place.run("demo", "--count", "20", "--pictures", place.home / "pictures" / "drawn")

    place.assert_silent()


def test_tune_is_silent(filled: Any) -> None:
    filled.run("tune")

    filled.assert_silent()


def test_words_to_a_running_embed_are_silent(known: Any) -> None:
    make_slow_pictures(known.home / "pictures" / "slow", 100)
    known.run("add", known.home / "pictures")
    ours = [sys.executable, "-m", "pixfind", "--library", str(known.library), "embed", "1"]
    with subprocess.Popen(ours, env=known.environment(), stderr=subprocess.DEVNULL) as embed:
        while b"" == b"".join(path.read_bytes() for path in known.library.glob("data/indices_worker_0.npy")):
            assert embed.poll() is None
        for words in (["pause"], ["resume"], ["limit", "100%"], ["stop"]):
            known.run(*words)
        embed.wait(600)

    known.assert_silent()


def test_a_watch_is_silent(filled: Any) -> None:
    with subprocess.Popen(filled.command("watch"), env=filled.environment(), stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: watch_lock.read(filled.library))
        make_image(filled.home / "pictures" / "new.jpg", seed=900)
        with Library.open(filled.library) as library:
            wait_for(lambda: library.catalogue.ledger()["embedded"] == 13)
        watch_lock.request_stop(filled.library)
        process.wait(100)

    assert runs_worker(filled.assert_silent())


def test_serve_is_silent_whatever_is_asked_of_it(filled: Any) -> None:
    command = filled.command("serve", "--port", "0", "--no-token")
    with subprocess.Popen(command, env=filled.environment(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        hits = json.loads(ask(f"{address}/api/search?q=sky&k=3"))["hits"]
        for path in ("/", "/api/status", f"/api/images/{hits[0]['image_id']}/thumbnail", "/openapi.json", "/metrics"):
            ask(address + path)
        interrupt(server)

    filled.assert_silent()


@needs_mcp
def test_mcp_is_silent(filled: Any) -> None:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def talk() -> None:
        program, *arguments = filled.command("mcp")
        command = StdioServerParameters(command=program, args=arguments, env=filled.environment())
        async with stdio_client(command) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
            await session.initialize()
            found = await session.call_tool("search_images", {"query": "sky", "count": 3})
            assert json.loads(found.model_dump()["content"][0]["text"])["hits"]

    asyncio.run(talk())
    filled.assert_silent()


@needs_openvino
def test_a_library_made_with_openvino_is_silent(place: Any) -> None:
    openvino_runs_bf16()
    place.run("index", place.home / "pictures", *STARTER, "--precision", "bf16")

    assert loads_openvino(place.assert_silent())


@needs_nncf
def test_int8_for_openvino_is_silent(place: Any) -> None:
    place.run("index", place.home / "pictures", *STARTER, "--precision", "int8-openvino")

    seen = place.assert_silent()
    assert loads_openvino(seen)
    assert any("pixfind.models.backends.nncf" in command for command in seen.commands)


@needs_openvino
def test_tune_looks_for_openvino_and_is_silent(filled: Any) -> None:
    filled.run("tune")

    assert loads_openvino(filled.assert_silent())


def test_a_program_that_uses_pixfind_is_silent(filled: Any) -> None:
    code = (
        "import sys, pixfind\n"
        "with pixfind.open(sys.argv[1]) as library:\n"
        "    assert library.search('sky', k=3).hits\n"
        "for name in ('openvino', 'onnxruntime', 'huggingface_hub', 'transformers', 'torch', 'nncf', 'mcp', 'fastapi'):\n"
        "    try: __import__(name)\n"
        "    except ImportError: pass\n"
    )
    command = filled.watch.command(sys.executable, "-c", code, str(filled.library))
    subprocess.run(command, env=filled.environment(), check=True, timeout=600)

    filled.assert_silent()


def test_ray_asks_nobody_but_the_system_for_the_name_of_the_user(filled: Any) -> None:
    pytest.importorskip("ray")
    command = filled.watch.command(sys.executable, "-c", "import pixfind.embedding.runners.ray, ray")
    subprocess.run(command, env=filled.environment(), check=True, timeout=600)

    assert {'unix:"/var/run/nscd/socket"'} >= set(filled.watch.seen().connections)


# --- what the watch itself sees -------------------------------------------------------------------

CONNECT = "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('192.0.2.1', 9))"
#: As native code does it: 192.0.2.1, which belongs to nobody, port 9.
NATIVE = (
    "import ctypes, socket, struct; c = ctypes.CDLL(None); s = socket.socket(); s.setblocking(False)\n"
    "c.connect(s.fileno(), struct.pack('=H', socket.AF_INET) + struct.pack('!H', 9) + bytes([192, 0, 2, 1]) + bytes(8), 16)"
)
NAMES = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'?', ('127.0.0.1', 53))"


def watched(watch: Strace | Audit, code: str) -> Seen:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    environment = {**os.environ, **watch.environment()}
    subprocess.run(watch.command(sys.executable, "-c", child), env=environment, check=True, timeout=600)
    return watch.seen()


@pytest.fixture(params=["strace", "audit"])
def each_watch(request: pytest.FixtureRequest, tmp_path: Path, without_strace: str | None) -> Strace | Audit:
    if request.param == "audit":
        return Audit(tmp_path / "watch")
    if without_strace is not None:
        pytest.skip(f"needs strace: {without_strace}")
    return Strace(tmp_path / "watch")


def test_a_connection_of_a_child_is_seen(each_watch: Strace | Audit) -> None:
    assert ["inet:192.0.2.1:9"] == watched(each_watch, CONNECT).connections


def test_a_question_for_a_name_is_seen_even_when_this_machine_answers_it(each_watch: Strace | Audit) -> None:
    assert ["inet:127.0.0.1:53"] == watched(each_watch, NAMES).connections


def test_a_fork_is_seen(each_watch: Strace | Audit) -> None:
    assert 1 == watched(each_watch, "import os; os.fork()").forked


def test_a_command_is_seen(each_watch: Strace | Audit) -> None:
    assert ["true"] in watched(each_watch, "import subprocess; subprocess.run(['true'])").commands


def test_a_connection_of_native_code_is_seen(tmp_path: Path, without_strace: str | None) -> None:
    if without_strace is not None:
        pytest.skip(f"needs strace: {without_strace}")

    assert ["inet:192.0.2.1:9"] == watched(Strace(tmp_path / "watch"), NATIVE).connections


# --- helpers --------------------------------------------------------------------------------------


def runs_worker(seen: Seen) -> bool:
    return any("pixfind.worker" in command for command in seen.commands)


def loads_openvino(seen: Seen) -> bool:
    return any(name == "openvino" or name.startswith("libopenvino") for name in seen.opened)


def openvino_runs_bf16() -> None:
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16 instructions")


def ask(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=600) as answer:  # noqa: S310 - the address of our own server
        content: bytes = answer.read()
    return content


def interrupt(server: "subprocess.Popen[str]") -> None:
    """Ctrl-C for the server and not for who watches it."""
    import psutil

    watched = [server, *psutil.Process(server.pid).children()]
    watched[-1].send_signal(signal.SIGINT)
    server.wait(600)

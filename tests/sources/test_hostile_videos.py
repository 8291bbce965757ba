"""Videos that are cut, encrypted, or made to deceive: frames or failures, and no process that stays behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import av
import numpy as np
import pytest
from tests.sources.test_videos import LIMITS, add, outcomes, run

from pixfind import errors
from pixfind.images import decode, source
from pixfind.images.source import video_finder
from pixfind.library.library import Library
from pixfind.testing import images
from pixfind.testing.videos import make_sound, make_video


def encrypted(path: Path) -> None:
    make_video(
        path,
        mux={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
            "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
        },
    )


def zero_frames(path: Path) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        file.start_encoding()


def cut(path: Path) -> None:
    make_video(path)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("name", "make", "outcome"),
    [
        ("sound.mp4", make_sound, ("failed", "no video: there are only sound or cover pictures in it")),
        ("zero.mp4", zero_frames, ("failed", "no video: there is nothing in it")),
        ("cut.mp4", cut, ("failed", "damaged: Invalid data found when processing input")),
        ("empty.mkv", lambda path: path.touch(), ("failed", "empty file")),
        ("text.avi", lambda path: path.write_text("no video" * 999), ("failed", "damaged: Invalid data found when processing input")),
        ("noise.webm", lambda path: path.write_bytes(np.random.default_rng(1).bytes(99_999)), ("failed", "damaged: Invalid data found when processing input")),
        ("encrypted.mp4", encrypted, ("skipped", "encrypted: pixfind does not read videos that need a key")),
    ],
)  # fmt: skip
def test_a_video_without_frames_has_one_outcome_and_its_reason(
    library: Library, pictures: Path, name: str, make: Callable[[Path], object], outcome: tuple[str, str]
) -> None:
    make(pictures / name)
    assert 1 == add(library, pictures).new
    run(library)
    assert {name: outcome} == outcomes(library)
    assert 0 == add(library, pictures).gone


def test_what_comes_before_the_cut_is_embedded(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mkv", 6)
    os.truncate(path, path.stat().st_size // 2)
    report = add(library, pictures)
    assert 1 < report.new < 6
    assert {"embedded": report.new} == run(library)


_HOW: dict[str, dict[str, Any]] = {
    "c.avi": {"codec": "mpeg4"},
    "d.mts": {"container": "mpegts"},
    "e.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "f.mpg": {"codec": "mpeg2video"},
}


def test_flipped_bytes_are_frames_or_failures(library: Library, pictures: Path) -> None:
    random = np.random.default_rng(5)
    for number, name in enumerate(["a.mp4", "b.mkv", "c.avi", "d.mts", "e.webm", "f.mpg"] * 3):
        path = make_video(pictures / f"{number}{name}", 2, **_HOW.get(name, {}))
        data = bytearray(path.read_bytes())
        for at in random.integers(0, len(data), 20):
            data[at] ^= 1 << int(random.integers(8))
        path.write_bytes(data)

    new = add(library, pictures).new
    assert new >= 18
    run(library)
    assert all(outcome in ("embedded", "duplicate", "failed") for outcome, _ in outcomes(library).values())


def test_a_playlist_leads_nowhere(library: Library, pictures: Path) -> None:
    asked: list[bytes] = []

    class Note(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())

    target = make_video(pictures.parent / "secret.mp4")
    with TCPServer(("127.0.0.1", 0), Note) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/x.ts"
        (pictures / "hls.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n")
        (pictures / "local.mkv").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n")
        (pictures / "list.avi").write_text(f"ffconcat version 1.0\nfile '{target}'\n")
        add(library, pictures)
        run(library)
        server.shutdown()
        thread.join()

    assert [] == asked
    assert {"failed"} == {outcome for outcome, _ in outcomes(library).values()}


def test_the_limit_on_pixels_holds_for_what_the_container_says_and_for_the_frame(tmp_path: Path) -> None:
    data = source.read(f"{make_video(tmp_path / 'a.mp4', 1, size=(640, 480))}#t=0").data
    small = decode.Limits(100_000)
    with pytest.raises(errors.TooLarge):
        decode.decode(data, limits=small)
    lying = data.replace(b'"size": [640, 480]', b'"size": [64, 48]  ')
    assert lying != data
    with pytest.raises(errors.ImageProblem):
        decode.decode(lying, limits=small)


@pytest.mark.parametrize("cut_at", [0, 5, 20, 24, 28, 60, 150])
def test_bytes_that_are_no_whole_key_frame_are_a_problem(tmp_path: Path, cut_at: int) -> None:
    data = source.read(f"{make_video(tmp_path / 'a.mp4', 1)}#t=0").data
    with pytest.raises(errors.ImageProblem):
        decode.decode(data[:cut_at], limits=LIMITS)


def test_a_file_on_which_the_process_that_looks_into_videos_dies_or_hangs_costs_no_other(
    library: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a-good.mp4", "b-crash.mp4", "c-hang.mp4", "d-good.mp4"):
        make_video(pictures / name)
    monkeypatch.setattr(video_finder, "SECONDS", 5)
    monkeypatch.setattr(video_finder, "_COMMAND", (sys.executable, "-c", _MISBEHAVING))
    video_finder._finder.end()

    report = add(library, pictures)
    video_finder._finder.end()
    assert 8 == report.new, "three frames of each good one, and the others by their paths"
    assert {"b-crash.mp4", "c-hang.mp4"} == {name for name in outcomes(library) if "#" not in name}
    run(library)
    assert {("embedded", None), ("duplicate", None)} >= set(outcomes(library).values())


_MISBEHAVING = """
import os, signal, time
from pixfind.images.source import video_process
from pixfind.images.source.video_file import VideoFile

def opened(self, file, begin=VideoFile.__init__):
    if "crash" in file._path:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in file._path:
        time.sleep(1000)
    begin(self, file)

VideoFile.__init__ = opened
video_process.main()
"""


def test_no_process_stays_behind_when_a_scan_is_killed(library: Library, pictures: Path) -> None:
    make_video(pictures / "a.mp4")
    program = (
        "import os, signal; from pixfind.images.source import video_finder;"
        f"print(len(video_finder.key_frames({str(pictures / 'a.mp4')!r}, 1, 9)), video_finder._finder._process.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    # It has the output that is read here: its end is seen by the end of the pipe.
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False, timeout=600)
    assert (b"3", -signal.SIGKILL) == (done.stdout.split()[0], done.returncode)
    assert library.path.exists()


def test_a_picture_that_is_named_as_a_frame_is_a_picture(library: Library, pictures: Path) -> None:
    images.make_image(pictures / "a.mp4#t=5.jpg")
    folder = pictures / "b.mp4"
    folder.mkdir()
    images.make_image(folder / "c.jpg", seed=2)
    add(library, pictures)
    assert {"embedded": 2} == run(library)


def test_the_process_that_looks_into_videos_ends_when_it_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_finder, "_REST_SECONDS", 0.0)
    path = make_video(tmp_path / "a.mp4")
    assert 3 == len(video_finder.key_frames(str(path), 1, 9))
    video_finder._finder._rest.join()
    assert video_finder._finder._process is None
    assert 3 == len(video_finder.key_frames(str(path), 1, 9))

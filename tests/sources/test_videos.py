"""Videos in a library: key frames are images, found, embedded, moved and lost as their files are; and whatever may be wrong with a video."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from pixfind import errors
from pixfind.cli.console import Console
from pixfind.embedding.runners.serial import Serial
from pixfind.images import decode, source, suffixes
from pixfind.images.source import Sampling, video_finder, videos
from pixfind.library import relocate, scan
from pixfind.library.library import Library
from pixfind.library.scan_paths import may_matter, scan_paths
from pixfind.library.scan_report import ScanReport
from pixfind.search.searcher import search
from pixfind.testing import images
from pixfind.testing.extras import without_module
from pixfind.testing.libraries import QUIET
from pixfind.testing.videos import make_video
from pixfind.workflows.collect import collect
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

ALL = Sampling(every=1)


LIMITS = decode.Limits(10_000_000)


def add(library: Library, path: Path, video: Sampling | None = ALL) -> ScanReport:
    return scan.add(library, path, settings=video.settings() if video else None)


def run(library: Library) -> dict[str, int]:
    done = embed(library, QUIET, runner=Serial()).outcomes
    merge(library)
    return {outcome: count for outcome, count in done.items() if count}


def outcomes(library: Library) -> dict[str, tuple[str | None, str | None]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images WHERE gone = 0")
    return {Path(path).name: (outcome, reason) for path, outcome, reason in rows}


def decoded(location: str, shortest_side: int | None = None) -> decode.Decoded:
    return decode.decode(source.read(location).data, limits=LIMITS, shortest_side=shortest_side)


# --- what is read ---------------------------------------------------------------------------------


FORMATS = [
    ("a.mp4", {}),
    ("A.MOV", {}),
    ("a.m4v", {}),
    ("a.mkv", {}),
    ("a.mts", {"container": "mpegts"}),
    ("a.3gp", {}),
    ("a.flv", {}),
    ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=10:min-keyint=10:scenecut=0"}}),
    ("ten-bits.mp4", {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": "log-level=none"}}),
    ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    ("vp8.webm", {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}}),
    ("mpeg4.avi", {"codec": "mpeg4"}),
    ("motion-jpeg.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ("raw.avi", {"codec": "rawvideo", "pixels": "bgr24"}),
    ("a.mpg", {"codec": "mpeg2video"}),
    ("a.wmv", {"codec": "wmv2"}),
    ("prores.mov", {"codec": "prores_ks", "pixels": "yuv422p10le"}),
]


@pytest.mark.parametrize(("name", "how"), FORMATS)
def test_each_key_frame_is_read_by_itself_with_the_pixels_that_a_player_shows(
    tmp_path: Path, name: str, how: dict
) -> None:
    path = make_video(tmp_path / name, 3, **how)
    found = list(source.members(str(path), ALL.settings()))
    with av.open(str(path)) as file:
        start = file.start_time or 0
        played = {
            round(frame.pts * frame.time_base * 1000 - start / 1000): frame.to_ndarray(format="rgb24").astype(int)
            for frame in file.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        }

    assert found
    assert suffixes.frame_time(found[0].path) == 0
    for member in reversed(found):
        at = videos.split(member.path)[1]
        original = source.read(member.path)
        assert member[1:] == (original.fingerprint.size, original.fingerprint.mtime_ns) == source.version(member.path)
        shown = np.asarray(decoded(member.path).image, dtype=int)
        assert at is not None
        assert np.abs(shown - played[at]).mean() < 4


def test_frames_lie_at_least_so_far_apart_and_are_at_most_so_many(tmp_path: Path) -> None:
    path = str(make_video(tmp_path / "a.mp4", 12))

    def times(every: float, frames: int) -> list[float | None]:
        found = source.members(path, Sampling(every, frames).settings())
        return [suffixes.frame_time(member.path) for member in found]

    assert [*range(12)] == times(1, 100)
    assert [0, 3, 6, 9] == times(2.5, 100)
    assert [0] == times(100, 100)
    assert [0, 3, 6, 9] == times(1, 4), "the whole video, not its beginning"


def test_a_container_that_does_not_know_its_length_is_thinned_out(tmp_path: Path) -> None:
    path = make_video(tmp_path / "live.mkv", 12, mux={"live": "1"})
    found = [suffixes.frame_time(each.path) for each in source.members(str(path), Sampling(1, 5).settings())]

    assert 3 <= len(found) <= 5
    assert found[-1] is not None
    assert found[-1] >= 8


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_a_turned_video_is_upright(tmp_path: Path, turn: int) -> None:
    drawn = images.picture(4, (160, 120))
    path = make_video(tmp_path / "a.mp4", [drawn], turn=turn)
    shown = decoded(f"{path}#t=0")
    upright = drawn.rotate(turn, expand=True)

    assert upright.size == shown.image.size == (shown.metadata.width, shown.metadata.height)
    assert np.abs(np.asarray(shown.image, int) - np.asarray(upright, int)).mean() < 8


def test_pixels_that_are_no_squares_are_stretched(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 1, size=(120, 120), options={"aspect": "2:1"})
    with av.open(str(path)) as file:
        assert file.streams.video[0].sample_aspect_ratio == 2
    assert (240, 120) == decoded(f"{path}#t=0").image.size


def test_a_frame_is_scaled_while_it_is_converted_and_keeps_its_size_in_the_metadata(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 1, size=(640, 480))
    shown = decoded(f"{path}#t=0", 64)

    assert (171, 128) == shown.image.size
    assert (640, 480) == (shown.metadata.width, shown.metadata.height)


def test_facts_are_those_of_the_recording(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mov",
        1,
        mux={"movflags": "use_metadata_tags"},
        tags={
            "com.apple.quicktime.creationdate": "2021-05-06T09:08:09+0200",
            "com.apple.quicktime.location.ISO6709": "+48.1351+011.5820+515.000/",
            "com.apple.quicktime.make": "Apple",
            "com.apple.quicktime.model": "iPhone 12",
        },
    )
    known = decoded(f"{path}#t=0").metadata

    assert (1620284889, "Apple iPhone 12") == (known.taken_at, known.camera)
    assert (48.1351, 11.582) == (known.latitude, known.longitude)


@pytest.mark.parametrize("date", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "yesterday", ""])
def test_a_date_that_was_never_set_is_none(tmp_path: Path, date: str) -> None:
    path = make_video(tmp_path / "a.mkv", 1, tags={"creation_time": date, "location": "+00.0+000.0/"})
    known = decoded(f"{path}#t=0").metadata
    assert (None, None) == (known.taken_at, known.latitude)


def test_a_video_of_a_takeout_has_the_date_of_its_side_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "VID_1.mp4", 1)
    (tmp_path / "VID_1.mp4.supplemental-metadata.json").write_text('{"photoTakenTime": {"timestamp": "1620284889"}}')
    known = decoded(f"{path}#t=0").metadata
    assert 1620284889 == source.completed(f"{path}#t=0", known).taken_at


# --- in a library ---------------------------------------------------------------------------------


def test_videos_are_looked_into_only_when_that_was_requested_and_from_then_on(library: Library, pictures: Path) -> None:
    make_video(pictures / "a.mp4")
    report = add(library, pictures, video=None)
    assert (0, {".mp4": 1}) == (report.new, dict(report.left_out))

    assert 3 == add(library, pictures).new
    make_video(pictures / "b.mkv", 2)
    report = add(library, pictures, video=None)
    assert (2, {}) == (report.new, dict(report.left_out))
    assert {"embedded": 5} == run(library)


def test_other_frames_are_registered_when_others_are_asked_for(library: Library, pictures: Path) -> None:
    make_video(pictures / "a.mp4", 6)
    assert 6 == add(library, pictures).new
    report = add(library, pictures, Sampling(every=3))
    assert (0, 4) == (report.new, report.gone)
    assert {"a.mp4#t=0", "a.mp4#t=3"} == set(outcomes(library))


def test_a_video_that_did_not_change_is_not_opened(
    library: Library, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(pictures / "a.mp4")
    (pictures / "broken.mp4").write_bytes(b"nothing")
    assert 4 == add(library, pictures).new
    monkeypatch.setattr(video_finder, "key_frames", lambda *_: pytest.fail("it was opened"))

    report = add(library, pictures)
    assert (4, 0, 0) == (report.seen, report.new, report.gone)


def test_a_video_may_be_added_by_itself(library: Library, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    assert 1 == scan.add(library, path).new, "one frame in five seconds"
    assert 0 == scan.add(library, path).new
    assert 2 == add(library, path).new
    path.rename(tmp_path / "away.mp4")
    assert 3 == scan.add(library, path).offline


def test_the_same_video_twice_is_embedded_once(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mp4")
    (pictures / "copy.mp4").write_bytes(path.read_bytes())
    add(library, pictures)
    assert {"embedded": 3, "duplicate": 3} == run(library)


def test_a_video_that_is_moved_is_not_embedded_again(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mp4")
    add(library, pictures)
    run(library)
    (pictures / "trip").mkdir()
    path.rename(pictures / "trip" / "b.mp4")

    report = add(library, pictures)
    assert (3, 0, 0) == (report.moved, report.new, report.gone)
    assert {} == run(library)


def test_a_folder_of_videos_can_be_relocated(library: Library, pictures: Path, tmp_path: Path) -> None:
    make_video(pictures / "a.mp4")
    add(library, pictures)
    run(library)
    pictures.rename(tmp_path / "elsewhere")
    with library.lock("relocate"):
        relocate.relocate(library, relocate.Move.between(str(pictures), str(tmp_path / "elsewhere")))

    report = add(library, tmp_path / "elsewhere")
    assert (3, 0, 0, 0) == (report.seen, report.new, report.gone, report.changed)
    assert {} == run(library)


def test_a_video_that_grows_gets_its_new_frames(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mts", 4, container="mpegts")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    few = add(library, pictures).new
    assert 1 <= few < 4
    run(library)
    path.write_bytes(whole)

    report = add(library, pictures)
    assert (few, 4 - few) == (report.changed, report.new)
    run(library)
    assert {("embedded", None)} == set(outcomes(library).values())


def test_a_video_that_is_cut_loses_the_frames_behind_the_cut(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mts", 4, container="mpegts")
    add(library, pictures)
    run(library)
    os.truncate(path, path.stat().st_size // 2)

    report = add(library, pictures)
    assert report.gone >= 1
    assert 4 == report.gone + report.changed
    run(library)
    assert {("embedded", None)} == set(outcomes(library).values())


def test_a_video_that_is_deleted_is_gone_and_returns(library: Library, pictures: Path, tmp_path: Path) -> None:
    images.make_image(pictures / "other.jpg")
    path = make_video(pictures / "a.mp4")
    add(library, pictures)
    run(library)
    path.rename(tmp_path / "a.mp4")
    assert 3 == add(library, pictures).gone
    (tmp_path / "a.mp4").rename(path)
    assert (3, {}) == (add(library, pictures).returned, run(library))


def test_a_video_that_is_exchanged_while_it_waits_is_noticed(library: Library, pictures: Path) -> None:
    path = make_video(pictures / "a.mp4")
    add(library, pictures)
    make_video(path, [images.picture(7, (160, 120))] * 3)
    run(library)
    run(library)
    assert {("embedded", None)} == set(outcomes(library).values()) - {("duplicate", None)}
    for location, size, mtime_ns in library.catalogue._connection.execute("SELECT path, size, mtime_ns FROM images"):
        assert (size, mtime_ns) == source.version(location)


def test_a_frame_that_is_not_there_any_more_is_missing(pictures: Path, library: Library) -> None:  # noqa: ARG001  makes the folder
    path = make_video(pictures / "a.mp4")
    with pytest.raises(errors.FileMissing):
        source.read(f"{path}#t=1.5")
    path.unlink()
    with pytest.raises(errors.FileMissing):
        source.read(f"{path}#t=1")


def test_what_a_watch_hears_of_a_video_is_scanned_alone(library: Library, pictures: Path) -> None:
    images.make_image(pictures / "other.jpg")
    add(library, pictures)
    path = make_video(pictures / "a.mp4")
    assert may_matter(library, str(path))
    assert 3 == scan_paths(library, [str(path)]).new
    assert 0 == scan_paths(library, [str(path)], unsettled=[str(path)]).gone
    path.unlink()
    assert 3 == scan_paths(library, [str(path)]).gone


def test_frames_are_excluded_with_their_video(library: Library, pictures: Path) -> None:
    (pictures / "private").mkdir()
    make_video(pictures / "private" / "a.mp4")
    make_video(pictures / "b.mp4")
    scan.add(library, pictures, ("private",), settings=ALL.settings())
    assert 3 == len(outcomes(library))


def test_frames_of_a_video_that_is_excluded_are_excluded_not_gone(library: Library, pictures: Path) -> None:
    make_video(pictures / "a.mp4")
    make_video(pictures / "b.mp4")
    scan.add(library, pictures, settings=ALL.settings())
    report = scan.add(library, pictures, ("a.mp4",), settings=ALL.settings())

    assert (3, 0) == (report.excluded, report.gone)


def test_without_the_extra_videos_are_refused_counted_and_kept(
    library: Library, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(pictures / "a.mp4")
    other = make_video(tmp_path / "other.mp4")
    with without_module("av"), pytest.raises(errors.ExtraNotInstalled, match=r"pip install 'pixfind\[video\]'"):
        add(library, pictures)
    add(library, pictures)
    run(library)
    with without_module("av"):
        report = add(library, pictures, video=None)
        assert (0, {".mp4": 1}) == (report.gone, dict(report.left_out))
        Console().scan(report)
        assert "pip install 'pixfind[video]'" in capsys.readouterr().err
        with pytest.raises(errors.VideoSupportMissing):
            source.read(str(other))

    report = add(library, pictures)
    assert (3, 0) == (report.seen, report.changed)


# --- hits -----------------------------------------------------------------------------------------


def test_hits_of_one_video_are_its_best_moment(library: Library, pictures: Path) -> None:
    shown = [images.picture(seed, (160, 120)) for seed in range(5)]
    make_video(pictures / "a.mp4", shown)
    make_video(pictures / "b.mp4", [images.picture(seed, (160, 120)) for seed in (7, 8)])
    images.make_image(pictures / "c.jpg", seed=9)
    add(library, pictures)
    run(library)

    found = search(library, f"file:{pictures}/a.mp4#t=3", 5)
    assert ["a.mp4#t=3", "b.mp4", "c.jpg"] == [
        Path(found.hits[0].path).name,
        *sorted(Path(source.file_of(hit.path)).name for hit in found.hits[1:]),
    ]
    best = found.hits[0]
    assert (3.0, {0, 1, 2, 4}) == (best.time, {suffixes.frame_time(path) for path in best.same_video})
    assert 8 == len(search(library, "file:" + str(pictures / "c.jpg"), 10, each_file=True).hits)


def test_the_video_of_a_moment_is_collected(library: Library, pictures: Path, tmp_path: Path) -> None:  # noqa: ARG001  makes the folder
    path = make_video(pictures / "a.mp4")
    done = collect([f"{path}#t=1"], tmp_path / "copies")
    assert (1, ()) == (done.files, done.left_out)
    assert path.read_bytes() == (tmp_path / "copies" / "001-a.mp4").read_bytes()
    collect([f"{path}#t=1"], tmp_path / "links", link=True)
    assert path == (tmp_path / "links" / "001-a.mp4").readlink()

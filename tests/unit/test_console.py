"""What a terminal of any width shows of a running embed, and how reports are written."""

import dataclasses
import io
from collections import Counter
from typing import Any

import pytest
import rich.progress
from rich.console import Console as Rich

from pixfind import types
from pixfind.cli.bars import run_columns
from pixfind.cli.console import Console
from pixfind.embedding.progress import RunReport, Snapshot
from pixfind.index.build import IndexReport
from pixfind.index.header import IndexHeader, IndexKind
from pixfind.library.scan_report import ScanReport
from pixfind.library.verify import Finding
from pixfind.search.build import BuildReport
from pixfind.types import Reason
from pixfind.workflows.status import Status

RATE = "12.3 images/s, 2 h 10 min left, held back by the decode: the model waits 40 % of the time"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_bar_and_the_count_are_shown_at_every_width(width: int) -> None:
    screen = Rich(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    shown = rich.progress.Progress(*run_columns(), console=screen)
    shown.add_task("", total=624_000, completed=312_000, rate=RATE)
    with screen.capture() as captured:
        screen.print(shown.get_renderable())
    (line,) = captured.get().splitlines()

    assert "312000/624000" in line
    assert 10 == line.count("━"), "half of the bar"
    assert "12.3" in line
    assert len(line.rstrip()) <= width


# --- a run ----------------------------------------------------------------------------------------

RUN = RunReport(
    images=1_234,
    seconds=100.0,
    start_seconds=2.0,
    stopped=False,
    outcomes={"embedded": 1_230, "failed": 4},
    failures={"damaged: it has no frame": 1, "cannot be read: [Errno 13]": 2, "a": 0, "b": 0},
    left={"s3://photos: no connection": 3},
    stages={"decode": 61.25},
    processor_seconds=170.0,
    bytes_read=2_500_000,
    commits=7,
    deaths=0,
    device="cpu",
    precision="fp32",
)

SNAPSHOT = Snapshot(
    total=100,
    done=40,
    images_per_second=12.34,
    eta_seconds=65.0,
    bottleneck="decode",
    because="the model waits 40 % of the time",
    pause=None,
    held_back=None,
    stages={},
    bytes_per_second=None,
    cores=None,
    workers=(),
    written_at=0.0,
)


def test_a_run_is_reported_with_its_rate_and_the_most_frequent_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    Console().report(RUN)
    lines = capsys.readouterr().err.splitlines()

    assert "embedded 1,234 images in 1 min 40 s, 12.6 images/s" == lines[0]
    assert "  4 failed" == lines[1]
    assert ["    2 cannot be read: [Errno 13]", "    1 damaged: it has no frame", "    0 a"] == lines[2:5]
    assert ["  3 left for the next run: s3://photos: no connection"] == lines[5:]


def test_a_verbose_report_has_every_reason_and_where_the_time_went(capsys: pytest.CaptureFixture[str]) -> None:
    Console(verbose=True).report(dataclasses.replace(RUN, stopped=True, deaths=2))
    said = capsys.readouterr().err

    assert said.startswith("stopped after 1,234 images")
    for line in ("    0 b", "  decode: 61.2 s", "  processor: 170.0 s", "  2.5 MB read, 7 commits"):
        assert line in said.splitlines()
    assert "crashed and replaced: 2 workers; see logs/" in said


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "12.3 images/s, 65 s left, bottleneck: decode (the model waits 40 % of the time)"),
        ({"eta_seconds": None, "bottleneck": None}, "12.3 images/s"),
        ({"images_per_second": None}, "measuring"),
        (
            {"pause": Reason("MachineBusy", "paused: another program needs the machine")},
            "paused: another program needs the machine",
        ),
    ],
)
def test_one_line_says_how_a_run_stands(changes: dict[str, Any], line: str) -> None:
    assert line == dataclasses.replace(SNAPSHOT, **changes).line()


def test_without_a_terminal_progress_is_a_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, now = Console(), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with console.run() as show, console.bar("indexing", "rows") as advance:
        show(SNAPSHOT)
        advance(1, None)
        now[0] += 6
        show(SNAPSHOT)
        advance(2_000, 4_000)
        advance(3_000, 4_000)
        now[0] += 6
        advance(4_000, None)

    assert [
        f"embedding: 40 of 100, {SNAPSHOT.line()}",
        "indexing: 2,000 of 4,000 rows",
        "indexing: 4,000 rows",
    ] == capsys.readouterr().err.splitlines()


def test_a_quiet_console_shows_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.report(RUN)
    console.error("no model [yet]\nrun `pixfind index`")

    assert "error: no model [yet]\nrun `pixfind index`\n" == capsys.readouterr().err


# --- a scan ---------------------------------------------------------------------------------------


def scanned() -> ScanReport:
    report = ScanReport(seen=1_500, new=1_490, left_out=Counter({".mp4": 2, ".cr2": 40, ".arw": 2}))
    for number in range(5):
        report.note("problems", f"/photos/[{number}].jpg")
    report.note("gone", "/photos/caf\udce9.jpg")
    return report


def test_a_scan_names_some_of_the_links_that_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    report = ScanReport()
    for number in range(5):
        report.note("links_out", f"/photos/{number}.jpg")
    Console().scan(report)

    assert [
        "0 files seen: nothing new",
        "  left out: 5 links out of the registered folders; `pixfind add` the folder that they lead to:",
        "    /photos/0.jpg",
        "    /photos/1.jpg",
        "    /photos/2.jpg",
    ] == capsys.readouterr().err.splitlines()


def test_a_scan_names_some_of_each_kind_and_counts_what_pixfind_does_not_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Console().scan(scanned())

    assert [
        "1,500 files seen: 1,490 new, 1 gone, 5 problems",
        r"  gone: /photos/caf\udce9.jpg",
        "  problems: /photos/[0].jpg",
        "  problems: /photos/[1].jpg",
        "  problems: /photos/[2].jpg",
        "  problems: ... and 2 more",
        "  42 RAW files left out: 40 .cr2, 2 .arw; to read them: pixfind index",
        "  2 videos left out: 2 .mp4; to look into them: pixfind index FOLDER --video",
    ] == capsys.readouterr().err.splitlines()


def test_a_verbose_scan_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    Console(verbose=True).scan(scanned())
    said = capsys.readouterr().err

    assert "[4].jpg" in said
    assert "more" not in said


def test_a_scan_that_finds_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Console().scan(ScanReport(seen=3))
    assert "3 files seen: nothing new\n" == capsys.readouterr().err


# --- an index -------------------------------------------------------------------------------------

HEADER = IndexHeader(IndexKind.PQ2, "scans fastest", 624_000, 512, recall_text=0.99995, recall_image=None)


def test_an_index_is_reported_with_its_recall_and_what_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    built = IndexReport(HEADER, 40_000_000, 100.0, 2.0, extended=False, refused=("PQ4: 3.1 ms a query",))
    Console().index(BuildReport(HEADER, built, cutoff=None, text_problem="the text encoder is not here"))

    assert [
        f"index: {HEADER.kind}, 624,000 rows, 40.0 MB in 1 min 40 s",
        "  scans fastest",
        "  recall@10 against the exact scan, text-like queries: 1.0000",
        "  refused: PQ4: 3.1 ms a query",
        "  not measured with text queries: the text encoder is not here",
    ] == capsys.readouterr().err.splitlines()


def test_an_index_that_is_current_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console().index(BuildReport(HEADER, None, cutoff=None, text_problem=None))
    assert "index: current, 624,000 rows\n" == capsys.readouterr().err


# --- status ---------------------------------------------------------------------------------------

LEDGER = {
    "seen": 10,
    "embedded": 6,
    "duplicate": 1,
    "failed": 1,
    "skipped": 0,
    "pending": 2,
    "gone": 0,
    "offline": 0,
}

ROOT: dict[str, Any] = {
    "path": "/home/ada/photos [1]",
    "kind": "folder",
    "images": 10,
    "offline": None,
    "archives": False,
    "settings": {},
    "exclude": [],
    "exclude_configured": {},
    "mounted_in": None,
}

RESTING = Status(
    library="/home/ada/photos [1]",
    images=LEDGER,
    merged_rows=6,
    index_rows=0,
    recall=None,
    model=None,
    precision=None,
    change=None,
    kept=[],
    running=False,
    run=None,
    watch=None,
    workers=[],
    images_per_second=None,
    eta_seconds=None,
    bottleneck=None,
    because=None,
    paused=None,
    pause=None,
    held_back=None,
    stages={},
    bytes_per_second=None,
    cores=None,
    failures={},
    texts=None,
    left_out={},
    offline={},
    roots=[],
    bytes=12_345_678,
    free_bytes=79 * 10**9,
)

EMBEDDING = dataclasses.replace(
    RESTING,
    model="starter",
    precision="fp32",
    run={"verb": "embed", "pid": 4711, "host": "here", "started_at": 0.0},
    images_per_second=1_234.5,
    eta_seconds=65.0,
    bottleneck="decode",
    because="the model waits 40 % of the time",
    cores=1.6,
    bytes_per_second=12_300_000.0,
    workers=[
        {
            "worker": 0,
            "host": "here",
            "node": "",
            "device": "cpu",
            "pid": 4712,
            "images": 3_000,
            "images_per_second": 617.2,
            "bottleneck": "decode",
            "last_commit": None,
        },
        {
            "worker": 1,
            "host": "desktop",
            "node": "f00",
            "device": "cuda",
            "pid": 4713,
            "images": 0,
            "images_per_second": None,
            "bottleneck": None,
            "last_commit": 1_000.0,
        },
    ],
)


def lines_of(status: Status, capsys: pytest.CaptureFixture[str]) -> list[str]:
    Console().status(status)
    return capsys.readouterr().out.splitlines()


def test_the_status_of_a_library_at_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert [
        "/home/ada/photos [1]  model -",
        "10 images = 6 embedded + 1 duplicate + 1 failed + 0 skipped + 2 pending",
        "6 rows merged, 0 in the index",
        "12.3 MB used, 79 GB free",
        "nothing is running",
    ] == lines_of(RESTING, capsys)


def test_what_is_free_on_an_almost_full_disk_is_not_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "12.3 MB used, 2.5 MB free" in lines_of(dataclasses.replace(RESTING, free_bytes=2_500_000), capsys)


def test_the_status_of_a_running_embed_has_its_workers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_007.0)
    assert [
        "embed is running (process 4711)",
        "  1,234.5 images/s, 65 s left, 1.60 cores, 12.3 MB/s read",
        "  bottleneck: decode (the model waits 40 % of the time)",
        "  node desktop: 1 worker, 0.0 images/s, cuda",
        "  worker 0: process 4712, 3,000 images, 617.2/s, decode, last commit -",
        "  worker 1: process 4713 on desktop, 0 images, -, ?, last commit 7 s ago",
    ] == lines_of(EMBEDDING, capsys)[-6:]


def test_a_status_says_which_store_a_run_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(dataclasses.replace(EMBEDDING, held_back="s3://photos: 503 Slow Down", workers=[]), capsys)

    assert "  held back by the network (s3://photos: 503 Slow Down)" in lines


def test_the_status_of_a_paused_embed_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(dataclasses.replace(EMBEDDING, paused="paused: on battery", workers=[]), capsys)
    assert ["embed is running (process 4711)", "  paused: on battery"] == lines[-2:]


def test_the_status_names_what_is_offline_gone_failed_and_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    status = dataclasses.replace(
        RESTING,
        images=LEDGER | {"gone": 3, "offline": 1_000},
        left_out={".psd": 12},
        roots=[
            ROOT | {"path": "/mnt/usb", "offline": "the drive is not connected", "images": 1_000},
            ROOT
            | {
                "path": "/home/ada",
                "archives": True,
                "settings": {"video_every": 5.0, "video_frames": 1_000},
                "exclude": ["Cache", "*.tmp.jpg"],
                "exclude_configured": {"index": ["raw"]},
            },
        ],
        failures={"damaged": 1},
        recall=0.99949,
    )
    lines = lines_of(status, capsys)

    assert [
        "  3 gone, 1,000 on roots that are offline",
        "  12 files of formats that pixfind does not read: 12 .psd",
        "  /mnt/usb (folder): 1,000 images offline: the drive is not connected",
        "  /home/ada (folder): 10 images, archives, videos every 5 s, at most 1,000 frames, without 'Cache' '*.tmp.jpg', "
        "without 'raw' (configured for `pixfind index`)",
        "  1 damaged",
        "6 rows merged, 0 in the index, recall@10 0.999",
    ] == lines[2:8]


def test_the_status_of_a_model_switch_says_how_to_go_on_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    coming = {"model": "clip-vit-b32", "precision": "int8", "images": LEDGER, "merged_rows": 3, "index_rows": 0}
    kept = [
        {"part": "previous", "model": "starter", "precision": "fp32", "merged_rows": 1_234},
        {"part": "aside", "model": "tiny", "precision": "fp32", "merged_rows": 5},
    ]
    text = "\n".join(lines_of(dataclasses.replace(RESTING, model="starter", change=coming, kept=kept), capsys))

    assert (
        "switching to clip-vit-b32 int8: 7 of 10 images, 1 failed, 2 pending; until then searches use starter" in text
    )
    assert "continue with `pixfind index`, cancel with `pixfind model rollback`" in text
    assert "starter fp32 is kept for `pixfind model rollback`: 1,234 rows" in text
    assert "tiny fp32 is kept until the next switch: 5 rows" in text


def test_findings_are_written_with_the_repair(capsys: pytest.CaptureFixture[str]) -> None:
    Console().findings(
        [Finding("crc", "/l/embeddings.npy row 7", "its checksum [crc] does not match", "embedded again")]
    )
    assert (
        "/l/embeddings.npy row 7: its checksum [crc] does not match\n  --repair: embedded again\n"
        == capsys.readouterr().out
    )


def test_one_of_anything_is_no_plural() -> None:
    assert ["0 rows", "1 row", "2,000 rows"] == [types.numbered(count, "row") for count in (0, 1, 2000)]
    assert ["1 copy", "2 copies"] == [types.numbered(count, "copy", "copies") for count in (1, 2)]
    assert "1 byte" == types.format_bytes(1)

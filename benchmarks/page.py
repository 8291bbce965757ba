"""
What the page of `pixfind serve` costs in a real browser: loading, the first search, scrolling through thousands of hits.

    python -m benchmarks.page [--hits 2000] [--library DIR] [--chromium FILE] [--json FILE]
    python -m benchmarks.page --rows 1000000 [--library DIR] [--json FILE]

Pictures are drawn and embedded with the starter model, unless a library is given; the server is started again, and so is
the browser, with nothing cached. With --rows a library of that many rows has no pictures: the browser gets one thumbnail for
all of them, and what is measured is everything else; it lies in DIR afterwards, and is used again. Times include the server's. Frames are those of a headless browser that draws without a
graphics card: on a screen they are shorter. A task is also measured in processor time, which a busy machine changes less
than the time on the wall.
"""

import argparse
import contextlib
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import generated
from playwright.sync_api import Page, Route, sync_playwright

from pixfind.library import generations
from pixfind.search import build
from pixfind.storage.output import Output
from pixfind.testing import make_library, make_pictures
from pixfind.testing.images import encode, picture
from pixfind.testing.servers import serving

_SIZE = (320, 240)
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")

_WATCH = """
window.seen = { shift: 0, longest: 0, longTasks: 0, paint: 0 };
const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value; });
watch("longtask", (entry) => { seen.longTasks += 1; seen.longest = Math.max(seen.longest, entry.duration); });
watch("largest-contentful-paint", (entry) => { seen.paint = entry.startTime; });
"""

_LOADED = """
async () => {
  const pictures = () => [...document.querySelectorAll(".tile-image")].filter((image) => image.getBoundingClientRect().top < innerHeight);
  while (!pictures().length || !pictures().every((image) => image.complete)) await new Promise(requestAnimationFrame);
  const [load] = performance.getEntriesByType("navigation");
  return { load: load.loadEventEnd, pictures: performance.now(), paint: seen.paint };
}
"""

_SEARCH = """
async (words) => {
  const told = document.getElementById("summary");
  const before = told.textContent;
  const field = document.getElementById("words");
  field.value = words;
  const began = performance.now();
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  while (told.textContent === before) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}
"""

_SCROLL = """
async (hits) => {
  Object.assign(seen, { longest: 0, longTasks: 0, shift: 0 });
  const frames = [];
  let tiles = 0, farthest = 0, last = performance.now(), still = 0;
  while (farthest < hits - 1 && still < 300) {
    scrollBy(0, 90);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
    const shown = document.querySelectorAll(".tile");
    tiles = Math.max(tiles, shown.length);
    const place = Number(shown[shown.length - 1].dataset.place);
    still = place > farthest ? 0 : still + 1;
    farthest = Math.max(farthest, place);
  }
  const began = performance.now();
  scrollTo(0, 0);
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  frames.sort((one, other) => one - other);
  return {
    hits: farthest + 1, frames: frames.length, p50: frames[frames.length >> 1],
    p99: frames[Math.floor(frames.length * 0.99)], tiles, jump: performance.now() - began, ...seen,
  };
}
"""


_SHOWN = """
async (before) => {
  const heading = () => document.querySelector(".grid-heading h2")?.textContent;
  const ready = () => heading() !== before && document.querySelectorAll(".tile").length > 4;
  while (!ready()) await new Promise(requestAnimationFrame);
  return heading();
}
"""

_COUNTED = """
async () => {
  const note = document.querySelector(".facet-note");
  const before = performance.now();
  while (!/\\d/.test(note.textContent) || !document.querySelector(".folder-name") || !document.querySelector(".histogram-bar")) await new Promise(requestAnimationFrame);
  return performance.now() - before;
}
"""

_JUMPS = 20
_FILTERS = (
    "camera=canon",
    "shape=portrait",
    "in=%2Fpictures%2F00007",
    "in=*.jpg",
    "after=2015&before=2016",
    "min_size=3000",
    "near=52.5,13.4,50",
    "in=*%2F000*%2Fimage_*",
)


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library = arguments.library or place / "library"
        if arguments.rows:
            if not generations.is_library(library):
                _make_large(library, arguments.rows)
        elif not arguments.library:
            _make(library, place / "pictures", arguments.hits)
        with serving(library, place / "serve.log") as server, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=arguments.chromium, args=list(_FLAGS))
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            figures = (_measure_large if arguments.rows else _measure)(page, server.address, arguments.hits)
            browser.close()
    for name, value in figures.items():
        print(f"{name:<48}{value:>12,.3f}" if name == "layout shift" else f"{name:<48}{value:>12,.0f}")
    if arguments.json:
        arguments.json.write(json.dumps(figures, indent=2).encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hits", type=int, default=2000)
    parser.add_argument("--rows", type=int, help="measure a library of so many rows without pictures")
    parser.add_argument("--library", type=Path, help="one that exists already, or where the one of --rows is made")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _make(library: Path, pictures: Path, count: int) -> None:
    make_pictures(pictures, count, size=_SIZE)
    with make_library(library, pictures) as made:
        build.build_index(made)


def _make_large(library: Path, rows: int) -> None:
    """Make a library of 20 years, five cameras, two shapes; a tenth of the rows have a place."""
    generated.make_library(library, "starter", rows)
    with contextlib.closing(sqlite3.connect(library / "metadata.db")) as database, database:
        database.execute(
            "UPDATE images SET taken_at = 1000000000 + id * 640000000 / :rows,"
            " camera = CASE id % 5 WHEN 0 THEN '' WHEN 1 THEN 'Canon EOS R5' WHEN 2 THEN 'Nikon Z6' WHEN 3 THEN 'Apple iPhone 13' ELSE 'Sony ILCE-7M3' END,"
            " width = CASE id % 3 WHEN 0 THEN 3000 ELSE 4000 END, height = CASE id % 3 WHEN 0 THEN 4000 ELSE 3000 END,"
            " latitude = CASE id % 10 WHEN 0 THEN 47.0 + id % 700 / 100.0 END, longitude = CASE id % 10 WHEN 0 THEN 6.0 + id % 900 / 100.0 END",
            {"rows": rows},
        )


def _measure_large(page: Page, address: str, hits: int) -> dict[str, float]:
    thumbnail = encode(picture(0, _SIZE), ".jpg")

    def give(route: Route) -> None:
        route.fulfill(body=thumbnail, content_type="image/jpeg")

    page.route("**/thumbnail*", give)
    figures = {"first count after the start, ms": _request(page, f"{address}/api/facets")}
    page.add_init_script(_WATCH)
    page.goto(address)
    loaded = page.evaluate(_LOADED)
    figures |= {
        "first load, ms": loaded["load"],
        "largest paint, ms": loaded["paint"],
        "all pictures on the screen, ms": loaded["pictures"],
    }
    figures["timeline after that, ms"] = _timed(
        lambda: page.wait_for_selector("#scrubber:not([hidden])", state="attached")
    )
    figures |= _jump(page)
    figures |= _scroll(page, hits)
    figures["first search, ms (120 of them wait for the next key)"] = page.evaluate(_SEARCH, "red circle")
    searches = [page.evaluate(_SEARCH, "blue sky over a green field"[:end]) for end in range(4, 27, 3)]
    figures["search while typing, ms, median"] = statistics.median(searches)
    page.goto(address)
    page.evaluate(_LOADED)
    page.click("#filter")
    figures["filters opened, all counts there, ms"] = page.evaluate(_COUNTED)
    for name in ("facets", "folders", "folders?below=%2Fpictures", "timeline"):
        figures[f"{name}, ms"] = _request(page, f"{address}/api/{name}")
    for filters in _FILTERS:
        for name in ("facets", "timeline", "folders"):
            figures[f"{name} with {filters}, ms"] = _request(page, f"{address}/api/{name}?{filters}")
    return figures


def _jump(page: Page) -> dict[str, float]:
    """Press a key on the timeline, again and again: until the month that it leads to is on the screen."""
    page.focus(".scrubber-mark")
    heading = page.evaluate(_SHOWN, None)
    jumps = []
    for _ in range(_JUMPS):
        began = time.perf_counter()
        page.keyboard.press("ArrowDown")
        heading = page.evaluate(_SHOWN, heading)
        jumps.append(1000 * (time.perf_counter() - began))
    return {"to another month, ms, median": statistics.median(jumps), "to another month, ms, longest": max(jumps)}


def _request(page: Page, address: str) -> float:
    return _timed(lambda: page.request.get(address).body())


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _measure(page: Page, address: str, hits: int) -> dict[str, float]:
    own, pictures = _count(page)
    page.add_init_script(_WATCH)
    page.goto(address)
    loaded = page.evaluate(_LOADED)
    figures: dict[str, float] = {
        "first load, ms": loaded["load"],
        "largest paint, ms": loaded["paint"],
        "all pictures on the screen, ms": loaded["pictures"],
        "requests for the page": len(own),
        "bytes of the page": sum(own),
        "requests for pictures": len(pictures),
        "bytes of pictures": sum(pictures),
    }
    shift = page.evaluate("seen.shift")
    figures["first search, ms (120 of them wait for the next key)"] = page.evaluate(_SEARCH, "red circle")
    figures["second search, ms"] = page.evaluate(_SEARCH, "blue sky over a green field")
    page.goto(f"{address}/?q=red&fold=0")
    page.evaluate(_LOADED)
    scrolled = _scroll(page, hits)
    return {**figures, **scrolled, "layout shift": shift + scrolled["layout shift"]}


def _scroll(page: Page, hits: int) -> dict[str, float]:
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "blink"])
    scrolled = page.evaluate(_SCROLL, hits)
    longest = _longest_task(json.loads(browser.stop_tracing()))
    return {
        "hits scrolled through": scrolled["hits"],
        "tiles in the document at most": scrolled["tiles"],
        "tasks over 50 ms": scrolled["longTasks"],
        "longest task, ms (0: none over 50)": scrolled["longest"],
        "longest task, ms of processor": longest,
        "frame p50, ms": scrolled["p50"],
        "frame p99, ms": scrolled["p99"],
        "from the end to the start, ms": scrolled["jump"],
        "layout shift": scrolled["shift"],
    }


def _longest_task(trace: dict[str, Any]) -> float:
    """Milliseconds of processor time that the page's own thread spent on one task."""
    events = trace["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return max(event.get("tdur", 0) / 1000 for event in events if (event["pid"], event["tid"]) in threads)


def _count(page: Page) -> tuple[list[int], list[int]]:
    """Lists that fill with the bytes of each response, as they came over the wire: the page's own, and pictures."""
    own: list[int] = []
    pictures: list[int] = []
    kinds: dict[str, list[int]] = {}
    session: Any = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.requestWillBeSent",
        lambda event: kinds.update({event["requestId"]: pictures if "/thumbnail" in event["request"]["url"] else own}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: kinds.get(event["requestId"], own).append(int(event["encodedDataLength"])),
    )
    return own, pictures


if __name__ == "__main__":
    main()

"""
What the page of `pixfind serve` costs in a real browser: loading, the first search, scrolling through thousands of hits.

    python -m benchmarks.page [--hits 2000] [--library DIR] [--chromium FILE] [--json FILE]

Pictures are drawn and embedded with the starter model, unless a library is given; the server is started again, and so is
the browser, with nothing cached. Times include the server's. Frames are those of a headless browser that draws without a
graphics card: on a screen they are shorter. A task is also measured in processor time, which a busy machine changes less
than the time on the wall.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from pixfind.search import build
from pixfind.storage.output import Output
from pixfind.testing import make_library, make_pictures
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


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library = arguments.library or _library(place, arguments.hits)
        with serving(library, place / "serve.log") as server, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=arguments.chromium, args=list(_FLAGS))
            figures = _measure(
                browser.new_page(viewport={"width": 1280, "height": 800}), server.address, arguments.hits
            )
            browser.close()
    for name, value in figures.items():
        print(f"{name:<48}{value:>12,.3f}" if name == "layout shift" else f"{name:<48}{value:>12,.0f}")
    if arguments.json:
        arguments.json.write(json.dumps(figures, indent=2).encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hits", type=int, default=2000)
    parser.add_argument("--library", type=Path, help="one that exists already")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--json", type=Output.at)
    return parser.parse_args()


def _library(place: Path, count: int) -> Path:
    make_pictures(place / "pictures", count, size=_SIZE)
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    return place / "library"


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
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "blink"])
    scrolled = page.evaluate(_SCROLL, hits)
    longest = _longest_task(json.loads(browser.stop_tracing()))
    return {
        **figures,
        "hits scrolled through": scrolled["hits"],
        "tiles in the document at most": scrolled["tiles"],
        "tasks over 50 ms": scrolled["longTasks"],
        "longest task, ms (0: none over 50)": scrolled["longest"],
        "longest task, ms of processor": longest,
        "frame p50, ms": scrolled["p50"],
        "frame p99, ms": scrolled["p99"],
        "from the end to the start, ms": scrolled["jump"],
        "layout shift": shift + scrolled["shift"],
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

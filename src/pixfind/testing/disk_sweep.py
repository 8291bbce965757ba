"""
What becomes of a library when a disk fails under a command: the commands, and how their ends are judged.

After a fault a command has either recovered or reported what failed; then the same command without a fault ends with every picture
embedded, nothing embedded otherwise than without faults, and nothing for `verify` to find.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import numpy as np

from pixfind import cli, errors
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.search import build
from pixfind.server import server
from pixfind.testing.failing_disk import HUNG, Call, Disk, Fault, FirstOfEachKind, Ran
from pixfind.testing.images import make_image
from pixfind.testing.libraries import QUIET, make_library, make_pictures
from pixfind.workflows import inactive_models
from pixfind.workflows.embed_part import embed_part

RECOVERED, REPORTED, BUG, HANGING, LOST, UNREACHED = "recovered", "clear error", "bug", "hung", "lost", "not reached"
ENDS = (RECOVERED, REPORTED, BUG, HANGING, LOST, UNREACHED)
BAD = (BUG, HANGING, LOST)

PICTURES = 6
_OUTCOMES = {"embedded": PICTURES, "duplicate": 1, "failed": 1, "pending": 0}
_IMAGES = range(1, PICTURES + 3)
_LIMITS = ["--workers", "1", "--cpu", "100%", "--nice", "0"]


@dataclass(frozen=True, slots=True)
class Verb:
    """A command on a library in some state."""

    name: str
    command: tuple[str, ...]
    """of pixfind, or a function of this module"""
    prepare: Callable[["Place"], None]
    """make the state, once"""
    then_index: bool = False
    """images may be pending after it, so `index` follows before the end is judged"""


@dataclass(frozen=True, slots=True)
class End:
    """How one command with one fault ended."""

    verb: str
    fault: Fault
    end: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pictures and the prepared libraries of a sweep lie."""

    folder: Path
    model: Path
    """of another model than the library's first one"""

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def library(self) -> Path:
        return self.folder / "library"

    def index(self, *options: str) -> list[str]:
        return ["index", *options, *_LIMITS]

    def make_pictures(self) -> None:
        """Six pictures, a copy of one, and a file that is none."""
        first, *_ = make_pictures(self.pictures, PICTURES)
        shutil.copy(first, self.pictures / "copy.jpg")
        make_image(self.pictures / "broken.jpg", seed=99).write_bytes(b"\xff\xd8\xff nothing that can be decoded")


# --- states ---------------------------------------------------------------------------------------


def _nothing(place: Place) -> None:
    place.library.mkdir()


def _saved(place: Place) -> None:
    """A worker has saved rows, and nobody has adopted them."""
    with make_library(place.library, place.pictures, embed=False) as library:
        embed_part(library, 0, 1, QUIET)


def _merged(place: Place) -> None:
    make_library(place.library, place.pictures).close()


def _indexed(place: Place) -> None:
    with make_library(place.library, place.pictures) as library:
        build.build_index(library)


def _rotten(place: Place) -> None:
    """A merged row that rotted, an index that lost its end, and what a crash leaves."""
    _indexed(place)
    data = place.library / "data"
    rows = bytearray((data / "embeddings.npy").read_bytes())
    rows[200] ^= 0xFF
    (data / "embeddings.npy").write_bytes(rows)
    index = (data / "faiss.index").read_bytes()
    (data / "faiss.index").write_bytes(index[:-10])
    (data / ".faiss.index.1.1.tmp").write_bytes(b"left behind")


def _without_database(place: Place) -> None:
    _indexed(place)
    (place.library / "metadata.db").write_bytes(b"this was a database" * 500)


def serve_and_look(library: str) -> None:
    """What `pixfind serve` does while somebody looks at all thumbnails."""

    def look(address: str, token: str | None) -> None:
        try:
            shown = [_shown(f"{address}api/images/{image}/thumbnail", token) for image in (*_IMAGES, *_IMAGES)]
            assert shown.count(HTTPStatus.OK) == 2 * (PICTURES + 1), shown
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    serve = server.run

    def serving(path: Path, options: server.Options, ready: server.OnReady) -> None:
        def looking(started: server.Ready) -> None:
            ready(started)
            threading.Thread(target=look, args=(started.address, started.token)).start()

        serve(path, options, looking)

    vars(server)["run"] = serving
    sys.argv = ["pixfind", "--library", library, "serve", "--port", "0"]
    cli.main()


def _shown(thumbnail: str, token: str | None) -> int:
    asked = urllib.request.Request(thumbnail, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own server
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(asked) as answer:  # noqa: S310
        return int(answer.status) if answer.read().endswith(b"\xff\xd9") else 0
    return 0


def verbs(place: Place) -> list[Verb]:
    """Return the commands of a sweep."""
    first = tuple(place.index(str(place.pictures), "--model", "starter"))
    other = tuple(place.index("--model", str(place.model), "--precision", "int8"))
    repair = ("verify", "--repair")
    return [
        Verb("index", first, _nothing),
        Verb("merge", ("merge",), _saved, then_index=True),
        Verb("build-index", ("build-index",), _merged),
        Verb("index --model", other, _indexed),
        Verb("verify --repair (rows)", repair, _rotten, then_index=True),
        Verb("verify --repair (database)", repair, _without_database, then_index=True),
        Verb("serve", (f"{__name__}:serve_and_look",), _indexed),
    ]


# --- one command ----------------------------------------------------------------------------------


class Sweep:
    """One command, prepared: knows the calls that it makes, and runs it with one of them failing."""

    def __init__(self, verb: Verb, place: Place, disk: Disk, *, threads: bool = False) -> None:
        self.verb = verb
        self.place = place
        self._disk = disk
        self._threads = threads
        place.folder.mkdir(parents=True, exist_ok=True)
        if not place.pictures.exists():
            place.make_pictures()
        verb.prepare(place)
        undisturbed = self._begin("undisturbed")
        ran = self._run(undisturbed)
        assert ran.code == 0, ran.output
        self.calls = ran.calls
        assert self._repeat(undisturbed) == ""
        self._expected = _embeddings(undisturbed / "library")

    def end(self, fault: Fault) -> End:
        """Run the command with this fault, then without, and judge."""
        case = self._begin("case")
        ran = self._run(case, fault)
        end, why = _judged(ran)
        if not ran.failed:
            end = UNREACHED
        if end in (RECOVERED, REPORTED, UNREACHED) and (lost := self._repeat(case)):
            end, why = LOST, f"{lost}\nafter:\n{ran.output}"
        return End(self.verb.name, fault, end, why)

    def first_of_each_kind(self, *, skip: str | None = None) -> list[End]:
        """
        Let the first call of each operation on each kind of file fail, and judge: a sample of all calls, in few runs.

                After a run that ended with an error the same command continues from the state that it left, and meets the next kinds. A kind that was
                not met in this way is met from the start; those whose name begins with `skip` are not.
        """
        ends: list[End] = []
        fault = FirstOfEachKind()
        missing = {each for each in classes(self.calls) if skip is None or not each[1].startswith(skip)}
        reached = True
        while missing and reached:
            case = self._begin("case")
            reached = False
            while (ran := self._run(case, fault)).failed:
                reached = True
                missing -= set(classes(tuple(failed.call for failed in ran.failed)))
                ends.append(End(self.verb.name, ran.failed[-1], *_judged(ran)))
            if lost := self._lost(case, ran):
                ends.append(End(self.verb.name, Fault(Call("", "", 0)), LOST, lost))
        return ends + [End(self.verb.name, Fault(Call(*each, 1)), UNREACHED) for each in sorted(missing)]

    def _begin(self, name: str) -> Path:
        case = self.place.folder / name
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(self.place.library, case / "library")
        (case / "cache").mkdir()
        return case

    def _run(
        self,
        case: Path,
        fault: Fault | FirstOfEachKind | None = None,
        command: list[str] | None = None,
        cache: Path | None = None,
    ) -> Ran:
        used = command or list(self.verb.command)
        library = str(case / "library")
        words = [*used, library] if ":" in used[0] else ["--library", library, *used]
        return self._disk.run(
            words,
            (case / "library", case / "cache"),
            fault,
            env={"PIXFIND_CACHE": str(cache or case / "cache")},
            threads=self._threads,
        )

    def _repeat(self, case: Path) -> str:
        """Run the command again, without a fault; return what is not as it should be then."""
        return self._lost(case, self._run(case))

    def _lost(self, case: Path, ran: Ran) -> str:
        """Return what is not as it should be after a run without a fault."""
        if ran.code == 0 and self.verb.then_index:
            # With a cache that lasts: nothing that it holds is judged, and to make it takes longer than all else.
            command, cache = self.place.index(str(self.place.pictures)), self.place.folder / "cache"
            ran = self._run(case, command=command, cache=cache)
        if ran.code != 0:
            return f"the same command without a fault ended with {ran.code}:\n{ran.output}"
        with Library.open(case / "library") as library:
            findings = [
                *verify.verify(library),
                *(f for other in inactive_models.open_inactive(library) for f in verify.verify(other)),
            ]
            ledger = library.catalogue.ledger()
        if findings:
            return f"verify finds {findings}"
        if any(ledger[outcome] != count for outcome, count in _OUTCOMES.items()):
            return f"the ledger is {ledger}"
        now = _embeddings(case / "library")
        expected = getattr(self, "_expected", now)
        if expected.keys() != now.keys():
            return "other pictures have an embedding"
        other = [name for name, row in expected.items() if row.tobytes() != now[name].tobytes()]
        return f"other embeddings: {other}" if other else ""


def _embeddings(path: Path) -> dict[str, np.ndarray]:
    with Library.open(path) as library:
        rows = library.embeddings()
        found = library.catalogue.rows("embedded_paths")
        return {Path(name).name: rows[index].copy() for name, index in found}


def _judged(ran: Ran) -> tuple[str, str]:
    if ran.code == HUNG:
        return HANGING, ran.output
    if "Traceback" in ran.output or "bug in pixfind" in ran.output or ran.code in (1, 2) or ran.code < 0:
        return BUG, ran.output
    if ran.code == 0:
        return RECOVERED, ran.output
    known = {kind.exit_code for kind in _kinds(errors.OperationError)}
    return (REPORTED, ran.output) if ran.code in known and "error:" in ran.output else (BUG, ran.output)


def _kinds(base: type[errors.OperationError]) -> list[type[errors.OperationError]]:
    return [kind for child in base.__subclasses__() for kind in (child, *_kinds(child))]


def classes(calls: tuple[Call, ...]) -> dict[tuple[str, str], list[Call]]:
    """Return the calls by operation and kind of file."""
    found: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        found.setdefault((call.operation, call.kind), []).append(call)
    return found


def as_json(end: End) -> str:
    call = end.fault.call
    values = {
        "verb": end.verb,
        "operation": call.operation,
        "kind": call.kind,
        "number": call.number,
        "error": end.fault.error,
        "lasting": end.fault.lasting,
        "end": end.end,
        "why": end.why,
    }
    return json.dumps(values)

"""
The coordinator's decisions, against workers that follow a script and a clock that the test turns.

Files, catalogue and worker files are real, and every test ends with `verify`; no process is started and no time passes. What only
processes can show (pipes, kills, signals) is in tests/faults.
"""

import functools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.coordinator.conftest import KILL, SEGV, Make, coordinated, counts, made, outcomes, run

from pixfind import errors
from pixfind.library import control, merge, trim, verify
from pixfind.testing.scripted import (
    Changes,
    Dies,
    Fails,
    FallsSilent,
    Fate,
    Hangs,
    Scripted,
    WaitsForRoom,
)
from pixfind.worker.protocol import EXIT_DEGRADED, LOST, Embed, Fatal, Stop, ToWorker

# --- assigning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_image_is_assigned_once_and_embedded(make: Make, count: int) -> None:
    library, workers = make(30), Scripted()
    report = run(library, workers, count=count)

    assigned = [image for _, images in workers.dispatched() for image in images]
    assert (30, 0, 0, 0) == counts(library)
    assert sorted(assigned) == list(range(1, 31))
    assert (30, 30, 0, False) == (report.images, report.outcomes["embedded"], report.deaths, report.stopped)
    assert ("script", "fp16") == (report.device, report.precision)


def test_with_nothing_pending_no_worker_is_started(make: Make) -> None:
    workers = Scripted()
    report = run(make(0), workers, count=3)

    assert ([], 0) == (workers.started, report.images)


@pytest.mark.parametrize(("images", "started"), [(1, 1), (12, 1), (13, 2), (24, 2), (25, 3), (80, 3)])
def test_no_more_workers_are_started_than_the_images_need(make: Make, images: int, started: int) -> None:
    library, workers = make(images), Scripted()
    report = run(library, workers, count=3, images_per_worker=12)

    assert list(range(started)) == workers.started
    assert (images, 0, 0, 0) == counts(library)
    assert (images, False) == (report.images, report.stopped)


def test_the_last_images_are_shared_among_the_workers(make: Make) -> None:
    """The first that is ready does not take all that is left: the others will be ready in a moment."""
    workers = Scripted(batch=4)
    run(make(16), workers, count=3)
    first = {worker: len(images) for worker, images in reversed(workers.dispatched())}

    assert {0: 6, 1: 4, 2: 4} == first


def test_workers_that_have_no_part_of_their_own_help_with_the_others(make: Make) -> None:
    library, workers = make(40), Scripted(starts=[None, Hangs()])
    # The second never becomes ready; the first embeds its part too, and then the run is stopped.
    workers.at(60.0, lambda: control.request(library.path, control.ControlRequest(stop=True)))
    run(library, workers, count=2)

    assert {0} == {worker for worker, _ in workers.dispatched()}
    assert (40, 0, 0, 0) == counts(library)


def test_a_worker_is_never_assigned_more_than_the_look_ahead(make: Make) -> None:
    library, workers = make(60), Scripted(batch=4)
    seen = []
    run_ = coordinated(library, workers)
    slot = run_._slots[0]
    run_._watch = lambda _: seen.append(len(slot.assigned) - len(slot.embedded))
    run_.run()

    assert 0 < max(seen) <= 3 * 4


def test_its_own_part_is_what_a_worker_gets_first(make: Make) -> None:
    workers = Scripted()
    run(make(40), workers, count=2)
    first = dict(reversed(workers.dispatched()))

    assert all({worker} == {image % 2 for image in images} for worker, images in first.items())


# --- the end of workers: crash attribution --------------------------------------------------------


def test_the_image_that_ends_its_worker_fails_and_no_other(make: Make) -> None:
    library, workers = make(20), Scripted({"07.jpg": Dies(SEGV)})
    report = run(library, workers)

    assert (19, 0, 1, 0) == counts(library)
    assert ("failed", str(errors.DecoderCrash(detail="ended by SIGSEGV"))) == outcomes(library)["07.jpg"]
    assert 2 == report.deaths == len(workers.started) - 1


def test_images_in_quarantine_are_tried_in_isolation(make: Make) -> None:
    workers = Scripted({"07.jpg": Dies(SEGV)})
    run(make(20), workers)
    died = next(number for number, (_, message) in enumerate(workers.sent) if 8 in _images(message))
    again = [images for images in map(_images, (m for _, m in workers.sent[died + 1 :])) if 8 in images]

    assert [[8]] == again, "after the first crash the image is assigned by itself, and after the second never"


def _images(message: ToWorker) -> list[int]:
    return [image.image_id for image in message.images] if isinstance(message, Embed) else []


def test_one_crash_alone_condemns_nobody(make: Make) -> None:
    """The next attempt embeds it: whatever it was, it was not the image."""
    library = make(20)
    report = run(library, Scripted({"07.jpg": [Dies(SEGV)]}))

    assert (20, 0, 0, 0) == counts(library)
    assert 1 == report.deaths


@pytest.mark.parametrize(("code", "crashes"), [(SEGV, 2), (3, 2), (KILL, 4)])
def test_a_kill_from_outside_counts_less_than_a_crash(make: Make, code: int, crashes: int) -> None:
    library = make(9)
    report = run(library, Scripted({"04.jpg": Dies(code)}))

    assert (8, 0, 1, 0) == counts(library)
    assert crashes == report.deaths


@pytest.mark.parametrize("code", [EXIT_DEGRADED, LOST])
def test_a_worker_that_is_degraded_or_whose_machine_is_gone_puts_nothing_in_quarantine(make: Make, code: int) -> None:
    library, workers = make(12), Scripted({"03.jpg": [Dies(code)] * 6})
    report = run(library, workers)

    assert (12, 0, 0, 0) == counts(library)
    assert (0, 7) == (report.deaths, len(workers.started))


def test_an_image_that_went_through_the_model_is_not_quarantined(make: Make) -> None:
    """Its row was lost with the worker: it is embedded again, in company."""
    workers = Scripted({"03.jpg": [Dies(SEGV)]}, save_every=100)
    run(make(12), workers)
    later = [images for _, images in workers.dispatched()[1:]]

    assert [4] in later
    assert not [images for images in later if len(images) == 1 and images[0] < 4]


def test_rows_that_a_dead_worker_made_durable_are_adopted_and_not_embedded_again(make: Make) -> None:
    library, workers = make(12), Scripted({"05.jpg": [Dies(SEGV, saved=True)]}, save_every=100)
    run(library, workers)
    assigned = Counter(image for _, images in workers.dispatched() for image in images)

    assert (12, 0, 0, 0) == counts(library)
    assert {1} == {assigned[image] for image in range(1, 6)}
    assert 12 == merge.merge(library).rows


def test_several_that_kill_fail_and_the_others_do_not(make: Make) -> None:
    library = make(25)
    poison = {f"{number:02}.jpg": Dies(SEGV) for number in (0, 1, 12, 24)}
    run(library, Scripted(poison), count=3)

    assert (21, 0, 4, 0) == counts(library)
    assert set(poison) == {name for name, (outcome, _) in outcomes(library).items() if outcome == "failed"}


def test_killed_again_and_again_from_outside_it_ends_complete(make: Make) -> None:
    library, workers = make(40), Scripted()
    for number in range(6):
        workers.at(0.05 * (number + 1), functools.partial(workers.kill, number % 2))
    run(library, workers, count=2)

    assert (40, 0, 0, 0) == counts(library)


# --- workers that cannot start --------------------------------------------------------------------


def test_workers_that_die_before_they_are_ready_end_the_run_with_their_log(make: Make) -> None:
    library, workers = make(5), Scripted(starts=[Dies(1)] * 10)
    with pytest.raises(errors.WorkerCrashLoop, match=r"embed_worker_0\.log"):
        run(library, workers)

    assert 5 == len(workers.started)
    assert workers.finished
    assert (0, 0, 0, 5) == counts(library)


def test_somebody_who_kills_them_at_their_start_has_to_do_it_longer(make: Make) -> None:
    library = make(5)
    run(library, Scripted(starts=[Dies(KILL)] * 99))
    assert (5, 0, 0, 0) == counts(library)

    with pytest.raises(errors.WorkerCrashLoop):
        run(make(5), Scripted(starts=[Dies(KILL)] * 100))


def test_a_worker_for_which_there_is_no_room_is_stopped_when_nothing_is_left(make: Make) -> None:
    library, workers = make(8), Scripted(starts=[WaitsForRoom()])
    run(library, workers, count=2)

    assert (8, 0, 0, 0) == counts(library)
    assert [Stop()] == [message for worker, message in workers.sent if worker == 0]


def test_a_worker_that_became_ready_wipes_out_what_was_before(make: Make) -> None:
    """Four that cannot start, one that works and dies of an image, four again: that is no series of five."""
    library = make(8)
    starts: list[Fate] = [*[Dies(1)] * 4, None, *[Dies(1)] * 4]
    run(library, Scripted({"03.jpg": [Dies(SEGV)]}, starts=starts))

    assert (8, 0, 0, 0) == counts(library)


def test_what_a_worker_calls_fatal_ends_the_run_as_its_own_error(make: Make) -> None:
    library, workers = make(5), Scripted()
    fields = {"path": "/data/x.npy", "detail": "No space left on device"}
    workers.receive = lambda seconds: [(0, Fatal("DiskFull", fields))]  # type: ignore[method-assign]

    with pytest.raises(errors.DiskFull, match=r"/data/x\.npy"):
        run(library, workers)
    assert workers.finished


def test_a_row_that_is_not_what_its_worker_wrote_stops_the_run(make: Make) -> None:
    library, workers = make(12), Scripted()

    def damage() -> None:
        path = library.data / "embeddings_worker_0.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    save = Scripted._write
    workers._write = lambda worker: (save(worker), damage())[0]  # type: ignore[method-assign]
    with pytest.raises(errors.LibraryDamaged, match="row 3 is not what worker 0 wrote"):
        run(library, workers)

    trim.cut(library, 0, 3)
    assert 3 == library.catalogue.ledger()["embedded"]


# --- whatever happens -----------------------------------------------------------------------------


_FATE = st.one_of(
    st.none(),
    st.sampled_from(
        [
            Dies(SEGV),
            Dies(KILL),
            Dies(EXIT_DEGRADED),
            Dies(1, saved=True),
            Hangs(),
            Fails(),
            Changes(b"new content"),
            FallsSilent(11.0),
        ]
    ),
    st.lists(
        st.sampled_from(
            [
                Dies(SEGV),
                Dies(KILL),
                Dies(EXIT_DEGRADED),
                Dies(LOST),
                Dies(3, saved=True),
                Hangs(),
                Changes(b"another"),
                FallsSilent(30.0),
            ]
        ),
        min_size=1,
        max_size=3,
    ),
)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    fates=st.lists(_FATE, min_size=12, max_size=12),
    sizes=st.lists(st.integers(1, 6), min_size=12, max_size=12),
    count=st.integers(1, 4),
    save_every=st.sampled_from([1, 3, 50]),
    on_nodes=st.booleans(),
)
def test_whatever_workers_do_the_run_ends_and_the_ledger_adds_up(
    tmp_path_factory: pytest.TempPathFactory,
    fates: list[Any],
    sizes: list[int],
    count: int,
    save_every: int,
    on_nodes: bool,
) -> None:
    """Files of a few sizes, so that there are copies, and others of the same size; on nodes what is slow is assigned twice."""
    names = [f"{number:02}.jpg" for number in range(12)]
    files = {name: bytes([number % 3]) * size for number, (name, size) in enumerate(zip(names, sizes, strict=True))}
    # A worker that ends as degraded on one image for ever would be replaced for ever.
    script = {name: fate for name, fate in zip(names, fates, strict=True) if fate != Dies(EXIT_DEGRADED)}
    with made(tmp_path_factory.mktemp("any") / "made", files) as library:
        workers = Scripted(script, save_every=save_every)
        workers.nodes = {k: f"node {k}" for k in range(count if on_nodes else 0)}
        report = run(library, workers, count=count, seconds_per_image=1.0)

        embedded, duplicate, failed, pending = counts(library)
        assert (12, 0) == (embedded + duplicate + failed, pending)
        assert report.images == sum(report.outcomes.values()) == 12
        assert [] == verify.verify(library)
        assert embedded == merge.merge(library).rows
        # A copy shares the end of the first; what has a content of its own and no fate is embedded.
        troubled = {files[name] for name, fate in script.items() if fate is not None}
        sound = {name for name in names if files[name] not in troubled and script.get(name) is None}
        found = outcomes(library)
        assert {found[name][0] for name in sound} <= {"embedded", "duplicate"}

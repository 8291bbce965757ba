"""Pictures in object storage: found, embedded, searched, and whatever a store may do."""

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.images import source
from pixfind.images.source import objects
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.scan_report import ScanReport
from pixfind.models import hub, preprocess
from pixfind.testing.libraries import QUIET
from pixfind.testing.objects import Store
from pixfind.worker import sample
from pixfind.workflows import embed as embedding
from pixfind.workflows.embed import embed
from pixfind.workflows.events import EmbedProgress, Event

pytest.importorskip("obstore")

ROOT = "s3://photos/trip"


@pytest.fixture
def store(bucket: Store, images: dict[str, bytes]) -> Store:
    """A bucket with ten pictures "trip/picture_00000.jpg" and so on; runs wait for it a second."""
    for key, data in images.items():
        bucket.put(key, data)
    return bucket


def add(library: Library, store: Store, root: str = ROOT) -> ScanReport:
    source.use(())
    return scan.add(library, root, settings={"endpoint": store.address})


def run(library: Library) -> dict[str, int]:
    return embed(library, QUIET, runner=Serial()).outcomes


def outcomes(library: Library) -> dict[str, tuple[Any, Any]]:
    rows = library.catalogue._connection.execute("SELECT path, outcome, reason FROM images")
    return {path.rpartition("/")[2]: (outcome, reason) for path, outcome, reason in rows}


def test_pictures_of_a_bucket_are_registered_and_embedded(library: Library, store: Store) -> None:
    assert 10 == add(library, store).new
    assert {"embedded": 10} == run(library)
    assert 0 == add(library, store).new + add(library, store).changed


def test_an_object_with_other_bytes_has_changed(library: Library, store: Store) -> None:
    add(library, store)
    run(library)
    one, other = (store.objects[f"trip/picture_0000{k}.jpg"] for k in range(2))
    store.put(
        "trip/picture_00000.jpg", other.data[: len(one.data)] + b"\0" * (len(one.data) - len(other.data)), one.modified
    )

    assert 1 == add(library, store).changed


def test_objects_that_are_gone_moved_and_new(library: Library, store: Store) -> None:
    add(library, store)
    run(library)
    moved = store.objects.pop("trip/picture_00003.jpg")
    store.objects["trip/other name.jpg"] = moved
    del store.objects["trip/picture_00004.jpg"]
    report = add(library, store)

    assert (1, 1, 0, 0) == (report.moved, report.gone, report.new, report.changed)
    assert {} == run(library)


@pytest.mark.parametrize("fault", ["throttled", "too many", "expired", "denied", "no bucket", "broken"])
def test_a_store_that_refuses_is_offline_and_none_of_its_pictures_fails(
    library: Library, store: Store, fault: str
) -> None:
    add(library, store)
    store.fault = lambda _method, _key: fault
    report = embed(library, QUIET, runner=Serial())

    assert {} == report.outcomes
    assert 1 == len(report.left)
    assert {(None, None)} == set(outcomes(library).values())
    assert next(root for root in library.catalogue.roots() if root.path == ROOT).offline
    store.fault = lambda _method, _key: None
    assert 0 == add(library, store).offline
    assert {"embedded": 10} == run(library)


@pytest.mark.parametrize(
    ("fault", "outcome"), [("cut", "unreadable: "), ("more", "unreadable: "), ("denied", "unreadable: access denied")]
)
def test_one_object_that_cannot_be_read_fails_alone(library: Library, store: Store, fault: str, outcome: str) -> None:
    add(library, store)
    store.fault = lambda _method, key: fault if key.endswith("5.jpg") else None

    assert {"embedded": 9, "failed": 1} == run(library)
    failed, reason = outcomes(library)["picture_00005.jpg"]
    assert "failed" == failed
    assert reason.startswith(outcome)
    store.fault = lambda _method, _key: None
    assert {"embedded": 1} == run(library)


def test_an_object_that_has_gone_since_the_scan_is_missing(library: Library, store: Store) -> None:
    add(library, store)
    del store.objects["trip/picture_00005.jpg"]

    assert {"embedded": 9, "failed": 1} == run(library)
    assert "file missing" in outcomes(library)["picture_00005.jpg"][1]


def test_an_object_that_has_changed_since_the_scan_is_embedded_as_it_is_now(library: Library, store: Store) -> None:
    add(library, store)
    store.put("trip/picture_00005.jpg", store.objects["trip/picture_00005.jpg"].data + b"\0", modified=1_700_000_001)

    assert {"embedded": 10} == run(library)
    assert 0 == add(library, store).changed


def test_an_object_that_is_too_large_is_not_fetched(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_BYTES", len(store.objects["trip/picture_00005.jpg"].data) - 1)
    add(library, store)
    left = {name: reason for name, (outcome, reason) in outcomes_after(library).items() if outcome == "skipped"}

    assert "picture_00005.jpg" in left
    assert all("too large to fetch" in reason for reason in left.values())


def outcomes_after(library: Library) -> dict[str, tuple[Any, Any]]:
    run(library)
    return outcomes(library)


class _GoesAway:
    """A store that goes away with its fifth picture and returns when the run has said that it waits."""

    def __init__(self, store: Store) -> None:
        self.store, self.fetched, self.said = store, 0, ""
        store.fault = self._count

    def _count(self, method: str, _key: str) -> str | None:
        if method == "GET":
            self.fetched += 1
            if self.fetched == 5:
                return "away"
        return None

    def watch(self, event: Event) -> None:
        if isinstance(event, EmbedProgress) and event.snapshot.held_back and not self.said:
            self.said = event.snapshot.line()
            self.store.open()


def test_a_store_that_goes_away_and_returns_costs_nothing(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_PATIENCE_SECONDS", 60.0)
    add(library, store)
    away = _GoesAway(store)
    report = embed(library, QUIET, observer=away.watch)

    assert {"embedded": 10} == report.outcomes
    assert {} == report.left
    assert away.said.startswith("held back by the network (s3://photos: ")


def test_a_listing_that_is_interrupted_keeps_what_it_did_not_reach(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_LISTING_PATIENCE", 0.0)
    add(library, store)
    listings = itertools.count()
    # The first asks whether the store is there.
    store.fault = lambda method, _key: "denied" if method == "LIST" and next(listings) else None
    report = add(library, store)

    assert (0, 1) == (report.gone, report.problems)
    assert f"{ROOT} (access denied (403 Forbidden AccessDenied))" in report.named["problems"]


def test_no_secret_is_said_or_kept(library: Library, store: Store) -> None:
    add(library, store)
    store.fault = lambda _method, _key: "expired"
    report = embed(library, QUIET, runner=Serial())

    assert "not-to-be-seen" not in str(report)
    kept = b"".join(path.read_bytes() for path in library.path.rglob("*") if path.is_file())
    assert b"not-to-be-seen" not in kept
    assert b"AKIAEXAMPLE" not in kept


def test_without_credentials_nobody_is_asked(library: Library, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")

    with pytest.raises(errors.AddressRefused, match="--anonymous"):
        add(library, store)
    assert not store.requests
    assert 10 == scan.add(library, ROOT, settings={"endpoint": store.address, "anonymous": True}).new


def test_a_profile_gives_the_credentials(
    library: Library, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = A\naws_secret_access_key = B\n")
    (tmp_path / "config").write_text(f"[profile work]\nendpoint_url = {store.address}\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    assert 10 == scan.add(library, ROOT).new


@pytest.mark.parametrize("endpoint", ["http://me:not-to-be-seen@127.0.0.1:1", "http://127.0.0.1:1?sig=not-to-be-seen"])
def test_an_endpoint_with_credentials_is_not_remembered(library: Library, store: Store, endpoint: str) -> None:
    with pytest.raises(errors.AddressRefused, match="contains credentials") as refused:
        scan.add(library, ROOT, settings={"endpoint": endpoint})
    assert "not-to-be-seen" not in str(refused.value)
    add(library, store)
    with pytest.raises(errors.AddressRefused):
        scan.add(library, ROOT, settings={"endpoint": endpoint})
    assert "not-to-be-seen" not in str(library.catalogue.roots())


def test_keys_are_read_as_they_are_written(library: Library, store: Store) -> None:
    data = next(iter(store.objects.values())).data
    names = ["ü x#1?.jpg", "%20.jpg", "a+b&c=d.jpg", 'q"uo`te<>|^\\.jpg', "x[1]{2}*.jpg", "\\x5c\\xff.jpg"]
    store.objects.clear()
    for number, name in enumerate(names):
        store.put(f"trip/{name}", data + b"\0" * number)

    assert len(names) == add(library, store).new
    assert {"embedded": len(names)} == run(library)


def test_a_key_that_cannot_be_read_is_named_and_nothing_else_is_lost(library: Library, store: Store) -> None:
    add(library, store)
    for key in ("trip/a//b.jpg", "trip/a//c.jpg", "trip/m/./d.jpg", "trip/n/../e.jpg", "trip//f.jpg"):
        store.put(key, b"x")
    store.put("trip/z.jpg", b"x")
    report = add(library, store)

    assert (1, 0, 1) == (report.new, report.gone, report.problems)
    assert "trip//f.jpg" in report.named["problems"][0]
    del store.objects["trip/picture_00004.jpg"]
    assert 0 == add(library, store).gone


def test_objects_far_behind_a_key_that_cannot_be_read_are_found(library: Library, store: Store) -> None:
    store.put("trip/0//b.jpg", b"x")
    for number in range(2_500):
        store.put(f"trip/p/{number:05}.jpg", b"x" * (number + 1))

    assert 2_510 == add(library, store).new


def test_excluded_objects_and_a_bucket_inside_another_root(library: Library, store: Store) -> None:
    store.put("trip/cache/a.jpg", b"x")
    store.put("trip/inner/b.jpg", b"y")
    store.put("tripod/c.jpg", b"z")

    assert 10 == scan.add(library, ROOT, ("cache", "inner"), settings={"endpoint": store.address}).new
    assert 1 == add(library, store, "s3://photos/trip/inner/").new
    assert 0 == add(library, store).new


def test_google_is_asked_at_another_endpoint_too(library: Library, store: Store) -> None:
    settings = {"endpoint": store.address, "anonymous": True}

    assert 10 == scan.add(library, "gs://photos/trip", settings=settings).new
    assert {"embedded": 10} == run(library)


@pytest.mark.parametrize(
    ("environment", "settings", "said"),
    [
        ({}, {}, "storage account"),
        ({"AZURE_STORAGE_ACCOUNT": "holidays"}, {}, "no credentials"),
        ({"AZURE_STORAGE_ACCOUNT": "holidays"}, {"anonymous": True, "endpoint": "http://127.0.0.1:1"}, "no connection"),
        (
            {"AZURE_STORAGE_ACCOUNT": "holidays", "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x"},
            {"endpoint": "http://127.0.0.1:1"},
            "no connection",
        ),
    ],
)
def test_azure_says_what_it_misses(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    settings: dict[str, Any],
    said: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((errors.AddressRefused, errors.StoreUnreachable), match=said) as refused:
        scan.add(library, "az://photos/trip", settings=settings)
    assert "sig=" not in str(refused.value)


def test_a_sample_is_read_where_the_root_lies(library: Library, store: Store) -> None:
    add(library, store)
    files = hub.resolve("starter", offline=True)
    paths = [f"{ROOT}/picture_{number:05}.jpg" for number in range(3)]

    assert 3 == len(sample.prepared(paths, preprocess.load(files)))
    assert store.requests["GET", "trip/picture_00001.jpg"]


@pytest.fixture
def moto(store: Store) -> Iterator[str]:
    """The same pictures in an S3 that is not ours, and its address."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        bucket = importlib.import_module("boto3").resource("s3", endpoint_url=address, region_name="us-east-1")
        made = bucket.create_bucket(Bucket="photos")
        for key, stored in store.objects.items():
            made.put_object(Key=key, Body=stored.data)
        yield address
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_server_of_s3_that_is_not_ours(library: Library, moto: str) -> None:
    settings = {"endpoint": moto}

    assert 10 == scan.add(library, ROOT, settings=settings).new
    assert {"embedded": 10} == run(library)
    again = scan.add(library, ROOT)
    assert (0, 0, 0) == (again.new, again.changed, again.gone)
    with pytest.raises(errors.StoreUnreachable, match="no such bucket"):
        scan.add(library, "s3://elsewhere", settings=settings)

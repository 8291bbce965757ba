"""The protocol: every message arrives as it was sent, and what is no message is refused."""

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixfind import errors
from pixfind.types import ImageRef, Outcome, Settled
from pixfind.worker import protocol
from pixfind.worker.protocol import FromWorker, ToWorker, WorkerConfig

_IMAGES = st.builds(ImageRef, image_id=st.integers(1), path=st.text(), size=st.integers(0))
_CLAIMS = st.lists(st.tuples(st.integers(1), st.binary(min_size=16, max_size=16)), min_size=1).map(tuple)
_NUMBERS = st.floats(allow_nan=False)
_FIELDS: dict[Any, dict[str, Any]] = {
    protocol.Quota: {"cpu_quota": _NUMBERS},
    protocol.Embed: {"images": st.lists(_IMAGES).map(tuple)},
    protocol.Claim: {"contents": _CLAIMS},
    protocol.Fatal: {"fields": st.dictionaries(st.text(), st.text())},
    protocol.Saved: {"stages": st.dictionaries(st.text(), _NUMBERS), "processor_seconds": _NUMBERS},
}


def messages(union: object) -> st.SearchStrategy[ToWorker | FromWorker]:
    return st.one_of([st.builds(kind, **_FIELDS.get(kind, {})) for kind in get_args(union)])


@given(messages(ToWorker))
def test_every_message_to_a_worker_arrives_as_it_was_sent(message: ToWorker) -> None:
    line = protocol.encode(message)

    assert message == protocol.decode_to_worker(line)
    assert line.isascii()
    assert "\n" not in line


@given(messages(FromWorker))
def test_every_message_from_a_worker_arrives_as_it_was_sent(message: FromWorker) -> None:
    assert message == protocol.decode_from_worker(protocol.encode(message))


@given(st.builds(WorkerConfig, seconds_per_image=_NUMBERS, cpu_quota=_NUMBERS))
def test_a_configuration_arrives_as_it_was_sent(config: WorkerConfig) -> None:
    assert config == protocol.decode_config(protocol.encode(config))


def test_a_quota_without_limit_and_a_name_that_is_no_text_arrive_as_well() -> None:
    named = protocol.Embed((ImageRef(1, "/pictures/\udcff.jpg", 2, 3, same_size=True),))

    assert protocol.Quota(math.inf) == protocol.decode_to_worker(protocol.encode(protocol.Quota(math.inf)))
    assert named == protocol.decode_to_worker(protocol.encode(named))


def test_the_wire_is_one_object_a_line_with_the_name_of_the_message() -> None:
    """What docs/explanation/architecture.md shows."""
    assert json.loads(protocol.encode(protocol.Embed((ImageRef(7, "/a.jpg", 10, 20),)))) == {
        "embed": {"images": [[7, "/a.jpg", 10, 20, False]]}
    }
    assert {"claim": {"contents": [[7, "ff00"]]}} == json.loads(protocol.encode(protocol.Claim(((7, b"\xff\0"),))))
    assert {"stop": {}} == json.loads(protocol.encode(protocol.Stop()))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "not JSON",
        "{}",
        '{"dance": {}}',
        '{"ready": {}}',
        '{"stop": {"now": true}}',
        '{"stop": {}, "quota": {"cpu_quota": 1.0}}',
        '{"quota": {"cpu_quota": "1"}}',
        '{"quota": {}}',
        '{"quota": 1.0}',
        '{"embed": {"images": "abc"}}',
        '{"embed": {"images": [[1, "/a.jpg", 2]]}}',
        '{"claims_answered": {"granted": [1, "2"]}}',
    ],
)
def test_what_is_no_message_to_a_worker_is_refused_with_the_line(line: str) -> None:
    with pytest.raises(errors.UnknownMessage, match="same version of pixfind") as refused:
        protocol.decode_to_worker(line)

    assert line in str(refused.value)


@pytest.mark.parametrize(
    "line",
    ['{"stop": {}}', '{"claim": {"contents": [[1, "xyz"]]}}', '{"saved": {"rows": 1}}', '{"fatal": {"error": "X"}}'],
)
def test_what_is_no_message_from_a_worker_is_refused(line: str) -> None:
    with pytest.raises(errors.UnknownMessage):
        protocol.decode_from_worker(line)


def test_an_outcome_that_this_version_does_not_know_is_refused() -> None:
    saved = protocol.Saved(0, (Settled(1, Outcome.FAILED, "truncated"),), (), (), {}, 0, 1, 0.0)
    line = protocol.encode(saved)

    assert saved == protocol.decode_from_worker(line)
    with pytest.raises(errors.UnknownMessage):
        protocol.decode_from_worker(line.replace("failed", "misplaced"))


def test_an_error_of_a_worker_is_raised_again_with_its_message() -> None:
    error = errors.DiskFull(path="/data/x.npy", detail="No space left on device")
    rebuilt = protocol.Fatal.of(error).rebuilt()

    assert (type(error), str(error)) == (type(rebuilt), str(rebuilt))


@pytest.mark.parametrize("name", ["FromTheFuture", "Any", "NotAnImage", "inspect"])
def test_an_error_that_this_version_does_not_know_is_told_by_its_name(name: str) -> None:
    assert name in str(protocol.Fatal(name, {}).rebuilt())
    assert isinstance(protocol.Fatal(name, {}).rebuilt(), errors.UnknownMessage)

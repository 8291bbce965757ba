"""Where a node finds the files of its images: at the same path, at a mapped one, or on the library's machine, which sends no more than it has memory for."""

import dataclasses
import functools
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.embedding.runners.ray_files import FileSender
from pixfind.images import decode, source
from pixfind.testing import make_image, wait_for
from pixfind.types import ImageRef
from pixfind.worker import embed, protocol
from pixfind.worker.files import FilesOfNode, content_of
from pixfind.worker.protocol import Content, Fetch, FromWorker


def image_of(path: Path, image_id: int = 1) -> ImageRef:
    size, mtime_ns = source.version(str(path)) or (7, 7)
    return ImageRef(image_id, str(path), size, mtime_ns, same_size=False)


class Answered:
    """A node whose questions are answered at once, as the library's machine would: from the files that it has."""

    def __init__(self, images: dict[int, ImageRef], maps: tuple[tuple[str, str], ...] = ()) -> None:
        self.asked: list[int] = []
        self.files = FilesOfNode(self._answer, maps)
        self._images = images

    def _answer(self, message: FromWorker) -> None:
        assert isinstance(message, Fetch)
        self.asked.append(message.image_id)
        content = content_of(self._images[message.image_id])
        sent = protocol.decode_to_worker(protocol.encode(content))
        assert isinstance(sent, Content)
        self.files.answer(sent)

    def read(self, image: ImageRef) -> embed.Read:
        return self.files.read(image) or self.files.fetch(image)


def test_a_file_at_the_same_path_is_read_there(tmp_path: Path) -> None:
    image = image_of(make_image(tmp_path / "a.jpg"))
    node = Answered({1: image})

    assert embed.read(image).original == node.read(image).original
    assert [] == node.asked


def test_a_file_below_a_mapped_folder_is_read_there(tmp_path: Path) -> None:
    there = make_image(tmp_path / "mnt" / "photos" / "trip" / "a.jpg")
    image = dataclasses.replace(image_of(there), path="/volume1/photos/trip/a.jpg")
    node = Answered({}, (("/volume1", "/elsewhere"), ("/volume1/photos", str(tmp_path / "mnt" / "photos"))))

    assert there.read_bytes() == node.read(image).original.data
    assert [] == node.asked


def test_a_folder_whose_name_only_begins_like_a_mapped_one_is_not_mapped(tmp_path: Path) -> None:
    image = image_of(make_image(tmp_path / "photos2" / "a.jpg"))
    node = Answered({1: image}, ((str(tmp_path / "photos"), "/nowhere"),))

    assert Path(image.path).read_bytes() == node.read(image).original.data
    assert [] == node.asked


def test_another_file_at_the_same_path_is_not_taken_for_it(tmp_path: Path) -> None:
    here, there = make_image(tmp_path / "library" / "a.jpg", seed=1), make_image(tmp_path / "node" / "a.jpg", seed=2)
    image = image_of(here)
    node = Answered({1: image}, ((str(here.parent), str(there.parent)),))

    assert here.read_bytes() == node.read(image).original.data
    assert [1] == node.asked


@pytest.mark.parametrize("member", ["", "!/a.jpg"], ids=["file", "member of an archive"])
def test_a_bad_copy_on_the_node_does_not_make_a_good_picture_fail(tmp_path: Path, member: str) -> None:
    here, there = tmp_path / "library/a", tmp_path / "node/a"
    suffix = ".zip" if member else ".jpg"
    picture = make_image(here.with_suffix(".jpg"))
    with zipfile.ZipFile(here.with_suffix(".zip"), "w") as archive:
        archive.write(picture, "a.jpg")
    there.parent.mkdir()
    whole = here.with_suffix(suffix).read_bytes()
    there.with_suffix(suffix).write_bytes(whole[: len(whole) // 2] if member else b"")
    image = image_of(Path(f"{here.with_suffix(suffix)}{member}"))
    node = Answered({1: image}, ((str(here.parent), str(there.parent)),))

    assert picture.read_bytes() == node.read(image).original.data
    assert [1] == node.asked


def test_a_file_that_comes_from_the_library_gives_the_same_as_one_that_is_read_here(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.json").write_text(
        '{"title": "a.jpg", "photoTakenTime": {"timestamp": "1500000000"}, "geoData": {"latitude": 4.5, "longitude": 5.5}}'
    )
    image = image_of(path)
    node = Answered({1: image})
    limits = decode.Limits(10**8)

    class Plain:
        decode_side = 8
        prepare = staticmethod(lambda picture: __import__("numpy").asarray(picture))

    here, fetched = (embed.load(file, Plain(), limits) for file in (embed.read(image), node.files.fetch(image)))

    assert (here.fingerprint, here.metadata) == (fetched.fingerprint, fetched.metadata)
    assert 1_500_000_000 == fetched.metadata.taken_at
    assert (False, True) == (here.fetched, fetched.fetched)


def test_a_problem_on_the_library_s_machine_is_the_one_of_the_image(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    node = Answered({1: image_of(empty), 2: image_of(tmp_path / "gone.jpg", 2)})

    with pytest.raises(errors.EmptyFile):
        node.files.fetch(image_of(empty))
    with pytest.raises(errors.FileMissing):
        node.files.fetch(image_of(tmp_path / "gone.jpg", 2))


def test_a_file_that_changed_since_the_scan_is_told_with_its_version(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.jpg")
    image = dataclasses.replace(image_of(path), size=5)

    with pytest.raises(errors.ModifiedSinceScan) as changed:
        Answered({1: image_of(path)}).files.fetch(image)

    assert path.stat().st_size == changed.value.fields["size"]


def test_nobody_waits_for_a_file_once_the_worker_ends(tmp_path: Path) -> None:
    asked = threading.Event()
    files = FilesOfNode(lambda _: asked.set())
    ended: list[bool] = []

    def fetch() -> None:
        with pytest.raises(errors.FileMissing):
            files.fetch(image_of(tmp_path / "a.jpg"))
        ended.append(True)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert asked.wait(50)
    files.close()
    thread.join()

    assert [True] == ended


# --- the library's machine ------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Callable[[int], ImageRef]:
    """large(n): image n, of a file of 1,000 bytes."""

    def made(number: int) -> ImageRef:
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(bytes([number]) * 1000)
        return image_of(path, number)

    return made


def test_no_more_is_on_the_way_than_memory_was_given_for(large: Callable[[int], ImageRef]) -> None:
    sender = FileSender(bound=2500)
    sent: list[Content] = []
    for number in range(6):
        sender.ask(large(number), lambda content: sent.append(content) or True)

    for arrived in range(1, 4):
        wait_for(functools.partial(lambda many: len(sent) == many, 2 * arrived))
        sender.arrived(sent[2 * arrived - 2 :])
    sender.close()
    assert {0, 1, 2, 3, 4, 5} == {content.image_id for content in sent}


def test_a_file_larger_than_the_bound_goes_alone(large: Callable[[int], ImageRef]) -> None:
    sender = FileSender(bound=10)
    sent: list[Content] = []
    for number in range(2):
        sender.ask(large(number), lambda content: sent.append(content) or True)

    wait_for(lambda: len(sent) == 1)
    sender.arrived(sent[:])
    wait_for(lambda: len(sent) == 2)
    sender.close()


def test_what_a_worker_that_has_ended_asked_for_takes_no_memory(large: Callable[[int], ImageRef]) -> None:
    sender = FileSender(bound=1000)
    refused: list[Content] = []
    for number in range(3):
        sender.ask(large(number), lambda content: bool(refused.append(content)))

    wait_for(lambda: len(refused) == 3)
    sender.close()

"""XMP sidecars: words for other programs, and nobody else's file is touched."""

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from xml.etree import ElementTree

import numpy as np
import pytest

from pixfind import errors
from pixfind.demo.collection import draw
from pixfind.embedding.runners.serial import Serial
from pixfind.library import labels, verify
from pixfind.library.labels import Definition
from pixfind.library.library import Library
from pixfind.testing import copy_library
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET
from pixfind.workflows import label
from pixfind.workflows.export import images
from pixfind.workflows.export_xmp import export_xmp, mirrored
from pixfind.workflows.index import index

SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of sixty drawn pictures with labels, one of them in an archive; to be copied."""
    place = tmp_path_factory.mktemp("sidecars")
    pictures = place / "pictures"
    pictures.mkdir()
    for kind, count in (("beach", 30), ("forest", 29), ("city-night", 2)):
        for number in range(count):
            draw(kind, np.random.default_rng(number), (160, 120)).save(pictures / f"{kind}-{number:02}.jpg", quality=88)
    with zipfile.ZipFile(pictures / "old.zip", "w") as archive:
        archive.write(pictures / "beach-29.jpg", "beach-29.jpg")
    (pictures / "beach-29.jpg").unlink()
    with Library.create(place / "library") as made:
        index(made, [pictures], QUIET, runner=Serial(), in_archives=True)
        define(made, Definition("beach & <sea>", '+"beach"', min_z=-9.0))
    return place


@pytest.fixture
def library(tmp_path: Path, original: Path) -> Iterator[Library]:
    with copy_library(original, tmp_path) as made:
        yield made
        assert [] == verify.verify(made)


def define(library: Library, *definitions: Definition) -> None:
    with library.lock("label"):
        label.define(library, definitions)


def words(path: Path) -> list[str]:
    tree = ElementTree.fromstring(path.read_bytes())  # noqa: S314  ours
    (subject,) = tree.iter(SUBJECT)
    return [item.text or "" for item in subject.iter(ITEM)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".xmp"}


def test_sidecars_lie_below_a_folder_as_the_pictures_do(library: Library, tmp_path: Path) -> None:
    before = contents(tmp_path / "pictures")
    done = export_xmp(library, {}, tmp_path / "out")

    below = (tmp_path / "out").joinpath(*tmp_path.parts[1:], "pictures")
    assert 60 == done.written == len(list(below.iterdir()))
    assert ["beach & <sea>"] == words(below / "beach-00.jpg.xmp")
    assert {"it is no file of its own on this machine": 1} == done.left_out
    assert before == contents(tmp_path / "pictures")
    assert not list((tmp_path / "pictures").glob("*.xmp"))


def test_where_the_pictures_are_away_nothing_is_written_beside_them(library: Library, tmp_path: Path) -> None:
    (tmp_path / "pictures").rename(tmp_path / "unplugged")
    (tmp_path / "pictures").mkdir()
    done = export_xmp(library, {}, None)

    assert (0, 60) == (done.written, done.left_out["it is not there now"])
    assert [] == list((tmp_path / "pictures").iterdir())
    (tmp_path / "pictures").rmdir()
    (tmp_path / "unplugged").rename(tmp_path / "pictures")


def test_a_name_as_long_as_names_can_be_has_a_sidecar(library: Library, tmp_path: Path) -> None:
    long = "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 80 + ".jpg"
    (tmp_path / "pictures/beach-00.jpg").rename(tmp_path / "pictures" / long)
    index(library, (), QUIET, runner=Serial())

    assert 60 == export_xmp(library, {}, None).written
    assert ["beach & <sea>"] == words(tmp_path / "pictures" / f"{long}.xmp")


def test_beside_the_pictures_again_changes_nothing_and_words_that_went_take_ours_away(
    library: Library, tmp_path: Path
) -> None:
    first = export_xmp(library, {}, None)
    again = export_xmp(library, {}, None)
    define(library, Definition("nothing", '+"beach"', min_z=99.0))
    after = export_xmp(library, {}, None)

    assert (60, 0) == (first.written, first.unchanged)
    assert (0, 60) == (again.written, again.unchanged)
    assert 60 == after.removed
    assert not [path for path in (tmp_path / "pictures").iterdir() if ".xmp" in path.name]


def test_a_sidecar_of_another_program_stays_to_the_byte(library: Library, tmp_path: Path) -> None:
    theirs = {
        "beach-00.jpg.xmp": b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">stars</x:xmpmeta>',
        "beach-01.jpg.xmp": b"",
        "beach-02.jpg.xmp": b'<a>pixfind x:xmptk="other "</a>',
    }
    for name, content in theirs.items():
        (tmp_path / "pictures" / name).write_bytes(content)
    (tmp_path / "elsewhere.xmp").write_bytes(b"linked")
    (tmp_path / "pictures/beach-03.jpg.xmp").symlink_to(tmp_path / "elsewhere.xmp")
    (tmp_path / "pictures/beach-04.jpg.xmp").mkdir()

    done = export_xmp(library, {}, None)

    assert {*theirs, "beach-03.jpg.xmp", "beach-04.jpg.xmp"} == {Path(path).name for path in done.kept}
    assert theirs == {name: (tmp_path / "pictures" / name).read_bytes() for name in theirs}
    assert b"linked" == (tmp_path / "elsewhere.xmp").read_bytes()
    assert 55 == done.written


def test_ours_that_its_user_has_changed_is_neither_overwritten_nor_removed(library: Library, tmp_path: Path) -> None:
    export_xmp(library, {}, None)
    rated = tmp_path / "pictures/beach-00.jpg.xmp"
    content = rated.read_bytes().replace(
        b'rdf:about=""', b'rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"'
    )
    rated.write_bytes(content)

    define(library, Definition("shore", '+"beach"', min_z=-9.0))
    changed = export_xmp(library, {}, None)
    define(library)
    after = export_xmp(library, {}, None)

    assert (0, 59, [str(rated)]) == (changed.written, changed.changed, changed.kept)
    assert (59, [str(rated)]) == (after.removed, after.kept)
    assert content == rated.read_bytes()


def test_those_of_deleted_pictures_are_removed_and_no_others(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out"
    below = out.joinpath(*tmp_path.parts[1:], "pictures")
    export_xmp(library, {}, out)
    rated = below / "beach-02.jpg.xmp"
    rated.write_bytes(rated.read_bytes().replace(b"<dc:subject>", b'<dc:subject n="1">'))
    others = below / "of-another-library.jpg.xmp"
    shutil.copy(below / "beach-00.jpg.xmp", others)
    shutil.copy(below / "beach-00.jpg.xmp", tmp_path / "pictures" / "of-another-library.jpg")
    shutil.copy(below / "beach-00.jpg.xmp", out / "elsewhere.jpg.xmp")
    (tmp_path / "pictures/old").mkdir()
    (tmp_path / "pictures/beach-00.jpg").unlink()
    (tmp_path / "pictures/beach-01.jpg").rename(tmp_path / "pictures/old/beach-01.jpg")
    (tmp_path / "pictures/beach-02.jpg").unlink()
    before = export_xmp(library, {}, out)
    index(library, (), QUIET, runner=Serial())
    done = export_xmp(library, {}, out)

    assert 0 == before.removed, "what a scan has not seen yet stays"
    assert (1, 1, [str(rated)]) == (done.written, done.removed, done.kept)
    assert (below / "old/beach-01.jpg.xmp").exists()
    assert others.exists()
    assert (out / "elsewhere.jpg.xmp").exists()


def test_those_of_another_library_stay_while_the_drive_of_both_is_away(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_xmp(library, {}, out)
    below = out.joinpath(*tmp_path.parts[1:], "pictures")
    others = below / "of-another-library.jpg.xmp"
    shutil.copy(below / "beach-00.jpg.xmp", others)
    (tmp_path / "pictures/beach-00.jpg").unlink()
    index(library, (), QUIET, runner=Serial())
    (tmp_path / "pictures").rename(tmp_path / "unmounted")
    assert 0 == export_xmp(library, {}, out).removed
    (tmp_path / "pictures").mkdir()

    assert 0 == export_xmp(library, {}, out).removed
    assert others.exists()


def test_those_of_another_library_stay_while_its_drive_inside_a_folder_of_ours_is_away(
    library: Library, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_xmp(library, {}, out)
    below = out.joinpath(*tmp_path.parts[1:], "pictures")
    (below / "usb/trip").mkdir(parents=True)
    shutil.copy(below / "beach-00.jpg.xmp", below / "usb/trip/a.jpg.xmp")
    (tmp_path / "pictures/usb").mkdir()

    assert 0 == export_xmp(library, {}, out).removed
    assert (below / "usb/trip/a.jpg.xmp").exists()


def test_sidecars_elsewhere_below_the_pictures_are_nobodys_to_remove(library: Library, tmp_path: Path) -> None:
    """Those of an export into a folder below the pictures, and copies that somebody made of them."""
    pictures = tmp_path / "pictures"
    out = pictures / "out"
    first = export_xmp(library, {}, out)
    shutil.copytree(out, pictures / "copies")
    assert 0 == export_xmp(library, {}, None).removed
    assert first.written == len(list(out.rglob("*.xmp"))) == len(list((pictures / "copies").rglob("*.xmp")))


def test_beside_deleted_pictures_no_sidecar_of_ours_stays(library: Library, tmp_path: Path) -> None:
    export_xmp(library, {}, None)
    (tmp_path / "pictures/beach-00.jpg").unlink()
    index(library, (), QUIET, runner=Serial())

    assert 1 == export_xmp(library, {}, None).removed
    assert not (tmp_path / "pictures/beach-00.jpg.xmp").exists()


@pytest.mark.parametrize("folder", ["out", None])
def test_those_of_pictures_that_were_excluded_since_are_removed_and_return_with_them(
    library: Library, tmp_path: Path, folder: str | None
) -> None:
    place = None if folder is None else tmp_path / folder
    below = tmp_path / "pictures" if place is None else place.joinpath(*tmp_path.parts[1:], "pictures")
    export_xmp(library, {}, place)
    rated = below / "beach-00.jpg.xmp"
    rated.write_bytes(rated.read_bytes().replace(b"<dc:subject>", b'<dc:subject n="1">'))
    theirs = below / "beach-01.jpg.xmp"
    theirs.write_bytes(b"of another program")
    index(library, (), QUIET, runner=Serial(), exclude=["beach-0?.jpg"])
    preview = export_xmp(library, {}, place, dry_run=True)
    done = export_xmp(library, {}, place)

    assert 8 == preview.removed == done.removed
    assert [str(rated)] == done.kept
    assert {rated.name, theirs.name} == {path.name for path in below.glob("beach-0?.jpg.xmp")}
    assert b"of another program" == theirs.read_bytes()
    index(library, (), QUIET, runner=Serial(), include=["beach-0?.jpg"])
    assert 8 == export_xmp(library, {}, place).written


def test_those_of_pictures_that_went_to_another_part_are_of_its_library(library: Library, tmp_path: Path) -> None:
    export_xmp(library, {}, None)
    index(library, [tmp_path / "pictures"], QUIET, runner=Serial(), settings={"part": "1/2"})

    assert 0 < len(list(images(library))) < 60
    assert 0 == export_xmp(library, {}, None).removed


def test_those_of_excluded_pictures_stay_while_the_drive_is_away(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_xmp(library, {}, out)
    index(library, (), QUIET, runner=Serial(), exclude=["beach-0?.jpg"])
    (tmp_path / "pictures").rename(tmp_path / "unmounted")

    assert 0 == export_xmp(library, {}, out).removed
    (tmp_path / "unmounted").rename(tmp_path / "pictures")
    assert 10 == export_xmp(library, {}, out).removed


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PurePosixPath("/home/me/a.jpg.xmp"), "home/me/a.jpg.xmp"),
        (PureWindowsPath("C:\\me\\a.jpg.xmp"), "C/me/a.jpg.xmp"),
        (PureWindowsPath("D:\\me\\a.jpg.xmp"), "D/me/a.jpg.xmp"),
        (PureWindowsPath("\\\\server\\share\\a.jpg.xmp"), "server/share/a.jpg.xmp"),
    ],
)
def test_each_drive_has_a_folder_of_its_own(path: PurePath, expected: str) -> None:
    assert expected == mirrored(path).as_posix()


def test_the_umask_says_who_may_read_them(library: Library, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        export_xmp(library, {}, tmp_path / "out")
        below = (tmp_path / "out").joinpath(*tmp_path.parts[1:], "pictures")
        (below / "beach-01.jpg.xmp").chmod(0o640)
        define(library, Definition("shore", '+"beach"', min_z=-9.0))
        export_xmp(library, {}, tmp_path / "out")
    finally:
        os.umask(before)

    assert {0o755} == {stat.S_IMODE(place.stat().st_mode) for place in (tmp_path / "out", below)}
    assert ["shore"] == words(below / "beach-01.jpg.xmp")
    assert [0o644, 0o640] == [stat.S_IMODE((below / f"beach-0{n}.jpg.xmp").stat().st_mode) for n in (0, 1)]


def test_words_keep_what_joins_letters_and_lose_what_xml_cannot_hold(library: Library, tmp_path: Path) -> None:
    (picture,) = (one for one in images(library) if one.path.endswith("beach-00.jpg"))
    given = ["نمی\u200cشود", "👨\u200d👩\u200d👧", "a\x01b\u202ec\uffff"]
    for _ in range(2):
        done = export_xmp(library, {picture.image_id: given}, None)

    assert 60 == done.unchanged
    assert [*given[:2], "a b c "] == words(tmp_path / "pictures/beach-00.jpg.xmp")[1:]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "JSON"])
def test_what_the_system_refuses_ends_with_an_error_once_all_others_are_written(
    library: Library, tmp_path: Path, commands: Commands, form: tuple[str, ...]
) -> None:
    # For root no folder is closed: a name that is too long is refused to everybody.
    shutil.copy(tmp_path / "pictures/beach-00.jpg", tmp_path / f"pictures/{'x' * 249}.jpg")
    index(library, (), QUIET, runner=Serial())
    command = ["--library", str(library.path), "export", *form]
    some = commands.run([*command, "--xmp", str(tmp_path / "out")])
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / tmp_path.parts[1]).write_bytes(b"a file in the way")
    none = commands.run([*command, "--xmp", str(tmp_path / "closed")])

    assert [errors.OutputNotWritable.exit_code] * 2 == [some.returncode, none.returncode]
    assert 60 == len(list((tmp_path / "out").rglob("*.xmp")))
    if form:
        values = [json.loads(each.stdout) for each in (some, none)]
        assert [(60, 1, 1), (0, 61, 1)] == [
            (each["written"], sum(each["failed"].values()), sum(each["left_out"].values())) for each in values
        ]
    else:
        assert b"60 sidecars written" in some.stderr
        assert b"error: 1 sidecar could not be written or removed: File name too long" in some.stderr
        assert b"error: 61 sidecars could not be written or removed" in none.stderr


def test_a_folder_of_a_library_and_a_file_are_refused(library: Library, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(library.path / "data")
    (tmp_path / "link of a link").symlink_to(tmp_path / "link")
    inside = (library.path, library.path / "data", tmp_path / "link/new", tmp_path / "link of a link")
    for place in (*inside, tmp_path / "pictures/beach-00.jpg"):
        with pytest.raises(errors.OutputNotWritable):
            export_xmp(library, {}, place)


def test_the_command_adds_the_names_of_albums(library: Library, tmp_path: Path, commands: Commands) -> None:
    where = ["--library", str(library.path)]
    with library.lock("label"):
        labels.define(library.catalogue, ())
    assert 0 == commands.run([*where, "search", "name:forest", "--save", "Woods"]).returncode
    done = commands.run([*where, "export", "--xmp", str(tmp_path / "out"), "--album", "woods"])

    assert 0 == done.returncode, done.stderr
    below = (tmp_path / "out").joinpath(*tmp_path.parts[1:], "pictures")
    assert {f"forest-{number:02}.jpg.xmp" for number in range(29)} == {path.name for path in below.iterdir()}
    assert ["woods"] == words(below / "forest-00.jpg.xmp")
    assert "29 sidecars written" in done.stderr.decode()


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
    library: Library, tmp_path: Path, commands: Commands
) -> None:
    pictures = tmp_path / "pictures"
    (picture,) = (one for one in images(library) if one.path.endswith("beach-00.jpg"))
    export_xmp(library, {picture.image_id: ["shore"]}, None)
    (pictures / "beach-01.jpg.xmp").unlink()
    (pictures / "beach-02.jpg.xmp").write_bytes(b"of another program")
    (pictures / "beach-03.jpg").unlink()
    index(library, (), QUIET, runner=Serial())
    before = {path: path.read_bytes() for path in pictures.iterdir()}

    where = ["--library", str(library.path), "export", "--xmp-beside"]
    told = commands.run([*where, "--dry-run"])
    assert b"1 sidecar would be written, 1 would be changed, 1 would be removed, 56 are current\n" in told.stderr, (
        told.stderr
    )
    assert b"kept as it is" in told.stderr
    assert 0 == commands.run(["--library", str(library.path), "export", "--xmp", "out", "--dry-run"], folder=tmp_path).returncode  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert before == {path: path.read_bytes() for path in pictures.iterdir()}
    values = json.loads(commands.run([*where, "--dry-run", "--json"]).stdout)
    assert {**values, "dry_run": False} == json.loads(commands.run([*where, "--json"]).stdout)
    assert before != {path: path.read_bytes() for path in pictures.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.csv", "--xmp", "out"],
        ["--xmp", "out", "--xmp-beside"],
        ["a.csv", "--album", "x"],
        ["--xmp", "o", "--embeddings"],
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], tmp_path: Path, commands: Commands) -> None:
    done = commands.run(["--library", str(tmp_path / "library"), "export", *arguments], folder=tmp_path)

    assert 2 == done.returncode, done.stderr
    assert [] == [path.name for path in tmp_path.iterdir() if path.name in {"out", "o", "a.csv"}]

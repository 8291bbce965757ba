"""Which libraries a collection has, and what is refused."""

from pathlib import Path

import pytest

from pixfind import errors
from pixfind.collection import config, ids

GOOD = """
timeout = 2.5

[[library]]
name = "desktop"
path = "photos"

[[library]]
address = "http://nas.local:8765/"
token_env = "NAS_TOKEN"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "collection.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_names_folders_beside_it_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = config.of_values([str(written(tmp_path, GOOD))])

    assert 2.5 == made.timeout
    assert "desktop, nas.local:8765" == made.names
    assert (tmp_path / "photos", "http://nas.local:8765") == (made.members[0].path, made.members[1].address)
    monkeypatch.setenv("NAS_TOKEN", "abc")
    assert "abc" == made.members[1].token()
    assert "abc" not in repr(made)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no \\[\\[library\\]\\]"),
        ("library = 3", "no \\[\\[library\\]\\]"),
        ("[[library]]\nname = 'a'", "either a path or an address"),
        ("[[library]]\npath = 'a'\naddress = 'http://b'", "either a path or an address"),
        ("[[library]]\npath = 'a'\ntoken_env = 'T'", "needs no token"),
        ("[[library]]\naddress = 'http://b'\ntoken_env = 'T'\ntoken_file = 'f'", "both token_env and token_file"),
        ("[[library]]\npath = 'a'\ncolour = 'red'", "'colour'"),
        ("[[library]]\npath = 3", "not a text"),
        ("[[library]]\naddress = 'http://b/some/path'", "HOST:PORT"),
        ("[[library]]\naddress = 'http://b:99999'", "HOST:PORT"),
        ("[[library]]\npath = 'a'\n[[library]]\npath = 'x/../a'\nname = 'b'", "named twice"),
        ("[[library]]\npath = 'a'\n[[library]]\npath = 'x/a'", "a is named twice"),
        ("timeout = 0\n[[library]]\npath = 'a'", "timeout"),
        ("timeout = true\n[[library]]\npath = 'a'", "timeout"),
        ("colour = 1\n[[library]]\npath = 'a'", "'colour'"),
        ("[[library", "not TOML"),
        ("[[library]]\npath = 'collection.toml'", "is a file, and a library is a folder"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(errors.InvalidCollection, match=why):
        config.read(written(tmp_path, text))


def test_the_mark_of_an_encoding_at_its_beginning_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "marked.toml").write_text("[[library]]\npath = 'a'", encoding="utf-8-sig")
    assert ["a"] == [member.name for member in config.read(tmp_path / "marked.toml").members]


@pytest.mark.parametrize("address", ["http://nas:1/?token=sesame", "http://user:sesame@nas:1", "http://sesame@nas"])
def test_a_token_in_an_address_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(errors.InvalidCollection, match="token_env or token_file") as caught:
        config.of_values([address, "folder"])

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://nas..local:8765", "http://.local", f"https://{'a' * 64}.net", "http://\udcff"]
)
def test_a_name_that_no_machine_can_have_is_refused_before_anybody_asks_for_it(address: str) -> None:
    with pytest.raises(errors.InvalidCollection, match="no machine can have the name"):
        config.of_values([address, "folder"])


def test_folders_of_one_name_are_told_apart_by_their_paths() -> None:
    made = config.of_values(["/a/photos", "/b/photos", "/c/others"])

    assert ["/a/photos", "/b/photos", "others"] == [member.name for member in made.members]


def test_the_token_of_the_environment_belongs_to_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXFIND_TOKEN", "sesame")

    assert "sesame" == config.of_values(["http://nas:1"]).members[0].token()
    with pytest.raises(errors.InvalidCollection, match="token of one address"):
        config.of_values(["http://nas:1", "http://other:1"])


def test_a_token_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidCollection, match="NO_SUCH_TOKEN"):
        config.MemberConfig("nas", address="http://nas", token_env="NO_SUCH_TOKEN").token()  # noqa: S106  a name
    with pytest.raises(errors.InvalidCollection, match="No such file"):
        config.MemberConfig("nas", address="http://nas", token_file=tmp_path / "none").token()


@pytest.mark.parametrize(("position", "image_id"), [(0, 1), (0, 2**40 - 1), (4_095, 77)])
def test_ids_of_a_collection_come_apart_again_and_are_exact_in_javascript(position: int, image_id: int) -> None:
    joined = ids.joined(position, image_id)

    assert (position, image_id) == ids.split(joined)
    assert joined < 2**53
    assert position or joined == image_id

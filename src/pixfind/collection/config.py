"""
Which libraries belong to a collection: a file collection.toml, or several values of --library.

Owns the keys of the file, what is a valid address, and where a token comes from. Must not know how a library is asked.
A token appears in no error and in no representation of these classes.
"""

import os
import tomllib
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pixfind import errors

TOKEN_VARIABLE: Final = "PIXFIND_TOKEN"  # noqa: S105  the name of a variable
"""the environment variable with the token of an address on the command line"""

TIMEOUT_SECONDS: Final = 5.0
"""how long one answer waits for its libraries, unless the file or --timeout says otherwise"""

_KEYS: Final = {"name", "path", "address", "token_env", "token_file"}
_MAX_MEMBERS: Final = 4_096


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """One library of a collection: in a folder, or at the address of a `pixfind serve`."""

    name: str
    path: Path | None = None
    address: str | None = None
    """http://HOST:PORT, without a path"""
    token_env: str | None = None
    token_file: Path | None = None

    @property
    def where(self) -> str:
        """The folder or the address."""
        return str(self.path or self.address)

    def token(self) -> str | None:
        """Return the token; None where none is named. Raises InvalidCollection where a named one cannot be had."""
        if self.token_env is not None:
            found = os.environ.get(self.token_env, "").strip()
            if not found:
                raise errors.InvalidCollection(
                    path=self.name, detail=f"the environment variable {self.token_env} with its token is not set"
                )
            return found
        if self.token_file is None:
            return None
        try:
            found = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise errors.InvalidCollection(
                path=self.name, detail=f"its token file {self.token_file} cannot be read ({why})"
            ) from None
        if not found or any(character.isspace() for character in found):
            raise errors.InvalidCollection(
                path=self.name, detail=f"its token file {self.token_file} does not hold one token"
            )
        return found


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """The libraries of a collection, in their order."""

    members: tuple[MemberConfig, ...]
    timeout: float = TIMEOUT_SECONDS
    file: Path | None = field(default=None)
    """the collection.toml; None where the libraries were named one by one"""

    @property
    def names(self) -> str:
        """The names of all libraries, for messages."""
        return ", ".join(member.name for member in self.members)

    def folders(self, what: str) -> list[Path]:
        """Return the folders of all libraries; raises NotForCollections, with `what` needs them, where one is at an address."""
        address = next((member.address for member in self.members if member.address is not None), None)
        if address is not None:
            raise errors.NotForCollections(
                detail=f"{what} the files of a library, and {address} is a server",
                instead="Leave out that library, or run it on the machine that has it.",
            )
        return [member.path for member in self.members if member.path is not None]


def is_address(text: str) -> bool:
    """Tell whether a value of --library is an address and not a folder."""
    return text.lower().startswith(("http://", "https://"))


def is_file(text: str) -> bool:
    """Tell whether a value of --library is the file of a collection."""
    return text.endswith(".toml") and not os.path.isdir(os.path.expanduser(text))  # noqa: PTH111, PTH112  may not be a path at all


def of_values(values: Sequence[str]) -> CollectionConfig:
    """Return the collection that several values of --library name: folders, addresses, or one file; raises InvalidCollection."""
    if len(values) == 1 and is_file(values[0]):
        return read(Path(values[0]))
    members = []
    addresses = [value for value in values if is_address(value)]
    if len(addresses) > 1 and os.environ.get(TOKEN_VARIABLE):
        raise errors.InvalidCollection(
            path="--library", detail=f"{TOKEN_VARIABLE} is the token of one address, and {len(addresses)} are named"
        )
    for value in values:
        if is_file(value):
            raise errors.InvalidCollection(path=value, detail="it is a collection itself; name its libraries instead")
        if is_address(value):
            address = _address("--library", value)
            token_env = TOKEN_VARIABLE if os.environ.get(TOKEN_VARIABLE) else None
            members.append(MemberConfig(urllib.parse.urlsplit(address).netloc, address=address, token_env=token_env))
        else:
            path = Path(value).expanduser().absolute()
            members.append(MemberConfig(path.name, path=path))
    names = [member.name for member in members]
    unique = [
        member if names.count(member.name) == 1 or member.path is None else MemberConfig(member.where, path=member.path)
        for member in members
    ]
    return _checked("--library", CollectionConfig(tuple(unique)))


def read(file: Path) -> CollectionConfig:
    """Return the collection of a file; folders in it are relative to the file. Raises InvalidCollection."""
    file = file.expanduser().absolute()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise errors.InvalidCollection(path=file, detail=error.strerror or "it cannot be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidCollection(path=file, detail=f"it is not TOML ({error})") from error
    unknown = set(values) - {"library", "timeout"}
    if unknown:
        raise errors.InvalidCollection(path=file, detail=f"the key {min(unknown)!r} means nothing")
    entries = values.get("library")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise errors.InvalidCollection(path=file, detail="it has no [[library]]")
    timeout = values.get("timeout", TIMEOUT_SECONDS)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 3_600:  # noqa: PLR2004  an hour
        raise errors.InvalidCollection(path=file, detail="timeout is not a number of seconds above 0")
    members = tuple(_member(file, entry) for entry in entries)
    return _checked(file, CollectionConfig(members, float(timeout), file))


def _member(file: Path, entry: dict[str, Any]) -> MemberConfig:
    named = entry.get("name", entry.get("path", entry.get("address", "?")))
    for key, value in entry.items():
        if key not in _KEYS:
            raise errors.InvalidCollection(path=file, detail=f"the key {key!r} of {named!r} means nothing")
        if not isinstance(value, str) or not value.strip():
            raise errors.InvalidCollection(path=file, detail=f"{key} of {named!r} is not a text")
    if ("path" in entry) == ("address" in entry):
        raise errors.InvalidCollection(path=file, detail=f"{named!r} needs either a path or an address")
    if "path" in entry and {"token_env", "token_file"} & set(entry):
        raise errors.InvalidCollection(path=file, detail=f"{named!r} is a folder, which needs no token")
    if {"token_env", "token_file"} <= set(entry):
        raise errors.InvalidCollection(path=file, detail=f"{named!r} has both token_env and token_file")
    if "path" in entry:
        path = file.parent / Path(entry["path"]).expanduser()
        if path.is_file():
            raise errors.InvalidCollection(path=file, detail=f"{named!r} is a file, and a library is a folder")
        return MemberConfig(entry.get("name", path.name), path=path)
    address = _address(file, entry["address"])
    token_file = entry.get("token_file")
    return MemberConfig(
        entry.get("name", urllib.parse.urlsplit(address).netloc),
        address=address,
        token_env=entry.get("token_env"),
        token_file=None if token_file is None else file.parent / Path(token_file).expanduser(),
    )


def _address(where: Path | str, text: str) -> str:
    """Return an address without a slash at its end; raises InvalidCollection, which never shows what may be a token."""
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError:
        raise errors.InvalidCollection(path=where, detail="an address is none; write http://HOST:PORT") from None
    if parts.query or parts.username is not None or parts.password is not None or parts.fragment:
        raise errors.InvalidCollection(
            path=where,
            detail=f"the address of {parts.hostname} has more than a host and a port; a token goes into token_env or token_file",
        )
    if not parts.hostname or parts.path not in ("", "/"):
        raise errors.InvalidCollection(path=where, detail=f"{text!r} is no address; write http://HOST:PORT")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        detail = f"no machine can have the name {parts.hostname!r}; write http://HOST:PORT"
        raise errors.InvalidCollection(path=where, detail=detail) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme.lower()}://{host}" + (f":{port}" if port else "")


def _checked(where: Path | str, made: CollectionConfig) -> CollectionConfig:
    if not made.members:
        raise errors.InvalidCollection(path=where, detail="it names no library")
    if len(made.members) > _MAX_MEMBERS:
        raise errors.InvalidCollection(path=where, detail=f"it names more than {_MAX_MEMBERS:,} libraries")
    for what in ("name", "where"):
        seen = [
            os.path.realpath(value) if what == "where" and one.path else value
            for one in made.members
            for value in [getattr(one, what)]
        ]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice is not None:
            raise errors.InvalidCollection(path=where, detail=f"{twice} is named twice")
    return made

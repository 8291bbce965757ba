"""
A question to several libraries at the same time: who is asked, how long anyone waits, and who is missing.

Must not know what the answers are; `collection_view` joins them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

from pixfind import errors
from pixfind.collection import ids as joined_ids
from pixfind.collection.config import CollectionConfig
from pixfind.collection.connection import Patience
from pixfind.collection.member import NoAnswerError
from pixfind.collection.remote import as_refused
from pixfind.search import filter_checks
from pixfind.server import schemas
from pixfind.server.library_view import LibraryView

T = TypeVar("T")
P = TypeVar("P", bound=schemas.Page)


class FanOut:
    """Asks the libraries of a collection, each by its view."""

    def __init__(self, config: CollectionConfig, views: Sequence[LibraryView]) -> None:
        self._config = config
        self._views = views
        self._patience = [Patience() for _ in views]

    def place_of(self, image_id: int) -> tuple[int, int]:
        """Return the position of the library that has an image, and its id there; raises ImageNotFound."""
        place, local = joined_ids.split(image_id)
        if place >= len(self._views) or not local:
            raise errors.ImageNotFound(image_id=image_id, path=self._config.names)
        return place, local

    async def one(self, image_id: int, question: Callable[[LibraryView], Awaitable[T]]) -> T:
        """Ask the library that has an image; raises LibrarySilent, and what it raises, about this image."""
        place = self.place_of(image_id)[0]
        patience, seconds = self._patience[place], self._config.timeout

        async def limited() -> T:
            patience.check()
            try:
                return await asyncio.wait_for(question(self._views[place]), seconds)
            except TimeoutError as error:
                patience.lose(seconds)
                raise NoAnswerError(f"no answer within {seconds:.1f} s") from error

        return await self.answer(image_id, limited())

    async def answer(self, image_id: int, asked: Awaitable[T]) -> T:
        """Return what the library that has an image is asked for, however long it takes; raises as `one`."""
        try:
            return await asked
        except NoAnswerError as error:
            name = self._config.members[joined_ids.split(image_id)[0]].name
            raise errors.LibrarySilent(library=name, detail=str(error)) from error
        except errors.PixfindError as error:
            if "image_id" not in error.fields:
                raise
            raise type(error)(**{**error.fields, "image_id": image_id}) from error

    async def filtered(
        self,
        page: P,
        question: Callable[[int, LibraryView, P], Awaitable[T]],
        places: Iterable[int] | None = None,
    ) -> tuple[dict[int, T], list[schemas.Missing]]:
        """
        Ask as `all` does, with the filters of a page; raises InvalidFilter, also for a label that no library has.

        A library that lacks a label with a minus is asked once more without it: all of its images pass.
        """
        page.filters()
        lacking: defaultdict[int, set[str]] = defaultdict(set)

        async def ask(place: int, view: LibraryView) -> T:
            while True:
                its = page.model_copy(
                    update={"label": tuple(name for name in page.label if name not in lacking[place])}
                )
                try:
                    return await question(place, view, its)
                except errors.InvalidFilter as error:
                    if not (absent := _minus_label(its.label, error)):
                        raise
                    lacking[place] |= absent

        found, missing = await self.all(ask, places)
        # Of a library that is silent, or has refused another label, nobody knows.
        if len(found) == len(self._views) and (nowhere := set.intersection(*(lacking[place] for place in found))):
            raise errors.InvalidFilter(option="--label", value=min(nowhere), detail="no library has this label")
        return found, missing

    async def all(
        self,
        question: Callable[[int, LibraryView], Awaitable[T]],
        places: Iterable[int] | None = None,
        *,
        may_be_none: bool = False,
    ) -> tuple[dict[int, T], list[schemas.Missing]]:
        """Ask libraries at the same time, all or those at some positions; who fails or is late is missing. Raises InvalidFilter where none has what a filter names, and CollectionUnavailable where nobody answers, unless that `may_be_none`."""
        asked = sorted(range(len(self._views)) if places is None else places)
        tasks = {place: asyncio.create_task(self._asked(place, question)) for place in asked}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=self._config.timeout)
            found, missing, refused = self._answers(tasks)
        finally:
            # Also where the client has left, or one library has refused the question for all: nobody waits for the others any longer.
            for task in tasks.values():
                task.cancel()
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if refused is not None and not found:
            raise refused
        if asked and not found and not may_be_none:
            lines = "\n  ".join(f"{one.library}: {one.why}" for one in missing)
            raise errors.CollectionUnavailable(libraries=lines)
        return found, missing

    def _answers(
        self, tasks: Mapping[int, "asyncio.Task[T]"]
    ) -> tuple[dict[int, T], list[schemas.Missing], errors.InvalidFilter | None]:
        """Return the answers that have come, who is missing, and the refusal of a library that lacks what a filter names; raises Overloaded, and InvalidFilter for one that holds for all."""
        found, missing = {}, []
        refused: errors.InvalidFilter | None = None
        for place, task in tasks.items():
            name = self._config.members[place].name
            try:
                found[place] = task.result() if task.done() else self._late(place)
            except NoAnswerError as error:
                missing.append(schemas.Missing(library=name, why=str(error)))
            except errors.Overloaded:
                raise
            except errors.InvalidFilter as error:
                refused = error
                if not filter_checks.finds_nothing(error):
                    raise
            except errors.OperationError as error:
                missing.append(schemas.Missing(library=name, why=str(error).partition("\n")[0].rstrip(".")))
        return found, missing, refused

    async def _asked(self, place: int, question: Callable[[int, LibraryView], Awaitable[T]]) -> T:
        self._patience[place].check()
        return await question(place, self._views[place])

    def _late(self, place: int) -> NoReturn:
        self._patience[place].lose(self._config.timeout)
        raise NoAnswerError(f"no answer within {self._config.timeout:.1f} s")


def _minus_label(asked: Iterable[str], refused: errors.InvalidFilter) -> set[str]:
    """Return the label with a minus, as it was asked for, that a library has refused because it has none; nothing for any other refusal."""
    value = str(refused.fields["value"])
    return {name for name in asked if name.strip().startswith("-") and value in (name.strip(), as_refused(name))}

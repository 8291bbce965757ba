"""Give pictures that have moved their new paths, for every model that the library keeps."""

from pixfind.library import commit
from pixfind.library import relocate as relocation
from pixfind.library.library import Library
from pixfind.library.relocate import Move, Relocation
from pixfind.types import Progress, no_progress
from pixfind.workflows import inactive_models


def relocate(library: Library, move: Move, *, anyway: bool = False, progress: Progress = no_progress) -> Relocation:
    """
    Relocate the active model's catalogue in one transaction, then bring those of the others up to date.

    Call it inside `library.lock("relocate")`. Killed between the two, nothing is lost: a catalogue that is not active takes over the paths
    before it is used. Raises NotBelow, OtherPathStyle, RelocationRefused, NotMovedThere.
    """
    # A row that waits in a worker file knows its image by the time of the file, which may change now.
    commit.adopt_and_trim(library)
    done = relocation.relocate(library, move, anyway=anyway, progress=progress)
    for other in inactive_models.open_inactive(library, write=True):
        commit.adopt_and_trim(other)
        other.catalogue.sync_from(library.catalogue)
    return done

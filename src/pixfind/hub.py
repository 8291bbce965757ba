"""
From a name to a model's folder on this machine.

Owns the `huggingface_hub` library: it is the only module that knows it. Must not know how a model is run.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from pixfind import errors, models
from pixfind.encoders import files
from pixfind.encoders.files import ModelFiles

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here, and the bytes that it has."""


def resolve(
    name: str,
    *,
    text: bool = False,
    image: bool = True,
    offline: bool = False,
    progress: Progress | None = None,
) -> ModelFiles:
    """
    Return the model's files, fetched when they are not here: only those of the towers that are asked for.

    `name` is a name of the table, OWNER/REPO of the hub, or a folder. A folder wins over a repo of the same name.
    Raises UnknownModel, ModelMissing, DownloadDamaged, and what `files.inspect` raises.
    """
    if name == models.STARTER:
        return files.inspect(_starter(), name, text=text, image=image)
    if models.find(name) is None and Path(name).is_dir():
        return files.inspect(Path(name).resolve(), name, text=text, image=image)
    raise errors.UnknownModel(name=name, known=models.names())


def _starter() -> Path:
    return Path(str(resources.files("pixfind") / "starter"))

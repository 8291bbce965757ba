"""The names of this module have moved to the modules beside it; it goes away once nothing imports it."""

from pixfind.embedding import progress
from pixfind.workflows.choose_model import choose_model, fetch_model
from pixfind.workflows.embed import embed, repair_worker_files
from pixfind.workflows.embed_part import embed_part
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions as Options
from pixfind.workflows.options import make_plan
from pixfind.workflows.tune import tune_model

__all__ = [
    "Options",
    "choose_model",
    "embed",
    "embed_part",
    "fetch_model",
    "make_plan",
    "merge",
    "progress",
    "repair_worker_files",
    "tune_model",
]

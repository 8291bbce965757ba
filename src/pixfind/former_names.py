"""
What programs imported from version 0.1 before the modules were sorted into packages; each use warns and names the new place.

For one release. Imports nothing of pixfind until a former name is used.
"""

import functools
import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

#: former module of pixfind -> its names -> "module:name" today
NAMES = {
    "scan": {"add": "pixfind.library.scan:add"},
    "ingest": {
        "Options": "pixfind.workflows.options:EmbedOptions",
        "embed": "pixfind.workflows.embed:embed",
        "merge": "pixfind.workflows.merge:merge",
    },
    "verify": {"repair": "pixfind.library.repair:repair", "verify": "pixfind.library.verify:verify"},
    "status": {"status": "pixfind.workflows.status:status"},
    "query": {"parse": "pixfind.search.query:parse"},
    "filters": {"parse": "pixfind.search.filters:parse"},
    "library": {"Library": "pixfind.library.library:Library"},
    "search": {"Searcher": "pixfind.search.searcher:Searcher", "search": "pixfind.search.searcher:search"},
}


def install() -> None:
    """Let `import pixfind.scan` and the like find these names."""
    sys.meta_path.append(_Finder())


def lookup(module: str) -> Callable[[str], Any]:
    """Return a `__getattr__` (PEP 562) for a former module of pixfind."""

    def find(name: str) -> Any:
        new = NAMES[module].get(name)
        if new is None:
            raise AttributeError(f"module 'pixfind.{module}' has no attribute {name!r}")
        where, _, attribute = new.partition(":")
        warnings.warn(f"pixfind.{module}.{name} is now {where}.{attribute}", DeprecationWarning, stacklevel=2)
        found = getattr(importlib.import_module(where), attribute)
        return found if isinstance(found, type) else _taking_any_library(found)

    return find


def _taking_any_library(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a stored library that takes `pixfind.Library` too, which had the same name before."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        return function(*(getattr(each, "_stored", each) for each in arguments), **options)

    return call


class _Finder:
    """
    Finds and loads modules that are no longer there; those that are, other finders have found before.

    Without the base classes of `importlib.abc`, which import a tenth of the standard library into every command.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target  # a former module has neither
        package, _, name = fullname.rpartition(".")
        if package != "pixfind" or name not in NAMES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)  # type: ignore[arg-type]  # a loader by its methods

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = lookup(module.__name__.rpartition(".")[2])  # type: ignore[method-assign]

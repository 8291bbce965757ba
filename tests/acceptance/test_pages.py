"""What code and pages say of each other's files exists. The site checks links between its own pages: `make docs`."""

import ast
import builtins
import importlib.util
import keyword
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.check_site import foreign

from pixfind import former_names
from pixfind.storage.embedding_files import INDEX_ROW

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"\b(docs/[\w./-]*\w)")
DOTTED = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\([^`\n]*\))?`")
SINGLE = re.compile(r"`([A-Za-z_]\w*)(?:\(\))?`")
RAISED = re.compile(r"\b[Rr]aises\b([^.;\"]*)")
CLASS = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
FOREIGN = {"np", "torch"}
"""names that others use for NumPy, and an extra that need not be installed"""
FILE = re.compile(r".*\.(?:db|html|index|jpg|js|json|lock|md|npy|npz|py|safetensors|sql|toml|txt)")
LINKED = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


def _tracked(*patterns: str) -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone: which files are ours is not known")
    done = subprocess.run([git, "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).exists()]


def test_every_document_that_is_named_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _tracked(
            "*.md", "src/*.py", "tests/*.py", "tools/*.py", "training/*.py", "benchmarks/*.py", "Makefile"
        )
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if not list(ROOT.glob(f"{name}*"))
    }

    assert set() == missing


def test_every_link_between_files_leads_somewhere() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _tracked("*.md")
        for name in LINKED.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / name).exists()
    }

    assert set() == missing


class Names:
    """
    What our modules define, read from their source: importing all would need every extra.

    A dotted name may begin with any part of a module's path (`library.commit`, `commit.adopt`), with a class (`Catalogue.rows`), or with
    an object of a class that is called as the class is (`catalogue.settle`).
    """

    def __init__(self, package: Path) -> None:
        self.modules: dict[str, ast.Module] = {}
        self.words: set[str] = set()
        self._top: set[str] = set()
        self._members: dict[str, set[str]] = {}
        for path in sorted(package.rglob("*.py")):
            parts = [part for part in path.relative_to(package).with_suffix("").parts if part != "__init__"]
            tree = self.modules[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
            self._top.update(parts[:1] or _defined(tree.body))
            self.words.update(parts)
            for depth, part in enumerate(parts):
                self._add(part, {*parts[depth + 1 : depth + 2]} or _defined(tree.body))
            for node in ast.walk(tree):
                self.words.update(_identifiers(node))
                if isinstance(node, ast.ClassDef):
                    for name in (node.name, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower()):
                        self._add(name, _defined(node.body) | _set_on_self(node))

    def exists(self, dotted: str) -> bool:
        """Tell whether the name is one of ours, of a file, or of a package that is installed or an extra."""
        first, *rest = dotted.removeprefix("pixfind.").split(".")
        if dotted.startswith("pixfind."):
            if rest and rest[0] in former_names.NAMES.get(first, ()):
                return True
            if first not in self._top or not rest:
                return first in self._top
        if first in self._members and self._leads_on(first, rest):
            return True
        ours = first in self._members
        return (
            bool(FILE.fullmatch(dotted))
            or first in FOREIGN
            or (not ours and importlib.util.find_spec(first) is not None)
        )

    def _add(self, owner: str, members: set[str]) -> None:
        self._members.setdefault(owner, set()).update(members)

    def _leads_on(self, owner: str, rest: list[str]) -> bool:
        return not rest or (rest[0] in self._members.get(owner, ()) and self._leads_on(rest[0], rest[1:]))


def _defined(body: list[ast.stmt]) -> set[str]:
    """What statements of a module or a class define or import, in their branches too."""
    names: set[str] = set()
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                names.update(one.asname or one.name for one in imported)
            case ast.If() | ast.Try():
                names |= _defined([*statement.body, *statement.orelse])
    return names


def _set_on_self(node: ast.ClassDef) -> set[str]:
    return {
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and ast.unparse(one.value) == "self"
    }


def _identifiers(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers of one node, and short strings: words of messages, of the protocol and of options."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.arg(arg=str(name)) | ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
            yield name


def _columns() -> set[str]:
    schema = (ROOT / "src/pixfind/library/sql/schema.sql").read_text(encoding="utf-8")
    tables = re.findall(r"CREATE TABLE (\w+) \((.*?)^\)", schema, re.MULTILINE | re.DOTALL)
    return {
        f"{table}.{column}" for table, body in tables for column in re.findall(r"^ +([a-z_]+) ", body, re.MULTILINE)
    }


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(ROOT / "src/pixfind")


def test_every_name_in_pages_and_docstrings_exists(names: Names) -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in _tracked("*.md")}
    del texts["CHANGELOG.md"]  # it tells of the past
    for module, tree in names.modules.items():
        nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
        texts[module] = "\n".join(ast.get_docstring(node) or "" for node in nodes)
    fields = {f"{name}.{part}" for name in INDEX_ROW.names or () for part in INDEX_ROW[name].names or ()}
    columns = _columns() | fields

    wrong = {
        f"{where}: {name}"
        for where, text in texts.items()
        for name in DOTTED.findall(text)
        if not names.exists(name) and name not in columns
    }

    assert set() == wrong


def test_every_word_that_the_docstring_of_a_module_takes_from_the_code_is_there(names: Names) -> None:
    known = names.words | set(keyword.kwlist) | set(dir(builtins))

    wrong = {
        f"{module}: {word}"
        for module, tree in names.modules.items()
        for word in SINGLE.findall(ast.get_docstring(tree) or "")
        if word not in known and importlib.util.find_spec(word) is None
    }

    assert set() == wrong


def test_every_error_that_a_docstring_says_is_raised_exists(names: Names) -> None:
    known = names.words | set(dir(builtins))

    wrong = {
        f"{module}: {error}"
        for module, tree in names.modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for sentence in RAISED.findall(ast.get_docstring(node) or "")
        for error in CLASS.findall(sentence)
        if error not in known
    }

    assert set() == wrong


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("library.commit", True),
        ("commit.adopt", True),
        ("catalogue.settle", True),
        ("pixfind.Library", True),
        ("search.query.parse", True),
        ("pixfind.ingest.embed", True),  # a name of version 0.1, written in full
        ("embeddings.npy", True),
        ("concurrent.futures", True),
        ("library.adopt", False),
        ("search.ingest", False),
        ("ingest.embed", False),
        ("workflows.index.embed_and_forget", False),
        ("pixfind.towers", False),
        ("backends.towers", True),
    ],
)
def test_a_name_is_found_where_it_is_and_nowhere_else(names: Names, name: str, there: bool) -> None:
    assert there == names.exists(name)


def test_what_a_page_loads_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="https://example.org/">may be followed</a><img src="local.png"><script src="//cdn.example/a.js"></script>'
        '<link rel="stylesheet" href="https://fonts.example/css"><style>@import "https://a.example/b.css"; p {background: url(c.png)}</style>'
    )
    (tmp_path / "theme.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")

    assert [
        ("index.html", "//cdn.example/a.js"),
        ("index.html", "https://fonts.example/css"),
        ("index.html", "https://a.example/b.css"),
        ("theme.css", "https://fonts.example/a.woff2"),
    ] == [(path.as_posix(), address) for path, address in foreign(tmp_path)]

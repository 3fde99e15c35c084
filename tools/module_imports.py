"""Which module imports which, read from the source without running it.

`tests/architecture_test.py` holds the imports against the rules of the house;
`tools/write_build_files.py` makes Bazel's targets of them.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
from collections.abc import Collection
from pathlib import Path

# Folder -> the prefix of its modules' import names. Programs are run as files,
# so that the modules beside them have no prefix.
SOURCE_FOLDERS = {
    "drnet_tf": "drnet_tf",
    "tflite/drnet_tflite": "drnet_tflite",
    "recipes": "",
    "benchmarks": "",
}


@dataclasses.dataclass(frozen=True)
class Module:
    """A source file under the name that imports it.

    Attributes:
      name: e.g. `drnet_tf.masks`; a package has the name of its folder.
      path: of the file, relative to the repository, e.g. `drnet_tf/masks.py`.
      source: its text.
    """

    name: str
    path: str
    source: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.source, self.path)


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
      name: full name; that of the package where a name of it is imported.
      line: where in the file.
      function: the function that imports it, or None at the top.
      relative: written with leading dots.
    """

    name: str
    line: int
    function: str | None
    relative: bool


def find_modules(root: Path) -> list[Module]:
    """Reads all modules of `SOURCE_FOLDERS` that exist, in order of their path.

    Example:
      >>> import tempfile
      >>> root = Path(tempfile.mkdtemp())
      >>> (root / "drnet_tf").mkdir()
      >>> _ = (root / "drnet_tf" / "masks.py").write_text("import numpy")
      >>> [module.name for module in find_modules(root)]
      ['drnet_tf.masks']
    """
    found = []
    for folder, prefix in SOURCE_FOLDERS.items():
        for file in sorted((root / folder).rglob("*.py")):
            parts = file.relative_to(root / folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            name = ".".join([prefix, *parts] if prefix else parts)
            path = file.relative_to(root).as_posix()
            found.append(Module(name, path, file.read_text(encoding="utf-8")))
    return found


def imports_of(module: Module, known: Collection[str]) -> list[Import]:
    """Lists what a module imports, also inside functions and for types only.

    Args:
      module: what to read.
      known: names of the modules of the project; they tell whether `b` in
        `from a import b` is a module.

    Example:
      >>> source = "from drnet_tf import masks, prune"
      >>> module = Module("recipe", "recipes/recipe.py", source)
      >>> [x.name for x in imports_of(module, {"drnet_tf.masks"})]
      ['drnet_tf.masks', 'drnet_tf']
    """
    visitor = _ImportVisitor(known)
    visitor.visit(module.tree)
    return visitor.found


def reachable(
    modules: Collection[Module], start: Collection[str]
) -> list[Module]:
    """The modules that some modules need, themselves included, by path.

    A package's `__init__` counts only where it is imported by its own name.

    Args:
      modules: of the project.
      start: names of modules of it.

    Raises:
      ValueError: no such module.
    """
    by_name = {module.name: module for module in modules}
    unknown = sorted(set(start) - set(by_name))
    if unknown:
        raise ValueError(f"No module {', '.join(unknown)}.")
    found: dict[str, Module] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            waiting += [x.name for x in imports_of(by_name[name], by_name)]
    return sorted(found.values(), key=lambda module: module.path)


def digest(modules: Collection[Module]) -> str:
    """Twelve hexadecimal digits that any change of the sources changes."""
    code = hashlib.sha256()
    for module in modules:
        code.update(f"{module.path}\n{module.source}".encode())
    return code.hexdigest()[:12]


class _ImportVisitor(ast.NodeVisitor):
    def __init__(self, known: Collection[str]) -> None:
        self.found: list[Import] = []
        self._known = known
        self._functions: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        package = node.module or ""
        for alias in node.names:
            name = f"{package}.{alias.name}"
            self._add(
                name if name in self._known else package,
                node,
                relative=node.level > 0,
            )

    def visit_Call(self, node: ast.Call) -> None:
        """`importlib.import_module("a.b")` imports, too."""
        self.generic_visit(node)
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(name.value, node)

    def _add(
        self, name: str, node: ast.stmt | ast.expr, relative: bool = False
    ) -> None:
        function = self._functions[-1] if self._functions else None
        found = Import(name, node.lineno, function, relative)
        if found not in self.found:
            self.found.append(found)

"""Writes Bazel's targets from what the modules import: `make build-files`.

One target for each module of `drnet_tf/`, of `recipes/` and of `benchmarks/`,
and one for each folder below `drnet_tf/`. `tests/build_files_test.py` fails
when the files are not what would be written.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tools.module_imports import Module, find_modules, imports_of

_HEADER = """\
# Written from the imports by tools/write_build_files.py: `make build-files`.

package(default_visibility = ["//visibility:public"])

# What the tests read as text.
filegroup(
    name = "sources",
    srcs = glob({patterns}) + {others},
)
"""
# Files that a module reads when it runs.
_DATA = {"//drnet_tf:digits": 'glob(["data/**"])'}
_FILES = {
    "drnet_tf": ["**/*.py", "data/**", "py.typed"],
    "tflite": ["**/*.py", "android/core/src/**"],
}
_MAIN = 'if __name__ == "__main__":'


@dataclasses.dataclass
class Target:
    """One Bazel rule.

    Attributes:
      rule: `py_library` or `py_binary`.
      attributes: Starlark text by name, in the order of the file.
    """

    rule: str
    attributes: dict[str, str]

    def __str__(self) -> str:
        lines = [
            f"    {key} = {text},\n" for key, text in self.attributes.items()
        ]
        return f"{self.rule}(\n{''.join(lines)})\n"


def label(module: Module) -> str:
    """The target that a module belongs to.

    Example:
      >>> label(Module("drnet_tf.masks", "drnet_tf/masks.py", ""))
      '//drnet_tf:masks'
      >>> label(Module("drnet_tf.a.b.c", "drnet_tf/a/b/c.py", ""))
      '//drnet_tf/a:a'
    """
    folders = module.path.split("/")[:-1]
    if folders[0] == "tflite":
        return "//tflite:drnet_tflite"
    if len(folders) > 1:
        return f"//{folders[0]}/{folders[1]}:{folders[1]}"
    return f"//{folders[0]}:{module.name.rpartition('.')[2]}"


def build_files(root: Path) -> dict[str, str]:
    """Makes the text of every written BUILD file, by its path.

    Args:
      root: of the repository.
    """
    modules = find_modules(root)
    members: dict[str, list[Module]] = {}
    for module in modules:
        members.setdefault(label(module), []).append(module)
    labels = {module.name: label(module) for module in modules}
    texts: dict[str, str] = {}
    for name in sorted(members):
        path = name.removeprefix("//").partition(":")[0] + "/BUILD"
        target = _target(name, members[name], labels)
        texts[path] = f"{texts.get(path, _HEADER)}\n{target}"
    folders = [path.removesuffix("/BUILD") for path in texts]
    for folder in folders:
        below = [x for x in folders if x.startswith(f"{folder}/")]
        others = ["BUILD", *(f"//{x}:sources" for x in below)]
        texts[f"{folder}/BUILD"] = (
            texts[f"{folder}/BUILD"]
            .replace("{patterns}", _line(_FILES.get(folder, ["**/*.py"])))
            .replace("{others}", _list(others))
        )
    return texts


def _target(name: str, modules: list[Module], labels: dict[str, str]) -> Target:
    package, _, short = name.removeprefix("//").partition(":")
    files = [module.path.removeprefix(f"{package}/") for module in modules]
    needs = {
        labels[imported.name]
        for module in modules
        for imported in imports_of(module, labels)
        if imported.name in labels
    } - {name}
    attributes = {"name": f'"{short}"'}
    if len(files) == 1 and "/" not in package:
        attributes["srcs"] = f'["{files[0]}"]'
    else:
        below = "drnet_tflite/" if package == "tflite" else ""
        attributes["srcs"] = f'glob(["{below}**/*.py"])'
    if name in _DATA:
        attributes["data"] = _DATA[name]
    if not package.startswith("drnet_tf"):
        # Where its modules are found: they have no `drnet_tf.` before them.
        attributes["imports"] = '["."]'
    if needs:
        attributes["deps"] = _list(
            # Those of the same folder first, as buildifier has them.
            sorted(
                (_short(x, package) for x in needs),
                key=lambda x: (not x.startswith(":"), x),
            )
        )
    is_program = any(_MAIN in module.source for module in modules)
    return Target("py_binary" if is_program else "py_library", attributes)


def _short(name: str, package: str) -> str:
    if name.startswith(f"//{package}:"):
        return name.removeprefix(f"//{package}")
    path, _, target = name.partition(":")
    return path if path.rpartition("/")[2] == target else name


def _line(items: list[str]) -> str:
    return "[" + ", ".join(f'"{x}"' for x in items) + "]"


def _list(items: list[str]) -> str:
    """One line for one item, else a line for each, as buildifier has it."""
    if len(items) == 1:
        return _line(items)
    return "[\n" + "".join(f'        "{x}",\n' for x in items) + "    ]"


if __name__ == "__main__":
    checkout = Path(__file__).parents[1]
    for path, text in build_files(checkout).items():
        (checkout / path).write_text(text, encoding="utf-8")

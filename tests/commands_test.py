"""Commands that the docs and the recipes' docstrings show can be run.

Their flags exist, stand there once unless they may be repeated, and none that
is required is missing. Read from the sources: nothing is imported.
"""

from __future__ import annotations

import ast
import collections
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    x.relative_to(ROOT).as_posix()
    for folder in ("recipes", "benchmarks")
    for x in (ROOT / folder).glob("*.py")
)
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("results/*.md")]
)
COMMAND = re.compile(r"python (?:-u )?((?:recipes|benchmarks)/\w+\.py)([^`|]*)")
FLAG = re.compile(r"(?<!\S)--(\w+)")


@functools.cache
def defined(script: str) -> dict[str, tuple[str, bool]]:
    """Flags of a script and of the modules beside it that it imports.

    By name: the kind, such as "list", and whether it is required.
    """
    path = ROOT / script
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    found = {}
    for node in nodes:
        for alias in node.names if isinstance(node, ast.Import) else ():
            other = path.with_name(f"{alias.name}.py")
            if other.exists():
                found |= defined(other.relative_to(ROOT).as_posix())
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else ""
        if name.startswith("DEFINE_"):
            required = any(
                x.arg == "required" and ast.literal_eval(x.value)
                for x in node.keywords
            )
            flag = ast.literal_eval(node.args[0])
            found[flag] = (name.removeprefix("DEFINE_"), required)
        elif name == "set_default":
            flag = ast.literal_eval(node.args[0])
            found[flag] = (found[flag][0], False)
    return found


def commands(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", text)
    return [
        (script, rest.split("\n")[0])
        for script, rest in COMMAND.findall(joined)
    ]


def shown() -> list[tuple[str, str, str]]:
    texts = {x: x.read_text("utf-8") for x in PAGES}
    for script in SCRIPTS:
        tree = ast.parse((ROOT / script).read_text("utf-8"))
        texts[ROOT / script] = ast.get_docstring(tree) or ""
    return [
        (path.relative_to(ROOT).as_posix(), script, rest)
        for path, text in texts.items()
        for script, rest in commands(text)
    ]


def faults(script: str, rest: str) -> list[str]:
    if not (ROOT / script).exists():
        return [f"no file {script}"]
    flags = defined(script)
    given = collections.Counter(FLAG.findall(rest))
    found = [
        f"unknown --{x}"
        for x in given
        if x not in flags and x.removeprefix("no") not in flags
    ]
    found += [
        f"--{x} twice"
        for x, count in given.items()
        if count > 1 and not flags.get(x, ("",))[0].startswith("multi")
    ]
    if given and "..." not in rest:
        found += [
            f"missing --{x}"
            for x, (_, required) in flags.items()
            if required and x not in given
        ]
    return found


def test_commands_are_found():
    where = {x for x, *_ in shown()}
    assert {"README.md", "docs/paper.md", "recipes/build_civ.py"} <= where


@pytest.mark.parametrize(("where", "script", "rest"), shown())
def test_a_command_can_be_run(where, script, rest):
    assert not faults(script, rest), f"{where}: python {script}{rest}"


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        (" --modell=m.keras --civ=c --output=o", "unknown --modell"),
        (" --model=m --model=n --civ=c --output=o", "--model twice"),
        (" --model=m --civ=c", "missing --output"),
    ],
)
def test_wrong_commands_are_noticed(rest, fault):
    assert fault in faults("recipes/repair_tables.py", rest)

"""The examples in the docstrings run and give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tools.module_imports import find_modules

ROOT = Path(__file__).parents[1]
# Of the library only: the modules beside a recipe have no name of their own.
MODULES = [
    module.name
    for module in find_modules(ROOT)
    if module.path.startswith(("drnet_tf/", "tflite/"))
] + ["tools.module_imports"]


def _examples(module_name: str) -> list[doctest.DocTest]:
    module = importlib.import_module(module_name)
    return doctest.DocTestFinder(exclude_empty=True).find(module, module_name)


@pytest.mark.parametrize("module_name", MODULES)
def test_examples_run(
    module_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # what an example writes goes away
    runner = doctest.DocTestRunner(
        verbose=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    report: list[str] = []
    for test in _examples(module_name):
        runner.run(test, out=report.append)
    assert not report, "".join(report)


def test_a_wrong_example_is_seen():
    test = doctest.DocTestParser().get_doctest(
        ">>> 1 + 1\n3\n", {}, "wrong", None, 0
    )
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert "Expected:\n    3\nGot:\n    2" in "".join(report)

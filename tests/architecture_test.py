"""The rules of the house: imports run downwards, code stays in small pieces.

Every rule is a function from the modules to the sentences that say where it is
broken, and every rule is shown a source that breaks it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.module_imports import (
    Import,
    Module,
    digest,
    find_modules,
    imports_of,
    reachable,
)

ROOT = Path(__file__).parents[1]

# A module or folder of drnet_tf imports those of lower ranks only; folders are
# ranked as a whole.
RANKS = {
    0: {
        "version",
        "artifacts",
        "augmentation",
        "graph",
        "graph_building",
        "image_checks",
        "operations",
        "names",
        "progress",
        "cost_records",
        "paired_differences",
        "clustering",
        "published_results",
        "subtask_draws",
    },
    1: {
        "channels",
        "importance",
        "channel_gate",
        "image_axes",
        "work_folders",
        "top_class",
    },
    2: {
        "free_sites",
        "tied_sites",
        "sites",
        "rules",
        "masks",
        "width_masks",
        "routes",
    },
    3: {
        "gates",
        "call_costs",
        "running",
        "costs",
        "fingerprints",
        "deployment",
        "criteria",
        "allocation",
        "nested_masks",
        "receptive_fields",
    },
    4: {
        "classifier",
        "logits",
        "labeled_images",
        "image_stream",
        "image_sources",
        "datasets",
        "preprocessing",
        "split_images",
        "digits",
        "models",
        "masked_network",
        "voting",
        "scale_folding",
    },
    5: {"dissection", "pruning", "evaluation"},
    6: {
        "assembly",
        "budgets",
        "finetuning",
        "repair",
        "scale_out",
        "survey",
        "training",
        "filter_interpretation",
        "grad_cam",
        "mask_families",
    },
    7: {"selection", "subnetworks", "subtask_trials", "class_mask_training"},
    8: {"subtasks"},
    9: {
        "fronts",
        "attention_study",
        "head_study",
        "table_study",
        "coupling_study",
        "method_study",
        "repair_study",
    },
    10: {"reporting", ""},  # "" is the façade, drnet_tf/__init__.py
}
RANK = {name: rank for rank, names in RANKS.items() for name in names}

# Imports within one rank; they must not form a cycle either.
SIDEWAYS = {
    ("artifacts", "version"),
    ("operations", "graph"),
    ("graph_building", "graph"),
    ("tied_sites", "free_sites"),
    ("sites", "free_sites"),
    ("sites", "tied_sites"),
    ("masks", "rules"),
    ("width_masks", "masks"),
    ("width_masks", "rules"),
    ("nested_masks", "allocation"),
    ("logits", "classifier"),
    ("running", "call_costs"),
    ("costs", "call_costs"),
    ("costs", "running"),
    ("datasets", "labeled_images"),
    ("image_sources", "image_stream"),
    ("datasets", "image_sources"),
    ("datasets", "image_stream"),
    ("preprocessing", "datasets"),
    ("split_images", "datasets"),
    ("split_images", "image_stream"),
    ("split_images", "preprocessing"),
    ("digits", "labeled_images"),
    ("finetuning", "repair"),
    ("mask_families", "repair"),
}

# Everything else speaks Keras only, so that another backend could run it.
MAY_IMPORT_TENSORFLOW = {
    "drnet_tf/labeled_images.py",  # tf.data datasets are made
    "drnet_tf/image_stream.py",  # images are read by tf.data
    "drnet_tf/image_sources.py",  # images are decoded
    "drnet_tf/datasets.py",  # tf.data datasets are read
    "drnet_tf/evaluation.py",  # runs batches of a tf.data dataset
    "drnet_tf/dissection/autodiff.py",  # gradients differ by backend
    "drnet_tf/dissection/mirroring.py",  # tf.distribute is what it wraps
    "tflite/drnet_tflite/formats.py",  # names the converter's settings
    "benchmarks/one_image_loops.py",  # plain TensorFlow is what it compares
    "benchmarks/sparse_networks.py",  # tfmot gives a model of tf_keras
    "benchmarks/scale_out.py",  # makes virtual devices
    "recipes/running.py",  # loads it first, without its notices
}
MAY_IMPORT_BEAM = {"drnet_tf/scale_out/pipeline.py"}
MAY_READ_KERAS_SRC = {"drnet_tf/graph.py"}

# (file, function) of the library that may load the deployment code.
MAY_IMPORT_DEPLOYMENT = {("drnet_tf/deployment.py", "load_drnet_tflite")}

MAX_MODULE_LINES = 300
MAX_BODY_LINES = 40

Rule = Callable[[list[Module]], list[str]]


def _imports(modules: list[Module]) -> Iterator[tuple[Module, Import]]:
    known = {module.name for module in modules}
    for module in modules:
        for imported in imports_of(module, known):
            yield module, imported


def _library(modules: list[Module]) -> list[Module]:
    return [m for m in modules if m.path.startswith("drnet_tf/")]


def _installed(modules: list[Module]) -> list[Module]:
    return [m for m in modules if m.path.startswith(("drnet_tf/", "tflite/"))]


def _storey(name: str) -> str:
    """`drnet_tf.pruning.report` -> `pruning`; the façade -> ``."""
    return (name.split(".") + [""])[1]


def unranked_modules(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}: has no rank; give '{_storey(module.name)}' one in "
        "tests/architecture_test.py."
        for module in _library(modules)
        if _storey(module.name) not in RANK
    ]


def upward_imports(modules: list[Module]) -> list[str]:
    broken = []
    for module, imported in _imports(_library(modules)):
        if imported.name.split(".")[0] != "drnet_tf":
            continue
        upper, lower = _storey(module.name), _storey(imported.name)
        if upper == lower or (upper, lower) in SIDEWAYS:
            continue
        # Unknown modules are named by `unranked_modules`.
        if RANK.get(upper, 10) <= RANK.get(lower, -1):
            broken.append(
                f"{module.path}:{imported.line}: imports {imported.name} of "
                f"rank {RANK[lower]}, is itself of rank {RANK[upper]}."
            )
    return broken


def import_cycles(modules: list[Module]) -> list[str]:
    known = {module.name for module in modules}
    edges: dict[str, set[str]] = {name: set() for name in known}
    for module, imported in _imports(modules):
        if imported.name in known - {module.name}:
            edges[module.name].add(imported.name)
    while leaves := {name for name, below in edges.items() if not below}:
        edges = {
            name: below - leaves
            for name, below in edges.items()
            if name not in leaves
        }
    return [
        f"{name}: lies on or above a cycle, through {sorted(below)}."
        for name, below in sorted(edges.items())
    ]


def relative_imports(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{imported.line}: relative import; write the full name."
        for module, imported in _imports(modules)
        if imported.relative
    ]


def facade_imports(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{imported.line}: imports the façade drnet_tf; import "
        "the submodule."
        for module, imported in _imports(modules)
        if imported.name == "drnet_tf" and module in _installed(modules)
    ]


def tensorflow_imports(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{imported.line}: imports {imported.name}; use keras, "
        "or say in tests/architecture_test.py why it cannot."
        for module, imported in _imports(modules)
        if imported.name.split(".")[0] == "tensorflow"
        and module.path not in MAY_IMPORT_TENSORFLOW
    ]


def beam_imports(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{imported.line}: imports {imported.name}; only "
        "drnet_tf/scale_out/pipeline.py may, within its functions."
        for module, imported in _imports(modules)
        if imported.name.split(".")[0] == "apache_beam"
        and not (module.path in MAY_IMPORT_BEAM and imported.function)
    ]


def keras_src_uses(modules: list[Module]) -> list[str]:
    broken = []
    for module in modules:
        if module.path in MAY_READ_KERAS_SRC:
            continue
        for node in ast.walk(module.tree):
            private = (
                ast.unparse(node) == "keras.src"
                if isinstance(node, ast.Attribute)
                else isinstance(node, ast.Import | ast.ImportFrom)
                and "keras.src" in ast.unparse(node)
            )
            if private:
                broken.append(
                    f"{module.path}:{node.lineno}: uses keras.src; only "
                    "drnet_tf/graph.py may."
                )
    return broken


def imports_of_programs(modules: list[Module]) -> list[str]:
    programs = {m.name for m in modules if m not in _installed(modules)}
    programs |= {"recipes", "benchmarks", "tests", "tools"}
    broken = []
    for module, imported in _imports(modules):
        if module not in _installed(modules):
            continue
        top = imported.name.split(".")[0]
        deployment = (
            top in ("drnet_tflite", "tflite")
            and module in _library(modules)
            and (module.path, imported.function) not in MAY_IMPORT_DEPLOYMENT
        )
        if top in programs or deployment:
            broken.append(
                f"{module.path}:{imported.line}: the library imports "
                f"{imported.name}, which stands above it."
            )
    return broken


def long_modules(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}: {lines} lines, at most {MAX_MODULE_LINES}; split it."
        for module in modules
        if (lines := len(module.source.splitlines())) > MAX_MODULE_LINES
    ]


def long_functions(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: the body of {node.name} has {lines} "
        f"lines, at most {MAX_BODY_LINES}; split it."
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := _body_lines(node)) > MAX_BODY_LINES
    ]


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines after the signature and the docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def asserts(modules: list[Module]) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: assert; raise what says the way out."
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ]


RULES: list[Rule] = [
    unranked_modules,
    upward_imports,
    import_cycles,
    relative_imports,
    facade_imports,
    tensorflow_imports,
    beam_imports,
    keras_src_uses,
    imports_of_programs,
    long_modules,
    long_functions,
    asserts,
]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return find_modules(ROOT)


def test_only_what_is_imported_is_reachable(modules: list[Module]):
    found = {x.name for x in reachable(modules, ["drnet_tf.masks"])}
    assert found == {
        f"drnet_tf.{name}"
        for name in (
            "artifacts",
            "importance",
            "masks",
            "names",
            "rules",
            "version",
        )
    }
    before = digest(reachable(modules, ["drnet_tf.masks"]))
    changed = [
        Module(x.name, x.path, f"{x.source}#")
        if x.name == "drnet_tf.rules"
        else x
        for x in modules
    ]
    assert digest(reachable(changed, ["drnet_tf.masks"])) != before
    assert digest(reachable(changed, ["drnet_tf.importance"])) == digest(
        reachable(modules, ["drnet_tf.importance"])
    )


def test_what_is_not_there_is_not_reachable(modules: list[Module]):
    with pytest.raises(ValueError, match="No module benchmarks.bundle_matrix"):
        reachable(modules, ["benchmarks.bundle_matrix"])


def test_the_modules_are_found(modules: list[Module]):
    names = {module.name for module in modules}
    assert {"drnet_tf", "drnet_tf.graph", "drnet_tf.masks"} <= names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(modules: list[Module], rule: Rule):
    broken = rule(modules)
    assert not broken, "\n".join(broken)


def _module(path: str, source: str) -> Module:
    parts = path.removeprefix("tflite/").removesuffix(".py").split("/")
    return Module(".".join(parts).removesuffix(".__init__"), path, source)


_LONG_BODY = "def f():\n" + "    pass\n" * (MAX_BODY_LINES + 1)
_BREAKS: list[tuple[Rule, str, str]] = [
    (unranked_modules, "drnet_tf/helpers.py", ""),
    (unranked_modules, "drnet_tf/helpers/text.py", ""),
    (upward_imports, "drnet_tf/sites.py", "import drnet_tf.gates"),
    (upward_imports, "drnet_tf/sites.py", "from drnet_tf.gates import a"),
    (upward_imports, "drnet_tf/sites.py", "from drnet_tf.masks import a"),
    (upward_imports, "drnet_tf/importance.py", "import drnet_tf.masks"),
    (upward_imports, "drnet_tf/pruning/a.py", "import drnet_tf.dissection.b"),
    (upward_imports, "drnet_tf/masks.py", "import drnet_tf"),
    (
        upward_imports,
        "drnet_tf/masks.py",
        "def f():\n  from drnet_tf.gates import a",
    ),
    (
        upward_imports,
        "drnet_tf/masks.py",
        "import importlib\nimportlib.import_module('drnet_tf.gates')",
    ),
    (relative_imports, "drnet_tf/masks.py", "from .rules import a"),
    (relative_imports, "drnet_tf/masks.py", "from . import rules"),
    (facade_imports, "drnet_tf/masks.py", "from drnet_tf import union"),
    (facade_imports, "drnet_tf/masks.py", "import drnet_tf"),
    (
        facade_imports,
        "tflite/drnet_tflite/converter.py",
        "import drnet_tf as drnet",
    ),
    (tensorflow_imports, "drnet_tf/masks.py", "import tensorflow as tf"),
    (tensorflow_imports, "drnet_tf/masks.py", "from tensorflow import data"),
    (
        tensorflow_imports,
        "tflite/drnet_tflite/a.py",
        "def f():\n  import tensorflow.lite",
    ),
    (beam_imports, "drnet_tf/masks.py", "def f():\n  import apache_beam.io"),
    (beam_imports, "drnet_tf/scale_out/pipeline.py", "import apache_beam"),
    (keras_src_uses, "drnet_tf/masks.py", "import keras\nkeras.src.models"),
    (keras_src_uses, "drnet_tf/masks.py", "from keras.src import models"),
    (keras_src_uses, "drnet_tf/masks.py", "import keras.src.models"),
    (imports_of_programs, "drnet_tf/masks.py", "import recipes.quickstart"),
    (imports_of_programs, "drnet_tf/masks.py", "import drnet_tflite"),
    (
        imports_of_programs,
        "drnet_tf/subnetworks.py",
        "def other():\n  import drnet_tflite",
    ),
    (imports_of_programs, "tflite/drnet_tflite/a.py", "import tools.bazel"),
    (long_modules, "drnet_tf/masks.py", "\n" * (MAX_MODULE_LINES + 1)),
    (long_functions, "drnet_tf/masks.py", _LONG_BODY),
    (asserts, "drnet_tf/masks.py", "def f(x):\n  assert x"),
]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    _BREAKS,
    ids=[f"{rule.__name__}-{source[:30]}" for rule, _, source in _BREAKS],
)
def test_a_rule_sees_what_breaks_it(rule: Rule, path: str, source: str):
    broken = rule([_module(path, source)])
    assert len(broken) == 1
    assert broken[0].startswith(path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_lets_good_code_pass(rule: Rule):
    long_docstring = '    """' + "\n" * MAX_BODY_LINES + '    """\n'
    good = [
        _module("drnet_tf/importance.py", "import numpy\n" * MAX_MODULE_LINES),
        _module(
            "drnet_tf/masks.py", "import drnet_tf.importance\nimport keras"
        ),
        _module("drnet_tf/datasets.py", "import tensorflow as tf"),
        _module("drnet_tf/graph.py", "import keras\nkeras.src.models"),
        _module("drnet_tf/__init__.py", "from drnet_tf.masks import union"),
        _module(
            "drnet_tf/gates.py",
            f"def f():\n{long_docstring}" + "    pass\n" * 40,
        ),
        _module(
            "drnet_tf/deployment.py",
            "def load_drnet_tflite():\n  import drnet_tflite.converter",
        ),
        _module(
            "recipes/quickstart.py", "import drnet_tf\nimport drnet_tflite"
        ),
    ]
    assert rule(good) == []


def test_import_cycles_are_seen():
    cycle = [
        _module("drnet_tf/graph.py", "import drnet_tf.names"),
        _module("drnet_tf/names.py", "from drnet_tf.graph import a"),
        _module("drnet_tf/masks.py", "import numpy"),
    ]
    assert len(import_cycles(cycle)) == 2


def test_the_exceptions_are_needed(modules: list[Module]):
    """An exception that nobody uses is taken off its list."""
    imports = list(_imports(modules))
    assert MAY_IMPORT_TENSORFLOW == {
        m.path for m, i in imports if i.name.split(".")[0] == "tensorflow"
    }
    assert MAY_IMPORT_DEPLOYMENT == {
        (m.path, i.function)
        for m, i in imports
        if m in _library(modules) and i.name.split(".")[0] == "drnet_tflite"
    }
    pairs = {(_storey(m.name), _storey(i.name)) for m, i in imports}
    assert pairs >= SIDEWAYS


def test_tflite_is_a_folder_and_no_package():
    """As a package it would shadow the `tflite` of other projects."""
    assert not (ROOT / "tflite" / "__init__.py").exists()


def test_tests_are_no_packages():
    assert list((ROOT / "tests").rglob("__init__.py")) == []

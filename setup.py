"""What is packaged and what it needs; pyproject.toml holds the tools' settings.

Two packages are installed: `drnet_tf`, the library, and `drnet_tflite`, the
deployment code, which lies under `tflite/`. That folder is no package itself,
because it would shadow the `tflite` of other projects.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
# Run, not imported: importing the package would need TensorFlow.
VERSION = runpy.run_path(str(ROOT / "drnet_tf" / "version.py"))["VERSION"]

REQUIRED = [
    # The backend that runs, compiles and converts the networks.
    "tensorflow>=2.21,<3",
    # The models themselves. TensorFlow would take 3.12, but drnet_tf/graph.py
    # reads Keras' own graph, as 3.15 keeps it. Keras 3.15 needs Python 3.11.
    "keras>=3.15,<4",
    # Scores and masks are NumPy arrays; 2.0 settled the scalar types.
    "numpy>=2.0,<3",
    # Logging in the library, flags in the recipes. Not pinned to 2.x: the
    # extra `tfmot` needs 1.x, and both have what is used here.
    "absl-py>=1.2,<3",
    # The format of saved scores and masks: reading it runs no code.
    "safetensors>=0.5,<1",
]

# Not part of `dev`: gigabytes that only machines with an NVIDIA GPU want.
GPU = ["tensorflow[and-cuda]>=2.21,<3"]

# Not part of `dev`: benchmarks/support_matrix.py prunes small backbones of it,
# where it is installed.
HUB = ["keras-hub>=0.30,<1"]

# Not part of `dev`: it holds protobuf below 7, and with it other packages of
# the environment; its tests are skipped where it is not installed. 2.77 is the
# first that was tried, on its DirectRunner.
BEAM = ["apache-beam>=2.77,<3"]

EXTRAS = {
    "tflite": [
        # Runs .tflite files: the parity check of a conversion, and its speed.
        "ai-edge-litert>=2.2,<3",
        # Reads and writes their metadata; the former brings it in any case.
        "flatbuffers>=24.3",
    ],
    # Draws the figures of the HTML page. Before 3.10.8 it warns of itself.
    "report": ["matplotlib>=3.10.8,<4"],
    # Datasets by name, such as `cifar10`; image folders do without it.
    "data": [
        "tensorflow-datasets>=4.9.10,<5",
        # It imports this one, too, but 4.9.10 forgets to say so.
        "importlib_resources>=6",
    ],
}

DEVELOPMENT = [
    *(need for needs in EXTRAS.values() for need in needs),
    "pytest>=8.3,<10",  # runs the tests
    # Lints and formats; every minor version may lay out code differently.
    "ruff>=0.17.5,<0.18",
    # Checks the types; every minor version may see something new.
    "mypy>=2.4,<2.5",
    # Build the wheel that tests/packaging_test.py looks into.
    "build>=1.2,<2",
    "setuptools>=70.1",  # the first that builds wheels by itself
]

# Not part of `dev`, and nothing here imports it: TensorFlow Model Optimization
# 0.8.1, its newest, refuses Keras 3 models (it prunes and quantizes those of
# tf-keras only) and pins absl-py to 1.x. It is named so that a program that
# uses both can install both: `pip install .[tfmot]` resolves.
TFMOT = ["tensorflow-model-optimization>=0.8,<1"]

setup(
    name="drnet_tf",
    version=VERSION,
    description=(
        "Dissects a trained Keras classifier into the small network of any "
        "few of its classes (DRNet, for ConvNets)."
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["drnet_tf", "drnet_tf.*"]),
        *find_packages("tflite", include=["drnet_tflite", "drnet_tflite.*"]),
    ],
    package_dir={"drnet_tflite": "tflite/drnet_tflite"},
    package_data={
        # The digits and the network of the quickstart; the mark of PEP 561.
        "drnet_tf": ["data/**", "py.typed"],
    },
    install_requires=REQUIRED,
    extras_require={
        **EXTRAS,
        "gpu": GPU,
        "beam": BEAM,
        "hub": HUB,
        "tfmot": TFMOT,
        "dev": DEVELOPMENT,
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

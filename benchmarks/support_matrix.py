"""Writes docs/support_matrix.md: how exactly which networks are pruned.

Every model of `keras.applications`, hand-built networks of families that it has
not and, where keras-hub is installed, small backbones of it: all with random
weights, each under four masks (`exactness.py` says what is measured). A process
of its own measures each network; its record stays in `--work_dir`, so that a
run that was stopped goes on, and what was measured by the same code and
settings is not measured again.

Reads: records of earlier runs. Writes: the page (`--page`) and all figures
(`--json`); of some networks (`--only`) just where these flags say so. Needs
ai-edge-litert (the extra `tflite`).

Example: python benchmarks/support_matrix.py

Takes about an hour on 2 cores. Ends with an error if a network is neither
pruned exactly nor refused with a reason.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    from matrix_networks import Network

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_WORK_DIR = flags.DEFINE_string(
    "work_dir",
    str(_ROOT / "build" / "support_matrix"),
    "Folder of the networks' records.",
)
_PAGE = flags.DEFINE_string("page", None, "Default: docs/support_matrix.md.")
_JSON = flags.DEFINE_string(
    "json", None, "Default: results/support_matrix.json."
)
_ONLY = flags.DEFINE_string("only", "", "Networks whose name contains this.")
_JOBS = flags.DEFINE_integer("jobs", 2, "Networks at a time, a core each.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, masks and images.")
_IMAGES = flags.DEFINE_integer("images", 2, "Random images.", 1)
_LITERT_MASKS = flags.DEFINE_integer(
    "litert_masks", 4, "For how many masks LiteRT files are made.", 0, 4
)
_REPORT_ONLY = flags.DEFINE_bool(
    "report_only",
    False,
    "Measures nothing: writes the records that there are, of any code.",
)
_SKIP_LITERT = flags.DEFINE_bool("skip_litert", False, "Makes no LiteRT file.")
_NETWORK = flags.DEFINE_string(
    "network", None, "For the program's own use: measures this network here."
)

# What decides a record beside the settings: these and what they import.
_SOURCES = ("exactness", "random_networks", "matrix_networks")


def main(_: list[str]) -> None:
    if _NETWORK.value:
        _measure_here(_NETWORK.value)
        return
    from drnet_tf.artifacts import check_writable, write_json, write_text

    Path(_WORK_DIR.value).mkdir(parents=True, exist_ok=True)
    pages = {
        "page": (_PAGE.value, "docs/support_matrix.md"),
        "json": (_JSON.value, "results/support_matrix.json"),
    }
    paths = {
        key: Path(given or _ROOT / usual)
        for key, (given, usual) in pages.items()
        if given or not _ONLY.value
    }
    for path in paths.values():
        check_writable(path)
    records = _records_there() if _REPORT_ONLY.value else _measure_all()

    from matrix_page import is_well, page

    made_with = _made_with(hub=True)
    if _REPORT_ONLY.value:  # by the code that measured
        made_with = max(
            (x["made_with"] for x in records), key=lambda x: len(x["versions"])
        )
    if "json" in paths:
        write_json(paths["json"], {"made_with": made_with, "networks": records})
    if "page" in paths:
        command = "python benchmarks/support_matrix.py"
        write_text(paths["page"], page(records, made_with, command))
    failed = [x["network"] for x in records if not is_well(x)]
    print(f"{len(records) - len(failed)} of {len(records)} are well")
    if failed:
        sys.exit("not well: " + ", ".join(failed))


def _records_there() -> list[dict[str, Any]]:
    """The records in the work folder, in the table's order."""
    from matrix_networks import matrix_networks

    paths = [
        _record_path(network.name)
        for network in matrix_networks()
        if _ONLY.value in network.name
    ]
    found = [x for x in paths if x.exists()]
    print(f"{len(found)} of {len(paths)} networks have a record")
    return [json.loads(x.read_text("utf-8")) for x in found]


def _measure_all() -> list[dict[str, Any]]:
    """The records of all networks, measured where they are missing."""
    from matrix_networks import matrix_networks
    from matrix_page import verdict

    chosen = [x for x in matrix_networks() if _ONLY.value in x.name]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
        jobs = [pool.submit(_record, network) for network in chosen]
        done = concurrent.futures.as_completed(jobs)
        for number, job in enumerate(done, 1):
            record = job.result()
            print(
                f"[{number}/{len(jobs)}, {time.monotonic() - start:.0f} s] "
                f"{record['network']}: {verdict(record)} "
                f"({record['seconds']:.0f} s)",
                flush=True,
            )
    return [job.result() for job in jobs]


def _record(network: Network) -> dict[str, Any]:
    """The record of a network; a process of its own makes it."""
    path = _record_path(network.name)
    made_with = _made_with(hub=network.origin == "keras-hub")
    if path.exists():
        record = json.loads(path.read_text("utf-8"))
        if record["made_with"] == made_with:
            return record
        path.unlink()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_WORK_DIR.value) as folder:
        done = _run_apart(network.name, folder)
    if path.exists():
        return json.loads(path.read_text("utf-8"))
    # A crash may be of this hour only: it is not remembered.
    lines = done.stdout.strip().splitlines() or ["no message"]
    return {
        "network": network.name,
        "origin": network.origin,
        "rows": [],
        "error": f"the process ended with {done.returncode}: {lines[-1]}",
        "output": lines[-50:],
        "seconds": time.monotonic() - start,
        "made_with": made_with,
    }


def _run_apart(name: str, folder: str) -> subprocess.CompletedProcess[str]:
    """Runs this program for one network, on one core."""
    return subprocess.run(
        [
            *(sys.executable, __file__, f"--network={name}"),
            f"--work_dir={_WORK_DIR.value}",
            f"--seed={_SEED.value}",
            f"--images={_IMAGES.value}",
            f"--litert_masks={_litert_masks()}",
        ],
        env={
            **os.environ,
            "TMPDIR": folder,  # goes, whatever becomes of the process
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _measure_here(name: str) -> None:
    """Measures one network and writes its record."""
    import keras
    from exactness import Settings, measure, told
    from matrix_networks import matrix_networks
    from random_networks import randomise

    from drnet_tf.artifacts import write_json
    from drnet_tf.sites import gate_sites

    start = time.monotonic()
    # The errors' places tell refusals from failures.
    keras.config.disable_traceback_filtering()
    keras.utils.set_random_seed(_SEED.value)
    (network,) = (x for x in matrix_networks() if x.name == name)
    record: dict[str, Any]
    record = {"network": name, "origin": network.origin, "rows": []}
    settings = Settings(
        seed=_SEED.value,
        images=_IMAGES.value,
        fit_norms=True,
        litert_masks=_litert_masks(),
    )
    model = randomise(network.make(), _SEED.value)
    record["parameters"] = model.count_params()
    record["input_shape"] = model.input_shape[1:]
    try:
        model = _accepted(model, record)
        record["sites"] = len(gate_sites(model))
        with tempfile.TemporaryDirectory() as folder:
            record["rows"] = measure(model, Path(folder), settings)
    except (TypeError, ValueError) as error:
        record |= told(error)
    record["seconds"] = time.monotonic() - start
    record["made_with"] = _made_with(hub=network.origin == "keras-hub")
    write_json(_record_path(name), record)


def _accepted(model: Any, record: dict[str, Any]) -> Any:
    """A model that drnet_tf takes: a subclass's graph where it must be."""
    import keras

    from drnet_tf.sites import gate_sites

    try:
        gate_sites(model)
    except TypeError as error:
        record["as_it_is"] = f"{error}"
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return model


def _record_path(name: str) -> Path:
    return Path(_WORK_DIR.value, f"{name.replace(' ', '_')}.json")


def _litert_masks() -> int:
    return 0 if _SKIP_LITERT.value else _LITERT_MASKS.value


def _made_with(hub: bool) -> dict[str, Any]:
    """Code, settings and versions that decide a record."""
    from tools.module_imports import digest, find_modules, reachable

    versions = {}
    for package in ("keras", "tensorflow", "ai-edge-litert", "keras-hub"):
        try:
            if package != "keras-hub" or hub:
                versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "code": digest(reachable(find_modules(_ROOT), _SOURCES)),
        "seed": _SEED.value,
        "images": _IMAGES.value,
        "litert_masks": _litert_masks(),
        "versions": versions,
    }


if __name__ == "__main__":
    app.run(main)

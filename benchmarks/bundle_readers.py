"""Python and Java cut the same bytes, and refuse broken bundles alike.

Compiles the Android core and asks both readers for `--requests` random
sub-networks over all `--bundles`, which have to be the same bytes, or refused
by both. Then each reads `--mutations` broken copies of the two smallest (bits
flipped, cut short, fields spliced; half of them with the checksums mended):
nothing but the documented error may come of it, within a second, in memory
below twice the file (of Python every tenth is measured). Both are timed on
`--timed` requests of the first bundle.

Reads: `--bundles`, files of `write_bundle`. Needs a JDK. Writes: `--output`, a
JSON; prints the same.

Example: python benchmarks/bundle_readers.py --bundles=vgg.tflite,resnet.tflite

Takes a few minutes on 2 cores.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    from drnet_tflite.bundles.bundle import Bundle

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_BUNDLES = flags.DEFINE_list("bundles", None, "Files.", required=True)
_REQUESTS = flags.DEFINE_integer("requests", 500, "Over all bundles.", 1)
_MUTATIONS = flags.DEFINE_integer("mutations", 20_000, "For each reader.", 0)
_TIMED = flags.DEFINE_integer("timed", 41, "Requests that are timed.", 1)
_FRACTION = flags.DEFINE_float("fraction", 0.33, "Of channels, when timed.")
_SEED = flags.DEFINE_integer("seed", 0, "Of requests and mutations.")
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_JAVA = _ROOT / "tflite" / "android" / "core" / "src"
_KINDS = {
    "threshold": "threshold",
    "kept_fraction": "kept",
    "max_parameters": "parameters",
}


def main(argv: list[str]) -> None:
    del argv
    from drnet_tf.artifacts import check_writable, write_json

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    with tempfile.TemporaryDirectory() as folder:
        classes = Path(folder, "classes")
        sources = sorted(map(str, _JAVA.glob("*/java/org/drnet/bundle/*.java")))
        _run("javac", "-nowarn", "--release", "8", "-d", str(classes), *sources)
        each = -(-_REQUESTS.value // len(_BUNDLES.value))
        small = sorted(_BUNDLES.value, key=lambda x: Path(x).stat().st_size)
        small, mutations = small[:2], -(-_MUTATIONS.value // len(small[:2]))
        found = {
            "requests": [
                _compared(path, each, classes) for path in _BUNDLES.value
            ],
            "python_mutations": [_mutated(x, mutations) for x in small],
            "java_mutations": [
                _mutated_in_java(x, mutations, classes) for x in small
            ],
            "milliseconds": _timed(_BUNDLES.value[0], classes),
        }
    print(json.dumps(found, indent=1))
    if _OUTPUT.value:
        write_json(_OUTPUT.value, {"seed": _SEED.value, **found})


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def _compared(path: str, count: int, classes: Path) -> dict[str, Any]:
    """How many requests both readers answer alike."""
    import drnet_tflite

    bundle = drnet_tflite.Bundle(path)
    requests = [_request(bundle, number) for number in range(count)]
    same = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder, "requests.txt")
        lines = (
            _line(number, *request) for number, request in enumerate(requests)
        )
        listing.write_text("".join(lines), "utf-8")
        main_class = "org.drnet.bundle.ExtractMain"
        _run(
            "java", "-cp", str(classes), main_class, path, str(listing), folder
        )
        for number, (names, rule, limit, round_to) in enumerate(requests):
            java = Path(folder, f"{number}.tflite")
            try:
                content = bundle.extract(
                    names, rule=rule, round_to=round_to, **limit
                )
            except drnet_tflite.BundleError:
                error = java.with_suffix(".error")
                refused += error.exists() and not java.exists()
                continue
            same += java.exists() and java.read_bytes() == content
    return {
        "bundle": Path(path).name,
        "requests": count,
        "same_bytes": same,
        "refused_by_both": refused,
        "different": count - same - refused,
    }


def _request(bundle: Bundle, number: int) -> tuple[list[str], str, Any, int]:
    import numpy as np

    generator = np.random.default_rng([_SEED.value, number])
    size = int(generator.integers(1, min(5, len(bundle.class_names)) + 1))
    names = generator.permutation(bundle.class_names)[:size].tolist()
    rule = ("union", "xor" if size == 2 else "mean", "mean")[
        generator.integers(3)
    ]
    parameters = sum(
        bundle.plan.elements(x) for x in bundle.plan.vectors if x.is_parameter
    )
    limits: tuple[dict[str, float], ...] = (
        {"threshold": float(np.exp(generator.normal(-1, 1.5)))},
        {"kept_fraction": float(generator.uniform(0.01, 1))},
        {"max_parameters": int(generator.uniform(0.005, 1) * parameters)},
    )
    limit = limits[generator.integers(3)]
    return names, rule, limit, int(generator.choice([1, 4, 7, 8, 16]))


def _line(
    number: int, names: list[str], rule: str, limit: Any, round_to: int
) -> str:
    ((kind, value),) = limit.items()
    quoted = ",".join(urllib.parse.quote(x, safe="") for x in names)
    fields = (number, quoted, rule, _KINDS[kind], repr(value), round_to)
    return "\t".join(map(str, fields)) + "\n"


def _mutated(path: str, count: int) -> dict[str, Any]:
    """What Python makes of broken copies."""
    import numpy as np
    from bundle_mutations import mutate
    from drnet_tflite.bundles.decoding import read_plan
    from drnet_tflite.bundles.errors import BundleError
    from drnet_tflite.bundles.selection import Limit, select
    from drnet_tflite.bundles.slicing import cut

    content = Path(path).read_bytes()
    generator = np.random.default_rng(_SEED.value)
    refused, slowest, peak, undocumented = 0, 0.0, 0, set()
    for number in range(count):
        data = memoryview(mutate(content, generator))
        if number % 10 == 0:  # it slows all that it measures
            tracemalloc.start()
        start = time.perf_counter()
        try:
            plan = read_plan(data)
            names = list(plan.class_names[:2])
            limit = Limit(kept_fraction=0.6)
            cut(data, plan, select(plan, names, "mean", limit, 8))
        except BundleError:
            refused += 1
        except Exception as error:  # noqa: BLE001, what is looked for
            undocumented.add(repr(error)[:200])
        slowest = max(slowest, time.perf_counter() - start)
        if tracemalloc.is_tracing():
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return {
        "bundle": Path(path).name,
        "mutations": count,
        "refused": refused,
        "undocumented": sorted(undocumented),
        "slowest_ms": 1e3 * slowest,
        "peak_of_file": peak / len(content),
    }


def _mutated_in_java(path: str, count: int, classes: Path) -> dict[str, Any]:
    main_class = "org.drnet.bundle.FuzzMain"
    seed = str(_SEED.value)
    # The harness holds the file and a copy of it, the reader may take as much
    # again: an OutOfMemoryError is undocumented. 2 MB is Java's least heap.
    megabytes = 2 + math.ceil(4 * Path(path).stat().st_size / 2**20)
    out = _run(
        "java", "-XX:+UseSerialGC", f"-Xmx{megabytes}m", "-cp", str(classes),
        main_class, path, seed, str(count),
    )  # fmt: skip
    return {
        "bundle": Path(path).name,
        "heap_limit_mb": megabytes,
        **json.loads(out.splitlines()[-1]),
    }


def _timed(path: str, classes: Path) -> dict[str, Any]:
    """Median time of one extraction, Python beside Java."""
    import drnet_tflite

    bundle = drnet_tflite.Bundle(path)
    names = list(bundle.class_names[:2])
    request = {"kept_fraction": _FRACTION.value, "rule": "mean"}
    first = _milliseconds(bundle, names, request)
    warm = [_milliseconds(bundle, names, request) for _ in range(_TIMED.value)]
    tracemalloc.start()
    content = bundle.extract(names, **request)
    beyond = tracemalloc.get_traced_memory()[1] - len(content)
    tracemalloc.stop()
    java = _run(
        "java", "-cp", str(classes), "org.drnet.bundle.TimeMain", path,
        ",".join(names), "mean", "kept", str(_FRACTION.value),
        str(_TIMED.value),
    )  # fmt: skip
    return {
        "bundle": Path(path).name,
        "bytes": bundle.size,
        "kept_fraction": _FRACTION.value,
        "bytes_out": len(content),
        "python_first": first,
        "python_warm": statistics.median(warm),
        "python_beyond_output_bytes": beyond,
        "java_warm": float(java),
    }


def _milliseconds(bundle: Bundle, names: list[str], request: Any) -> float:
    start = time.perf_counter()
    bundle.extract(names, **request)
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    app.run(main)

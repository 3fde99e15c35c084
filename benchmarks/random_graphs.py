"""Holds `prune` against `apply_mask` on thousands of random networks.

One seed draws a small network over all families of operations, a mask and
images (`tests/pruning/random_graphs.py`); most networks compute in float64,
where 1e-5 tells a wrong network from rounding. Some pruned networks are
also saved and loaded, compared layer by layer, or cut to some classes.

Reads: nothing. Writes: `--output`, a JSON file with how often each family was
drawn, the greatest difference as a share of the output's scale, the share of
masked channels that are really gone, and a line for every failure; and beside
it `<output>.work`, one line a seed, from which a run that was stopped goes on
(with the same version; it is removed in the end). A process examines a chunk.

Example: python benchmarks/random_graphs.py \
--count=10000 --output=results/random_graphs.json

Takes about 25 minutes on 2 cores. Ends with an error if a seed fails.
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

from absl import app, flags

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tflite")]  # runs uninstalled, too

_COUNT = flags.DEFINE_integer("count", 10000, "How many seeds.", 1)
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "The first of them.", 0)
_OUTPUT = flags.DEFINE_string("output", None, "The .json file to write.")
_CHUNK = flags.DEFINE_integer("chunk", 100, "Seeds in one process.", 1)
_JOBS = flags.DEFINE_integer("jobs", 2, "Processes at a time.", 1)

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
# In a process of its own, as TensorFlow and Keras keep some of every network.
_EXAMINE = """
import dataclasses, json, sys, warnings
sys.path[:0] = sys.argv[1:3]
warnings.simplefilter("ignore")
import keras
from tests.pruning.random_graph_checks import examine
for seed in map(int, sys.argv[3:]):
    print(json.dumps(dataclasses.asdict(examine(seed))), flush=True)
    if not seed % 50:
        keras.backend.clear_session()
"""


def main(_: list[str]) -> None:
    from drnet_tf.artifacts import check_writable, write_json
    from drnet_tf.version import VERSION

    if _OUTPUT.value:
        check_writable(_OUTPUT.value)
    work = Path(f"{_OUTPUT.value}.work") if _OUTPUT.value else None
    seeds = range(_FIRST_SEED.value, _FIRST_SEED.value + _COUNT.value)
    results = _read_work(work, VERSION)
    _examine_all([x for x in seeds if x not in results], results, work, VERSION)
    summary = _summarize([results[seed] for seed in seeds])
    shown = {k: v for k, v in summary.items() if k != "families"}
    print(json.dumps(shown, indent=2))
    if _OUTPUT.value:
        write_json(
            _OUTPUT.value,
            {
                "drnet_tf": VERSION,
                "first_seed": _FIRST_SEED.value,
                "count": _COUNT.value,
                **summary,
            },
        )
    if work and work.exists():
        work.unlink()
    if summary["failures"]:
        sys.exit(1)


def _examine_all(
    seeds: list[int],
    results: dict[int, dict[str, Any]],
    work: Path | None,
    version: str,
) -> None:
    """Adds to the results, to the work file, and tells how it goes."""
    started = time.monotonic()
    size, done = _CHUNK.value, 0
    chunks = [seeds[i : i + size] for i in range(0, len(seeds), size)]
    with futures.ThreadPoolExecutor(_JOBS.value) as pool:
        for found in pool.map(lambda chunk: list(_examine(chunk)), chunks):
            for result in found:
                results[result["seed"]] = result
                if result["failure"]:
                    print(f"seed {result['seed']}: {result['failure']}")
            if work:
                with work.open("a", encoding="utf-8") as file:
                    for result in found:
                        line = json.dumps({"version": version, **result})
                        file.write(f"{line}\n")
            done += len(found)
            seconds = time.monotonic() - started
            print(f"{done} of {len(seeds)} seeds, {seconds:.0f} s", flush=True)


def _read_work(path: Path | None, version: str) -> dict[int, dict[str, Any]]:
    """What an earlier run of the same version found; a torn line is skipped."""
    results: dict[int, dict[str, Any]] = {}
    if path is None or not path.exists():
        return results
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        if result.pop("version") == version:
            results[result["seed"]] = result
    return results


def _examine(seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Results one by one; a process that dies fails the seed it was at."""
    while seeds:
        arguments = [sys.executable, "-c", _EXAMINE, *sys.path[:2]]
        with subprocess.Popen(
            [*arguments, *map(str, seeds)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ONE_THREAD},
        ) as process:
            if process.stdout is not None:
                for line in process.stdout:
                    result = json.loads(line)
                    seeds = seeds[1:]
                    yield result
        if seeds:
            failure = f"the process ended with {process.returncode}"
            yield {
                "seed": seeds[0],
                "families": {},
                "difference": 0.0,
                "masked": 0,
                "removed": 0,
                "failure": failure,
            }
            seeds = seeds[1:]


def _summarize(results: list[dict[str, Any]]) -> dict[str, Any]:
    families: collections.Counter[str] = collections.Counter()
    for result in results:
        families.update(result["families"])
    masked = sum(x["masked"] for x in results)
    failures = [x for x in results if x["failure"]]
    return {
        "number_of_failures": len(failures),
        "failures": {str(x["seed"]): x["failure"] for x in failures},
        "worst_difference": max(x["difference"] for x in results),
        "masked_channels": masked,
        "masked_removed": sum(x["removed"] for x in results) / max(masked, 1),
        "families": dict(sorted(families.items())),
    }


if __name__ == "__main__":
    app.run(main)

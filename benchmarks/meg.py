"""RSA of MEG in time: neurodnn, mne-rsa and rsatoolbox on the same input, in one run, as ratios.

92 conditions x 306 sensors x 1,000 samples, 1 - Pearson RDMs, Spearman with 8 references. Each
contestant runs in a process of its own with one thread, warm (imports and compilation apart);
times are medians of runs in turns. mne-rsa gets the array and no more (`rsa_array`, its fastest
way), and all samples; rsatoolbox (`calc_rdm_movie` and `compare`) a random subset of samples,
since all take minutes. neurodnn gets a Dataset per sample, as users give it, so its time includes
the matching of stimuli by name. Decoding RDMs are in `decoding.py`.

    python benchmarks/meg.py
    python benchmarks/meg.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

CONDITIONS, SENSORS, REFERENCES, SEED = 92, 306, 8, 20260101
PAIRS = CONDITIONS * (CONDITIONS - 1) // 2
NAMES = [f"image_{i:02d}" for i in range(CONDITIONS)]
TARGET = 10


def contest(n_times: int):
    """Return conditions x sensors x times in tesla, and the references."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    values = 1e-13 * rng.normal(size=(CONDITIONS, SENSORS, n_times))
    return values, rng.random((REFERENCES, PAIRS))


def chosen(n_times: int, subset: int):
    import numpy as np

    return np.sort(np.random.default_rng(SEED).choice(n_times, min(subset, n_times), False))


def neurodnn_job(values, references, task: dict) -> Callable:
    """Return a function that scores all times."""
    import numpy as np
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

    from neurodnn.workflows.meg_timecourse import meg_timecourse

    models = RDMs(references, pattern_descriptors={"stimulus": NAMES})
    windows = {i / 1000: Dataset(np.ascontiguousarray(values[:, :, i]),
                                 obs_descriptors={"stimulus": NAMES})
               for i in range(values.shape[2])}
    return lambda: meg_timecourse(windows, models, dtype=task["dtype"]).values


def mne_rsa_job(values, references, task: dict) -> Callable:
    """Return a function that scores all times with the array function."""
    import mne
    import mne_rsa
    import numpy as np

    mne.set_log_level("error")
    models = list(references)

    def job():
        patches = mne_rsa.searchlight(values.shape, temporal_radius=0)
        return np.transpose(mne_rsa.rsa_array(values, models, patches))

    return job


def rsatoolbox_job(values, references, task: dict) -> Callable:
    """Return a function that scores a subset of times."""
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import RDMs, calc_rdm_movie, compare

    places = chosen(values.shape[2], task["subset"])
    models = RDMs(references)
    temporal = TemporalDataset(values[:, :, places].copy(), obs_descriptors={"stimulus": NAMES},
                               time_descriptors={"time": places / 1000})

    def job():
        rdms = calc_rdm_movie(temporal, method="correlation", descriptor="stimulus")
        return compare(rdms, models, method="spearman")

    return job


CONTESTANTS = {"neurodnn": neurodnn_job, "mne-rsa": mne_rsa_job, "rsatoolbox": rsatoolbox_job}


def _usage() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def run_one(task: dict) -> dict:
    """Run one contestant in this process: warm up, repeat, report; values go to a file."""
    import numpy as np

    warnings.simplefilter("ignore")
    make = CONTESTANTS[task["who"]]
    make(*contest(20), task)()  # imports, compilation
    job = make(*contest(task["times"]), task)
    before = _usage()[1]
    walls, cpus = [], []
    for _ in range(task["runs"]):
        wall, cpu = time.perf_counter(), _usage()[0]
        result = job()
        walls.append(time.perf_counter() - wall)
        cpus.append(_usage()[0] - cpu)
    np.save(task["values"], result)
    return {"done": len(result), "wall": statistics.median(walls), "cpu": statistics.median(cpus),
            "peak": _usage()[1], "before": before}


def launch(folder: Path, **task) -> dict:
    """Run `run_one` in a fresh process with one thread."""
    task["values"] = str(folder / f"{task['who']}-{task['dtype']}.npy")
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                      "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run([sys.executable, __file__, "--task", json.dumps(task)], text=True,
                          capture_output=True, env={**os.environ, **threads}, check=False)
    if done.returncode:
        raise SystemExit(f"{task['who']} failed: {done.stderr.strip().splitlines()[-1:]}")
    return {**task, **json.loads(done.stdout.strip().splitlines()[-1])}


def show(label: str, result: dict, ours: dict | None = None) -> float:
    """Print one line; return the ratio of CPU seconds a time to ours."""
    a_time = result["cpu"] / result["done"]
    ratio = 1.0 if ours is None else a_time / (ours["cpu"] / ours["done"])
    print(f"  {label:<24}{result['done']:>6} times {result['wall']:8.3f} s wall"
          f" {result['cpu']:8.3f} s CPU {1e6 * a_time:9.0f} us CPU a time"
          f" {result['peak']:6.0f} MB peak (+{result['peak'] - result['before']:.0f})"
          + ("" if ours is None else f" {ratio:7.1f}x"), flush=True)
    return ratio


def main() -> int:
    """Run the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--subset", type=int, default=100, help="times for rsatoolbox")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="200 times, 30 for rsatoolbox, 1 run")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(run_one(json.loads(options.task))))
        return 0
    if options.quick:
        options.times, options.subset, options.runs = 200, 30, 1
    import numpy as np

    found = ", ".join(f"{name} {version(name)}" for name in
                      ("numpy", "scipy", "numba", "mne-rsa", "rsatoolbox", "neurodnn"))
    print(f"Python {platform.python_version()}, {found}; {os.cpu_count()} cores, load"
          f" {os.getloadavg()[0]:.1f}")
    print(f"{CONDITIONS} conditions x {SENSORS} sensors x {options.times} times, {REFERENCES}"
          f" references, 1 - Pearson and Spearman, one thread, median of {options.runs}")
    shared = {"times": options.times, "subset": options.subset}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = launch(folder, who="neurodnn", dtype="float64", runs=options.runs, **shared)
        show("neurodnn, float64", ours)
        single = launch(folder, who="neurodnn", dtype="float32", runs=options.runs, **shared)
        show("neurodnn, float32", single)
        peers = [launch(folder, who=who, dtype="float64", runs=min(options.runs, 3), **shared)
                 for who in ("mne-rsa", "rsatoolbox")]
        ratios = [show(peer["who"], peer, ours) for peer in peers]
        own = np.load(folder / "neurodnn-float64.npy")
        theirs = [np.load(folder / f"{peer['who']}-float64.npy") for peer in peers]
        apart = [np.abs(own - theirs[0]).max(),
                 np.abs(own[chosen(options.times, options.subset)] - theirs[1]).max(),
                 np.abs(own - np.load(folder / "neurodnn-float32.npy")).max()]
    print(f"  largest difference: mne-rsa {apart[0]:.1e}, rsatoolbox {apart[1]:.1e},"
          f" our float32 {apart[2]:.1e}")
    print(f"  ratio to the faster, float64: {min(ratios):.1f}x CPU (target {TARGET}x)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

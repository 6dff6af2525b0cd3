"""Decoding RDMs: neurodnn and a loop over scikit-learn on the same input, in one run, as ratios.

92 conditions x 30 trials x 306 sensors, 5 trials averaged to a pseudo-trial, 6 folds that leave
one pseudo-trial of each condition out, linear support vector machine with C = 1: 25,116 fits a
repeat. Five kinds of data:

* well scaled: white noise of 1, so that nearly every training point lies on the margin;
* correlated: noise in about 10 large dimensions, as sensors have it, so that nearly every fit
  needs the active set;
* mixed: noise in about 5 large dimensions at 0.3 of its scale, so that in nearly every fit some
  weights are C, some are zero and some lie between;
* small: the first at 0.02 of its scale, so that C binds everywhere;
* few sensors: 8 of them, so that no Gram matrix can be inverted.

From the second on next to no fit has the closed form.

neurodnn is timed as users call it, with the drawing and averaging of trials, for several
repeats. scikit-learn gets the pseudo-trials for nothing, and a random subset of pairs, since all
would take minutes a repeat; it fits on patterns and on a Gram matrix, at its default tolerance,
and the faster counts. Exactness is judged against a tolerance of 1e-10. Both in a process of
their own with one thread, warm (imports and compilation apart), times per fit, median of runs.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --quick
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
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

CONDITIONS, TRIALS, SENSORS, SIZE, SEED = 92, 30, 306, 5, 20260101
FOLDS = TRIALS // SIZE
PAIRS = CONDITIONS * (CONDITIONS - 1) // 2
TARGETS = {"well scaled": 500, "correlated": 100, "mixed": 100, "small": 100, "few sensors": 100}


def contest(kind: str):
    """Return the trials that everybody gets, and their conditions."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    patterns = 0.1 * rng.normal(size=(CONDITIONS, 1, SENSORS))
    values = patterns + rng.normal(size=(CONDITIONS, TRIALS, SENSORS))
    if kind in ("correlated", "mixed"):
        decay = {"correlated": 10, "mixed": 5}[kind]
        weights = np.exp(-np.arange(SENSORS) / decay)[:, np.newaxis] / np.sqrt(decay)
        values = values @ (weights * rng.normal(size=(SENSORS, SENSORS)))
    values *= {"mixed": 0.3, "small": 0.02}.get(kind, 1.0)
    if kind == "few sensors":
        values = np.ascontiguousarray(values[..., :8])
    names = [f"image_{i:02d}" for i in range(CONDITIONS) for _ in range(TRIALS)]
    return values.reshape(CONDITIONS * TRIALS, -1), names


def pseudo_trials(values, names):
    """Return the pseudo-trials of the first repeat, folds x conditions x sensors."""
    import numpy as np

    from neurodnn.numerics.pseudo_trials import draw_groups

    groups = draw_groups(sorted(set(names)), [TRIALS] * CONDITIONS, SIZE, 1, 0)[0]
    return np.asarray(values)[groups].mean(axis=2)


def chosen_pairs(n: int):
    import numpy as np

    return np.sort(np.random.default_rng(SEED).choice(PAIRS, n, replace=False))


def neurodnn_job(values, names, task: dict) -> tuple[Callable, int]:
    """Return a function that makes the RDM of one time, and its number of fits."""
    from rsatoolbox.data import Dataset

    from neurodnn import decoding_rdms

    trials = Dataset(values, obs_descriptors={"stimulus": names})
    repeats = task["repeats"]

    def job():
        return decoding_rdms(trials, trials_per_pseudo=SIZE, n_repeats=repeats, n_jobs=1)

    return job, PAIRS * FOLDS * repeats


def scikit_learn_job(values, names, task: dict) -> tuple[Callable, int]:
    """Return a function that fits and predicts the chosen pairs, and its number of fits."""
    import numpy as np
    from sklearn.svm import SVC

    points, pairs = pseudo_trials(values, names), chosen_pairs(task["subset"])
    first, second = np.triu_indices(CONDITIONS, 1)
    classes = np.repeat([0, 1], FOLDS - 1)
    machine = SVC(kernel=task["kernel"], C=1, tol=task["tolerance"])

    def job():
        decisions = np.empty((pairs.size, FOLDS, 2))
        for row, pair in enumerate(pairs):
            both = np.concatenate([points[:, first[pair]], points[:, second[pair]]])
            data = both @ both.T if task["kernel"] == "precomputed" else both
            for fold in range(FOLDS):
                kept = [i for i in range(2 * FOLDS) if i % FOLDS != fold]
                held = [fold, fold + FOLDS]
                if task["kernel"] == "precomputed":
                    machine.fit(data[np.ix_(kept, kept)], classes)
                    decisions[row, fold] = -machine.decision_function(data[np.ix_(held, kept)])
                else:
                    machine.fit(data[kept], classes)
                    decisions[row, fold] = -machine.decision_function(data[held])
        return decisions

    return job, pairs.size * FOLDS


CONTESTANTS = {"neurodnn": neurodnn_job, "scikit-learn": scikit_learn_job}


def _usage() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def run_one(task: dict) -> dict:
    """Run one contestant in this process: warm up, repeat, report; values go to a file."""
    import numpy as np

    values, names = contest(task["kind"])
    few = {**task, "repeats": 1, "subset": 2}
    CONTESTANTS[task["who"]](values, names, few)[0]()  # imports, compilation
    job, fits = CONTESTANTS[task["who"]](values, names, task)
    before = _usage()[1]
    walls, cpus = [], []
    for _ in range(task["runs"]):
        wall, cpu = time.perf_counter(), _usage()[0]
        result = job()
        walls.append(time.perf_counter() - wall)
        cpus.append(_usage()[0] - cpu)
    found = {"fits": fits, "wall": statistics.median(walls) / fits * 1e6,
             "cpu": statistics.median(cpus) / fits * 1e6, "peak": _usage()[1], "before": before}
    if task["who"] == "neurodnn":
        from neurodnn.numerics.decoding import pair_decisions
        from neurodnn.numerics.svm import WAYS

        points = pseudo_trials(values, names).reshape(FOLDS * CONDITIONS, -1)
        result, ways = pair_decisions(points - points.mean(axis=0), FOLDS)
        result = result[chosen_pairs(task["subset"])]
        found["ways"] = dict(zip(WAYS, (ways / ways.sum()).tolist(), strict=True))
    np.save(task["values"], result)
    return found


def launch(folder: Path, **task) -> dict:
    """Run `run_one` in a fresh process with one thread."""
    task["values"] = str(folder / f"{task['who']}.npy")
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                      "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run([sys.executable, __file__, "--task", json.dumps(task)], text=True,
                          capture_output=True, env={**os.environ, **threads}, check=False)
    if done.returncode:
        raise SystemExit(f"{task['who']} failed: {done.stderr.strip().splitlines()[-1:]}")
    return {**task, **json.loads(done.stdout.strip().splitlines()[-1])}


def show(label: str, result: dict, ours: dict | None = None) -> None:
    ratio = "" if ours is None else (f" {result['cpu'] / ours['cpu']:8,.0f}x CPU"
                                     f" {result['wall'] / ours['wall']:8,.0f}x wall")
    print(f"  {label:<28}{result['fits']:>8} fits {result['wall']:9.3f} us wall"
          f" {result['cpu']:9.3f} us CPU a fit {result['peak']:5.0f} MB peak"
          f" (+{result['peak'] - result['before']:3.0f}){ratio}", flush=True)


def compare_contestants(folder: Path, options, kind: str) -> None:
    """Print times, ratios and differences for one kind of data."""
    import numpy as np

    print(f"\n{kind}")
    shared = {"kind": kind, "subset": options.subset, "runs": options.runs}
    ours = launch(folder, who="neurodnn", repeats=options.repeats, **shared)
    show("neurodnn", ours)
    shares = ", ".join(f"{share:.1%} {way}" for way, share in ours["ways"].items() if share)
    print(f"  how its folds were solved: {shares}")
    own = np.load(folder / "neurodnn.npy")
    peers = []
    for kernel in ("linear", "precomputed"):
        peer = launch(folder, who="scikit-learn", kernel=kernel, tolerance=1e-3, **shared)
        show(f"scikit-learn SVC, {kernel}", peer, ours)
        peers.append(peer)
    exact = launch(folder, who="scikit-learn", kernel="linear", tolerance=1e-10,
                   **{**shared, "runs": 1})
    theirs = np.load(folder / "scikit-learn.npy")
    parted = int(((own > 0) != (theirs > 0)).sum())
    print(f"  random subset of {options.subset} pairs for scikit-learn; at its tolerance of 1e-10"
          f" ({exact['cpu']:.0f} us CPU a fit) {parted} of {own.size} predictions differ, largest"
          f" difference of decision values {np.abs(own - theirs).max():.1e}")
    faster = min(peers, key=lambda peer: peer["cpu"])
    ratio = faster["cpu"] / ours["cpu"]
    print(f"  ratio to the faster: {ratio:,.0f}x CPU (target {TARGETS[kind]}x)")


def main() -> int:
    """Run the contests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--subset", type=int, default=300, help="pairs for scikit-learn")
    parser.add_argument("--repeats", type=int, default=20, help="assignments of trials for us")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="60 pairs, 4 repeats, one run")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(run_one(json.loads(options.task))))
        return 0
    if options.quick:
        options.subset, options.repeats, options.runs = 60, 4, 1
    found = ", ".join(f"{name} {version(name)}" for name in
                      ("numpy", "scipy", "numba", "scikit-learn", "neurodnn"))
    print(f"Python {platform.python_version()}, {found}; {os.cpu_count()} cores, load"
          f" {os.getloadavg()[0]:.1f}")
    print(f"{CONDITIONS} conditions x {TRIALS} trials x {SENSORS} sensors, {FOLDS} folds,"
          f" {options.repeats} repeats, one thread, median of {options.runs}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in TARGETS:
            compare_contestants(Path(folder), options, kind)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Searchlight: neurodnn, mne-rsa and rsatoolbox on the same input, in one run, as ratios.

92 conditions, about 70,000 centres of a brain-shaped mask at 3 mm, spheres of 123 and 257
voxels, 8 references, correlation distance and Spearman. Every contestant runs in a process of
its own with the same number of workers, warm (imports and compilation apart), several times; the
median counts. The peers get a random subset of centres, since all would take them up to an hour:
times are given per centre. Also crossnobis against rsatoolbox, and the time per centre from
5,000 to all centres.

    pip install '.[benchmark]'
    python benchmarks/searchlight.py
    python benchmarks/searchlight.py --quick
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
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CONDITIONS, REFERENCES, SEED = 92, 8, 20260101
RUNS = 4  # of the crossnobis contest


def brain_mask():
    """An ellipsoid of the size of a brain at 3 mm: about 70,000 voxels."""
    import numpy as np

    shape, centre, half = (61, 73, 61), (30, 36, 30), (23.8, 29.8, 23.6)
    grid = np.indices(shape) - np.array(centre)[:, None, None, None]
    return sum((axis / size) ** 2 for axis, size in zip(grid, half, strict=True)) <= 1


def contest(radius_mm: float, n_centres: int | None, runs: int = 1) -> dict:
    """Return the input that everybody gets: patterns, members of chosen centres, references."""
    import numpy as np

    from neurodnn.numerics.neighbors import ball_neighbors

    rng = np.random.default_rng(SEED)
    mask = brain_mask()
    n_voxels = int(mask.sum())
    patterns = rng.normal(size=(runs * CONDITIONS, n_voxels))
    references = np.abs(rng.normal(size=(REFERENCES, CONDITIONS * (CONDITIONS - 1) // 2)))
    neighbors = ball_neighbors(mask, np.diag([3.0, 3, 3, 1]), radius_mm)
    full = np.flatnonzero(np.diff(neighbors.indptr))
    if n_centres is not None and n_centres < full.size:
        full = np.sort(rng.choice(full, n_centres, replace=False))
    names = [f"image_{i:02d}" for i in range(CONDITIONS)]
    return {"patterns": patterns, "neighbors": neighbors[full], "references": references,
            "names": names, "runs": runs, "centres": full}


def neurodnn_job(given: dict, metric: str, dtype: str, jobs: int) -> Callable:
    """Return a function that scores all centres of the contest."""
    import numpy as np
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

    from neurodnn.rsa.searchlight import searchlight

    names = given["names"] * given["runs"]
    descriptors = {"stimulus": names}
    if given["runs"] > 1:
        descriptors["run"] = list(np.repeat([str(r) for r in range(given["runs"])], CONDITIONS))
    patterns = Dataset(given["patterns"], obs_descriptors=descriptors)
    labels = [f"layer{i}" for i in range(REFERENCES)]
    references = RDMs(given["references"], rdm_descriptors={"reference": labels},
                      pattern_descriptors={"stimulus": given["names"]})
    return lambda: searchlight(patterns, given["neighbors"], references, metric=metric,
                               dtype=dtype, n_jobs=jobs).values


def mne_rsa_job(given: dict, metric: str, dtype: str, jobs: int) -> Callable:
    """Return the same job for mne-rsa's array function, which takes patches of columns."""
    import mne_rsa

    class Patches(list):
        shape = (given["neighbors"].shape[0],)

    neighbors = given["neighbors"]
    patches = Patches((slice(None), neighbors.indices[a:b])
                      for a, b in zip(neighbors.indptr[:-1], neighbors.indptr[1:], strict=True))
    references = list(given["references"])
    return lambda: mne_rsa.rsa_array(
        given["patterns"], references, patches=patches, data_rdm_metric=metric,
        rsa_metric="spearman", n_jobs=jobs, verbose=False).T


def rsatoolbox_job(given: dict, metric: str, dtype: str, jobs: int) -> Callable:
    """Return the same job for rsatoolbox's searchlight functions (crossnobis: its RDM call)."""
    import numpy as np
    from rsatoolbox.data import Dataset
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs, calc_rdm, compare
    from rsatoolbox.util.searchlight import evaluate_models_searchlight, get_searchlight_RDMs

    neighbors = given["neighbors"]
    members = [neighbors.indices[a:b]
               for a, b in zip(neighbors.indptr[:-1], neighbors.indptr[1:], strict=True)]
    if metric == "crossnobis":
        run = np.repeat(np.arange(given["runs"]), CONDITIONS)
        names = np.tile(given["names"], given["runs"])
        models = RDMs(given["references"])

        def crossnobis():
            rows = []
            for columns in members:
                data = Dataset(given["patterns"][:, columns],
                               obs_descriptors={"c": names, "run": run})
                rdm = calc_rdm(data, "crossnobis", descriptor="c", cv_descriptor="run")
                rows.append(compare(rdm, models, "spearman")[0])
            return np.array(rows)

        return crossnobis
    models = [ModelFixed(f"layer{i}", row) for i, row in enumerate(given["references"])]

    def correlation():
        rdms = get_searchlight_RDMs(given["patterns"], given["centres"], members,
                                    np.arange(CONDITIONS), method=metric, verbose=False)
        results = evaluate_models_searchlight(rdms, models, eval_fixed, method="spearman",
                                              n_jobs=jobs)
        return np.array([result.evaluations.ravel() for result in results])

    return correlation


CONTESTANTS = {"neurodnn": neurodnn_job, "mne-rsa": mne_rsa_job, "rsatoolbox": rsatoolbox_job}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu() -> float:
    own, others = (resource.getrusage(who) for who in
                   (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def run_one(task: dict) -> dict:
    """Run one contestant in this process: warm up, repeat, report; scores go to a file."""
    import numpy as np

    given = contest(task["radius"], task["centres"], task["runs"])
    build = CONTESTANTS[task["who"]]
    few = {**given, "neighbors": given["neighbors"][:4], "centres": given["centres"][:4]}
    build(few, task["metric"], task["dtype"], task["jobs"])()  # imports, compilation
    job = build(given, task["metric"], task["dtype"], task["jobs"])
    before = _megabytes()
    walls, cpus = [], []
    for _ in range(task["repeats"]):
        wall, cpu = time.perf_counter(), _cpu()
        scores = job()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu() - cpu)
    np.save(task["scores"], np.asarray(scores, dtype=np.float64))
    n = given["neighbors"].shape[0]
    return {"centres": n, "wall": statistics.median(walls), "cpu": statistics.median(cpus),
            "us": statistics.median(cpus) / n * 1e6, "peak": _megabytes(), "before": before,
            "data": given["patterns"].nbytes / 2**20}


def run_flatness(task: dict) -> dict:
    """Time subsets of one contest in turns, so that a drifting clock meets them all alike."""
    import numpy as np

    given = contest(task["radius"], None)
    everyone = given["neighbors"].shape[0]
    rng = np.random.default_rng(SEED)
    jobs, times = {}, {}
    for n in (*task["sizes"], everyone):
        chosen = np.sort(rng.choice(everyone, n, replace=False))
        part = {**given, "neighbors": given["neighbors"][chosen]}
        jobs[n], times[n] = neurodnn_job(part, "correlation", task["dtype"], task["jobs"]), []
    jobs[min(jobs)]()  # imports, compilation
    for _ in range(task["repeats"]):
        for n, job in jobs.items():
            # the small ones several times, so that each is timed for seconds
            rounds = max(everyone // n // 2, 1)
            cpu = _cpu()
            for _ in range(rounds):
                job()
            times[n].append((_cpu() - cpu) / rounds / n * 1e6)
    return {str(n): statistics.median(values) for n, values in times.items()}


def launch(folder: Path, **task) -> dict | None:
    """Run `run_one` in a fresh process with one BLAS thread; None if the package is absent."""
    package = {"mne-rsa": "mne-rsa", "rsatoolbox": "rsatoolbox"}.get(task["who"])
    try:
        version(package or "numpy")
    except PackageNotFoundError:
        print(f"{task['who']}: not installed, left out (pip install '.[benchmark]')")
        return None
    task["scores"] = str(folder / f"{task['who']}.npy")
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                      "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run([sys.executable, __file__, "--task", json.dumps(task)], text=True,
                          capture_output=True, env={**os.environ, **threads}, check=False)
    if done.returncode:
        print(f"{task['who']} failed: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return {**task, **json.loads(done.stdout.strip().splitlines()[-1])}


def show(result: dict, ours: dict | None = None, label: str = "") -> None:
    """Print one row: times, per centre, memory, ratio to ours."""
    ratio = "" if ours is None else (
        f"{result['us'] / ours['us']:7.1f}x CPU "
        f"{result['wall'] / result['centres'] / (ours['wall'] / ours['centres']):7.1f}x wall")
    extra = result["peak"] - result["before"]
    print(f"  {label or result['who']:<22}{result['centres']:>7} centres "
          f"{result['wall']:8.2f} s wall {result['cpu']:8.2f} s CPU {result['us']:9.1f} us/centre "
          f"{result['peak']:6.0f} MB peak (+{extra:4.0f} in the run) {ratio}", flush=True)


def compare_contestants(folder: Path, options, radius: float, metric: str, runs: int) -> None:
    """All centres for us in both types, the same subset for everybody, ratios, differences."""
    import numpy as np

    shared = {"radius": radius, "metric": metric, "runs": runs, "jobs": options.jobs}
    size = {9.0: 123, 12.0: 257}[radius]
    print(f"\n{metric}, {radius:g} mm = {size} voxels, {runs} run(s), {options.jobs} worker(s)")
    whole = {}
    for dtype in ("float64", "float32"):
        whole[dtype] = launch(folder, who="neurodnn", centres=options.centres, dtype=dtype,
                              repeats=options.repeats, **shared)
        show(whole[dtype], label=f"neurodnn {dtype}")
    launch(folder, who="neurodnn", centres=options.subset, dtype="float64", repeats=1, **shared)
    own = np.load(folder / "neurodnn.npy")
    peers = ["rsatoolbox"] if metric == "crossnobis" else ["mne-rsa", "rsatoolbox"]
    for who in peers:
        peer = launch(folder, who=who, centres=options.subset, dtype="float64", repeats=1, **shared)
        if peer is None:
            continue
        for dtype in whole:
            show(peer, whole[dtype], label=f"{who} v {dtype}")
        difference = np.abs(np.load(folder / f"{who}.npy").reshape(own.shape) - own).max()
        print(f"  {who}: random subset of {options.subset} centres; largest difference to "
              f"neurodnn float64 {difference:.1e}")


def main() -> int:
    """Run the contests and print the table."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=1, help="workers, the same for everybody")
    parser.add_argument("--subset", type=int, default=200, help="centres for the peers")
    parser.add_argument("--centres", type=int, default=None, help="centres for us; default all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="5,000 centres, one repeat")
    options = parser.parse_args()
    if options.task:
        task = json.loads(options.task)
        print(json.dumps(run_flatness(task) if task.get("flat") else run_one(task)))
        return 0
    if options.quick:
        options.centres, options.repeats, options.subset = 5000, 1, 60
    names = ("numpy", "scipy", "numba", "neurodnn", "mne-rsa", "rsatoolbox")
    found = [f"{name} {version(name)}" for name in names if _installed(name)]
    print(f"Python {platform.python_version()}, {', '.join(found)}; {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}")
    print(f"{CONDITIONS} conditions, {REFERENCES} references, median of {options.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        for radius in (9.0, 12.0):
            compare_contestants(Path(folder), options, radius, "correlation", 1)
        compare_contestants(Path(folder), options, 9.0, "crossnobis", RUNS)
        print("\ntime per centre, correlation, 123 voxels, float32, sizes in turns, median")
        flat = launch(Path(folder), who="neurodnn", flat=True, sizes=[5000, 20000, 40000],
                      dtype="float32", radius=9.0, jobs=options.jobs, repeats=5)
        for n, microseconds in (flat or {}).items():
            if n.isdigit():
                print(f"  {n:>6} centres {microseconds:8.1f} us CPU a centre")
    return 0


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

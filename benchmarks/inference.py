"""Inference on maps: neurodnn, nilearn and MNE on the same input, in one run, as ratios.

Sign flips of 16 subjects x 50,000 voxels (a box of 50 x 40 x 25, six neighbours; smooth noise and
a blob): maximum statistic against nilearn, cluster mass and TFCE against nilearn and MNE. Every
contestant runs in a process of its own with the same number of workers, warm (imports and
compilation apart). neurodnn makes all flips; its time per flip is that of the whole call. The
peers make a subset, since TFCE alone would take them hours: their time per flip is that of the
subset less that of a run of a few flips, which leaves out what they do once. neurodnn's TFCE is
the exact integral; MNE sums over steps of 0.2, nilearn over 100 steps.

Then label permutations: 1,000 permutations of 8 references in the searchlight of searchlight.py
(92 conditions, 70,000 centres, 123 voxels) against the plain searchlight.

    pip install '.[benchmark]' mne
    python benchmarks/inference.py
    python benchmarks/inference.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from searchlight import _cpu, _installed, _megabytes, contest

SUBJECTS, SHAPE, SEED = 16, (50, 40, 25), 20260102
DEFINING_P, STEP = 0.001, 0.2
FEW = 2  # flips of the run that is subtracted
# flips that each peer makes of the 10,000: about a minute each at most
SUBSETS = {("max", "nilearn"): 400, ("mass", "nilearn"): 100, ("mass", "mne"): 200,
           ("tfce", "nilearn"): 12, ("tfce", "mne"): 30}
TARGETS = {"max": 30, "mass": 15, "tfce": 30}
TITLES = {
    "max": "maximum statistic",
    "mass": f"cluster mass, clusters of p < {DEFINING_P:g} two-sided",
    "tfce": f"TFCE, E = 0.5, H = 2 (exact; MNE: steps of {STEP}; nilearn: 100 steps)",
}


def scores(shape: tuple[int, int, int] = SHAPE):
    """Return what everybody gets: subjects x voxels, noise of FWHM 2.8 voxels and a blob."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(SEED).standard_normal((SUBJECTS, *shape))
    noise = gaussian_filter(noise, (0, 1.2, 1.2, 1.2))
    noise /= noise.std()
    distance = np.indices(shape) - (np.array(shape) // 2)[:, None, None, None]
    noise += 1.2 * np.exp(-(distance**2).sum(axis=0) / 18)
    return noise.reshape(SUBJECTS, -1)


def threshold() -> float:
    """Return the cluster-defining t."""
    from scipy.stats import t

    return float(t.isf(DEFINING_P / 2, SUBJECTS - 1))


def neurodnn_job(kind: str, x, shape, jobs: int) -> Callable:
    """Return a function of the number of flips that gives the observed statistic per voxel."""
    import numpy as np

    import neurodnn as nd
    from neurodnn.numerics.adjacency import grid_adjacency

    graph = grid_adjacency(np.ones(shape, bool), 6)
    if kind == "max":
        return lambda flips: nd.sign_flip_test(x, n_permutations=flips, n_jobs=jobs).t.values
    if kind == "mass":
        return lambda flips: nd.cluster_test(x, graph, n_permutations=flips, n_jobs=jobs,
                                             threshold=threshold()).statistic.values
    step = STEP if kind == "tfce stepped" else None
    return lambda flips: np.abs(nd.tfce_test(x, graph, step=step, n_permutations=flips,
                                             n_jobs=jobs).tfce.values)


def nilearn_job(kind: str, x, shape, jobs: int) -> Callable:
    """Return the same for nilearn."""
    import nibabel
    import numpy as np
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    masker = NiftiMasker(nibabel.Nifti1Image(np.ones(shape, "uint8"), np.eye(4))).fit()
    options = {"max": {}, "mass": {"masker": masker, "threshold": DEFINING_P},
               "tfce": {"masker": masker, "tfce": True}}[kind]

    def job(flips: int):
        result = permuted_ols(np.ones((SUBJECTS, 1)), x, model_intercept=False, n_perm=flips,
                              two_sided_test=True, output_type="dict", random_state=0,
                              n_jobs=jobs, **options)
        return np.abs(result[{"max": "t"}.get(kind, kind)][0])

    return job


def mne_job(kind: str, x, shape, jobs: int) -> Callable:
    """Return the same for MNE."""
    import mne
    import numpy as np

    from neurodnn.numerics.adjacency import grid_adjacency

    graph = grid_adjacency(np.ones(shape, bool), 6).astype(int).tocoo()
    cut = threshold() if kind == "mass" else {"start": 0, "step": STEP}

    def job(flips: int):
        t, clusters, _, _ = mne.stats.permutation_cluster_1samp_test(
            x, threshold=cut, n_permutations=flips, tail=0, adjacency=graph, n_jobs=jobs,
            seed=0, out_type="indices", verbose="ERROR")
        if kind == "tfce":
            return np.abs(t)
        mass = np.zeros(t.size)
        for (cluster,) in clusters:
            mass[cluster] = abs(t[cluster].sum())
        return mass

    return job


CONTESTANTS = {"neurodnn": neurodnn_job, "nilearn": nilearn_job, "mne": mne_job}


def _timed(job: Callable, *arguments) -> tuple:
    wall, cpu = time.perf_counter(), _cpu()
    result = job(*arguments)
    return result, time.perf_counter() - wall, _cpu() - cpu


def run_one(task: dict) -> dict:
    """Run one contestant in this process: warm up on a small box, run, report."""
    import numpy as np

    build, kind, shape = CONTESTANTS[task["who"]], task["kind"], tuple(task["shape"])
    small = (6, 5, 4)
    build(kind, scores(small), small, task["jobs"])(100)  # imports, compilation
    x = scores(shape)
    job = build(kind, x, shape, task["jobs"])
    before, once = _megabytes(), (0.0, 0.0)
    flips = task["flips"]
    if task["who"] != "neurodnn":
        _, *once = _timed(job, FEW)
        flips -= FEW
    statistic, wall, cpu = _timed(job, task["flips"])
    np.save(task["statistic"], statistic)
    return {"total": wall, "wall": (wall - once[0]) / flips * 1e3,
            "cpu": (cpu - once[1]) / flips * 1e3, "peak": _megabytes(), "before": before,
            "data": x.nbytes / 2**20}


def run_labels(task: dict) -> dict:
    """Time the plain searchlight and the label test of the same input."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

    import neurodnn as nd
    from neurodnn.rsa.searchlight_label_test import searchlight_label_test
    from neurodnn.rsa.spheres import SearchlightOptions

    given = contest(9.0, task["centres"])
    patterns = Dataset(given["patterns"], obs_descriptors={"stimulus": given["names"]})
    labels = [f"layer{i}" for i in range(len(given["references"]))]
    references = RDMs(given["references"], rdm_descriptors={"reference": labels},
                      pattern_descriptors={"stimulus": given["names"]})
    options = SearchlightOptions(dtype=task["dtype"], n_jobs=task["jobs"])

    def plain(neighbors):
        return nd.searchlight(patterns, neighbors, references, dtype=task["dtype"],
                              n_jobs=task["jobs"])

    def permuted(neighbors, n):
        return searchlight_label_test(patterns, neighbors, references, n_permutations=n,
                                      options=options)

    few = given["neighbors"][:4]
    plain(few)  # imports, compilation
    permuted(few, 20)
    before = _megabytes()
    _, wall, cpu = _timed(plain, given["neighbors"])
    test, longer, more = _timed(permuted, given["neighbors"], task["permutations"])
    return {"centres": given["neighbors"].shape[0], "plain_wall": wall, "plain_cpu": cpu,
            "wall": longer, "cpu": more, "before": before, "peak": _megabytes(),
            "smallest": float(test.p_fwe.min())}


def launch(**task) -> dict | None:
    """Run a task in a fresh process with one BLAS thread; None if the package is absent."""
    if not _installed(task.get("who", "neurodnn")):
        print(f"  {task['who']}: not installed, left out")
        return None
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "1"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, __file__, "--task", json.dumps(task)], text=True,
                          capture_output=True, env=environment, check=False)
    if done.returncode:
        print(f"  {task.get('who', 'label test')} failed: {done.stderr.strip()[-300:]}")
        return None
    return {**task, **json.loads(done.stdout.strip().splitlines()[-1])}


def show(result: dict, ours: dict | None = None) -> None:
    """Print one row: per flip, memory, ratio to ours."""
    ratio = "" if ours is None else (
        f" {result['cpu'] / ours['cpu']:7.1f}x CPU {result['wall'] / ours['wall']:7.1f}x wall")
    extra = result["peak"] - result["before"]
    print(f"  {result['who']:<9}{result['flips']:>6} flips {result['total']:8.2f} s wall in all "
          f"{result['wall']:9.3f} ms wall {result['cpu']:9.3f} ms CPU a flip "
          f"{result['peak']:6.0f} MB peak (+{extra:4.0f} in the run){ratio}", flush=True)


def compare_contestants(folder: Path, options: argparse.Namespace, kind: str) -> None:
    """All flips for us, a subset for the peers, ratios, differences of the observed map."""
    import numpy as np

    print(f"\n{TITLES[kind]}")
    shared = {"shape": options.shape, "jobs": options.jobs}
    ours = launch(who="neurodnn", kind=kind, flips=options.flips,
                  statistic=str(folder / "ours.npy"), **shared)
    if ours is None:
        return
    show(ours)
    own, ratios = {"nilearn": np.abs(np.load(folder / "ours.npy"))}, []
    if kind == "tfce":  # what MNE's sum over steps is compared with
        launch(who="neurodnn", kind="tfce stepped", flips=20, statistic=str(folder / "ours.npy"),
               **shared)
    own["mne"] = np.abs(np.load(folder / "ours.npy"))
    for who in [name for name in ("nilearn", "mne") if (kind, name) in SUBSETS]:
        flips = max(FEW + 4, int(SUBSETS[kind, who] * options.share))
        path = folder / f"{who}.npy"
        peer = launch(who=who, kind=kind, flips=flips, statistic=str(path), **shared)
        if peer is None:
            continue
        show(peer, ours)
        ratios.append(peer["wall"] / ours["wall"])
        theirs = np.load(path).ravel()
        if (kind, who) == ("mass", "nilearn"):  # which sums what exceeds the threshold
            _, number, sizes = np.unique(own[who], return_inverse=True, return_counts=True)
            theirs = np.where(own[who] > 0, theirs + threshold() * sizes[number.ravel()], theirs)
        if (kind, who) == ("tfce", "nilearn"):  # another step and no factor of the step
            told = f"correlation with ours {np.corrcoef(theirs, own[who])[0, 1]:.6f}"
        else:
            told = f"largest difference to ours {np.abs(theirs - own[who]).max():.1e}"
        print(f"  {who}: {flips} of the {options.flips} flips; observed map up to "
              f"{theirs.max():.1f}, {told}")
    if ratios:
        print(f"  neurodnn is {min(ratios):.1f} x the faster peer (target {TARGETS[kind]} x)")


def compare_labels(options: argparse.Namespace) -> None:
    """Label permutations against the plain searchlight."""
    for dtype in ("float64", "float32"):
        found = launch(kind="labels", centres=options.centres, dtype=dtype, jobs=options.jobs,
                       permutations=options.permutations)
        if found is None:
            return
        print(f"\nlabel permutations, {found['permutations']} x 8 references, {dtype}, "
              f"{found['centres']} centres of 123 voxels, 92 conditions")
        print(f"  plain searchlight {found['plain_wall']:8.2f} s wall {found['plain_cpu']:8.2f} s "
              f"CPU\n  label test        {found['wall']:8.2f} s wall {found['cpu']:8.2f} s CPU "
              f"{found['peak']:6.0f} MB peak (+{found['peak'] - found['before']:4.0f} in the run)\n"
              f"  {found['wall'] / found['plain_wall']:.1f} x the plain searchlight, wall "
              f"({found['cpu'] / found['plain_cpu']:.1f} x CPU; target: below 40 x and 300 s); "
              f"smallest corrected p {found['smallest']:.3f}", flush=True)


def main() -> int:
    """Run the contests and print the tables."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=1, help="workers, the same for everybody")
    parser.add_argument("--quick", action="store_true", help="a small box, few flips, few centres")
    parser.add_argument("--only", choices=["flips", "labels"], help="one half of the contests")
    options = parser.parse_args()
    if options.task:
        task = json.loads(options.task)
        print(json.dumps(run_labels(task) if task["kind"] == "labels" else run_one(task)))
        return 0
    options.shape, options.flips, options.share = SHAPE, 10_000, 1.0
    options.centres, options.permutations = None, 1000
    if options.quick:
        options.shape, options.flips, options.share = (20, 20, 20), 1000, 0.25
        options.centres, options.permutations = 2000, 200
    names = ("numpy", "scipy", "numba", "neurodnn", "nilearn", "mne")
    found = [f"{name} {_version(name)}" for name in names]
    print(f"Python {platform.python_version()}, {', '.join(found)}; {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}, {options.jobs} worker(s)")
    n_voxels = options.shape[0] * options.shape[1] * options.shape[2]
    if options.only != "labels":
        print(f"{SUBJECTS} subjects x {n_voxels} voxels, {options.flips} flips")
        with tempfile.TemporaryDirectory() as folder:
            for kind in TITLES:
                compare_contestants(Path(folder), options, kind)
    if options.only != "flips":
        compare_labels(options)
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    sys.exit(main())

"""Source searchlight of MEG: neurodnn and mne-rsa on the same patches, in one run, as ratios.

20,484 sources (all of fsaverage5) x 100 windows x 92 conditions, discs of 20 mm along the cortex,
1 - Pearson RDMs, Spearman with 8 references. Each contestant runs in a process of its own with
one thread, warm (imports and compilation apart). Both get a random subset of sources at all or
some windows, as printed, since the whole takes hours with mne-rsa; times are CPU time per patch.
neurodnn makes the patterns from sensors window by window (inverse kernel of 20,484 x 306) and its
time includes that for all 20,484 sources; mne-rsa gets patterns that are there, and patches as
tuples, the same members. Peak memory of neurodnn is that of the process with arrays for all
sources and windows.

    python benchmarks/source.py
    python benchmarks/source.py --quick
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version

SEED, CONDITIONS, SENSORS, WINDOWS, REFERENCES = 20260101, 92, 306, 100, 8
NAMES = [f"image_{i:02d}" for i in range(CONDITIONS)]
TARGET, MEMORY = 25, 1500


def contest(every: int):
    """Return windows, neighbours of every n-th source, and references."""
    import numpy as np
    from rsatoolbox.rdm import RDMs
    from scipy.sparse import csr_array

    from neurodnn import source_neighbors
    from neurodnn.brain.meg_window_plan import window_plan
    from neurodnn.brain.source_inverse import Kernel
    from neurodnn.brain.source_patterns import SourceWindows
    from neurodnn.simulate.meg_cortex import source_space

    src = source_space(5)
    for side in src:
        side.update(inuse=np.ones(side["np"], np.int32), vertno=np.arange(side["np"]),
                    nuse=side["np"], nuse_tri=0, use_tris=None)  # fmt: skip
    whole = source_neighbors(src, 20.0)
    n = whole.shape[0]
    keep = np.arange(n) % every == 0
    sizes = np.diff(whole.indptr)
    members = whole.indices[np.repeat(keep, sizes)]
    indptr = np.concatenate([[0], np.cumsum(np.where(keep, sizes, 0))])
    some = csr_array((np.ones(members.size, bool), members, indptr), shape=whole.shape)
    rng = np.random.default_rng(SEED)
    kernel = Kernel(rng.normal(size=(n, 1, SENSORS)), list(map(str, range(SENSORS))),
                    np.tile(np.arange(n // 2), 2),
                    ["left"] * (n // 2) + ["right"] * (n // 2))  # fmt: skip
    values = rng.normal(size=(CONDITIONS, SENSORS, 1000))
    plan = window_plan(np.arange(1000) / 1000 - 0.1, 1000.0, width=0.008, step=0.008, tmin=-0.05,
                       tmax=-0.05 + 0.008 * (WINDOWS - 1))  # fmt: skip
    windows = SourceWindows(values, list(range(SENSORS)), plan, {"stimulus": NAMES}, kernel)
    rows = rng.random((REFERENCES, CONDITIONS * (CONDITIONS - 1) // 2))
    models = RDMs(rows, rdm_descriptors={"reference": [f"layer{i}" for i in range(REFERENCES)]},
                  pattern_descriptors={"stimulus": NAMES})  # fmt: skip
    return windows, some, models, int(keep.sum()), float(sizes.mean())


def run_neurodnn(task: dict) -> dict:
    from neurodnn import meg_source_searchlight

    windows, neighbors, models, n, members = contest(task["every"])
    few = {time: windows[time] for time in list(windows)[:1]}
    meg_source_searchlight(few, neighbors, models, dtype=task["dtype"])
    start = time.process_time()
    scores = meg_source_searchlight(windows, neighbors, models, dtype=task["dtype"])
    spent = time.process_time() - start
    sample = scores.values[:: task["every"]][: task["check"], 50].tolist()
    return {"ms": 1000 * spent / n / WINDOWS, "members": members, "patches": n * WINDOWS,
            "sample": sample}  # fmt: skip


def run_mne_rsa(task: dict) -> dict:
    import mne
    import mne_rsa
    import numpy as np

    mne.set_log_level("error")
    windows, neighbors, models, _, members = contest(task["every"])
    values = windows[list(windows)[50]].measurements[:, :, np.newaxis]
    rows = np.flatnonzero(np.diff(neighbors.indptr))[: task["check"]]
    lists = [neighbors.indices[neighbors.indptr[r] : neighbors.indptr[r + 1]] for r in rows]
    patches = mne_rsa.searchlight(values.shape, spatial_radius=lists, temporal_radius=None)
    references = list(models.dissimilarities)
    start = time.process_time()
    found = mne_rsa.rsa_array(values, references, patches=patches, n_jobs=1)
    spent = time.process_time() - start
    return {"ms": 1000 * spent / len(rows), "members": members, "patches": len(rows),
            "sample": np.asarray(found).reshape(REFERENCES, -1).T.tolist()}  # fmt: skip


def worker(task: dict) -> None:
    found = {"neurodnn": run_neurodnn, "mne-rsa": run_mne_rsa}[task["name"]](task)
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def ask(**task) -> dict:
    env = os.environ | {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    done = subprocess.run([sys.executable, __file__, "--worker", json.dumps(task)], env=env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the sources")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(json.loads(given.worker))
        return
    every, check = (100, 50) if given.quick else (20, 300)
    shown = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "mne", "mne-rsa"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {shown}")
    peer = ask(name="mne-rsa", every=every, check=check)
    print(f"mne-rsa: {peer['ms']:.2f} ms a patch of {peer['members']:.0f} sources "
          f"({peer['patches']} patches), peak {peer['peak']:.0f} MB")  # fmt: skip
    for dtype in ("float64", "float32"):
        own = ask(name="neurodnn", dtype=dtype, every=every, check=check)
        gap = np.abs(np.array(own["sample"]) - np.array(peer["sample"])).max()
        print(f"neurodnn {dtype}: {own['ms']:.3f} ms a patch ({own['patches']} patches), "
              f"{peer['ms'] / own['ms']:.1f} x mne-rsa (target {TARGET}), peak {own['peak']:.0f} MB "
              f"(limit {MEMORY}), largest difference {gap:.1e}")  # fmt: skip


if __name__ == "__main__":
    main()

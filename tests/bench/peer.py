"""The peers' side of the bench: scikit-learn and pandas as a coprocess that answers one line
on stdout per line on stdin, as fit.c does, so that run.sh can give both sides their turns.

  usage: peer.py DIR      (with the arrays that fit.c wrote; OPENBLAS_NUM_THREADS set)

  fit NAME SIZES BATCH EPOCHS   -> samples per second
  csv PATH                      -> seconds that pandas.read_csv takes
  start                         -> milliseconds that a fresh interpreter takes to be able to
                                   predict (import sklearn.neural_network), and its MiB then
  blas                          -> versions, and the BLAS that numpy runs on
"""
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas
import sklearn
import threadpoolctl
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

FIT_SECONDS = 0.4  # a turn repeats its fit until this much time is over, as in fit.c

IMPORT = """
import sklearn.neural_network
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")][0])
"""


def load(name, cache={}):
    if name not in cache:
        t = np.fromfile(f"{sys.argv[1]}/{name}.t", np.float32)
        x = np.fromfile(f"{sys.argv[1]}/{name}.x", np.float32).reshape(len(t), -1)
        cache[name] = (x, t.astype(np.int64) if name == "digits" else t)
    return cache[name]


def fit(name, sizes, batch, epochs):
    x, t = load(name)
    kind = MLPClassifier if name == "digits" else MLPRegressor
    n_fits = 0
    start = time.perf_counter()
    while time.perf_counter() - start < FIT_SECONDS:
        kind(
            hidden_layer_sizes=tuple(int(size) for size in sizes.split(",")),
            batch_size=int(batch),
            max_iter=int(epochs),
            tol=0,
            n_iter_no_change=int(epochs),
            random_state=1,
        ).fit(x, t)
        n_fits += 1
    spent = time.perf_counter() - start
    return f"{n_fits * int(epochs) * len(t) / spent:.0f}"


def csv(path):
    start = time.perf_counter()
    table = pandas.read_csv(path)
    spent = time.perf_counter() - start
    assert len(table) > 0
    return f"{spent:.4f}"


def start():
    begin = time.perf_counter()
    rss = subprocess.run(
        [sys.executable, "-c", IMPORT], stdout=subprocess.PIPE, check=True
    ).stdout
    return f"{(time.perf_counter() - begin) * 1000:.0f} {int(rss) / 1024:.1f}"


def blas():
    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    names = [f"{p['internal_api']} {p['version']} {p['architecture']}" for p in pools]
    return (
        f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"pandas {pandas.__version__}, " + (", ".join(names) or "a BLAS without a name")
    )


warnings.simplefilter("ignore", ConvergenceWarning)
VERBS = {"fit": fit, "csv": csv, "start": start, "blas": blas}
for line in sys.stdin:
    verb, *arguments = line.split()
    print(VERBS[verb](*arguments), flush=True)

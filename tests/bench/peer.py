"""The peers' side of the benches: scikit-learn, torch and pandas as a coprocess that answers
one line on stdout per line on stdin, as fit.c does, so that both sides get their turns.

  usage: peer.py DIR    (with the arrays that fit.c wrote; OPENBLAS_NUM_THREADS and
                         OMP_NUM_THREADS say how many threads a fit may use)

  sklearn NAME SIZES BATCH EPOCHS   -> samples per second
  torch NAME SIZES BATCH EPOCHS     -> samples per second
  csv PATH                          -> seconds that pandas.read_csv takes
  start                             -> milliseconds that a fresh interpreter takes to be able
                                       to predict (import sklearn.neural_network), and its
                                       MiB then
  versions                          -> of what is installed, and the BLAS that numpy runs on
"""
import importlib
import os
import subprocess
import sys
import time
import warnings

import numpy as np

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


def samples_per_second(fit, n_samples):
    n_fits = 0
    start = time.perf_counter()
    while time.perf_counter() - start < FIT_SECONDS:
        fit()
        n_fits += 1
    return f"{n_fits * n_samples / (time.perf_counter() - start):.0f}"


def fit_sklearn(name, sizes, batch, epochs):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore", ConvergenceWarning)
    x, t = load(name)
    kind = MLPClassifier if name == "digits" else MLPRegressor

    def fit():
        kind(
            hidden_layer_sizes=tuple(int(size) for size in sizes.split(",")),
            batch_size=int(batch),
            max_iter=int(epochs),
            tol=0,
            n_iter_no_change=int(epochs),
            random_state=1,
        ).fit(x, t)

    return samples_per_second(fit, int(epochs) * len(t))


def fit_torch(name, sizes, batch, epochs):
    """The shortest loop over a whole table in memory: no data loader, no penalty, a fused
    loss, gradients that are replaced and not added to zeroes."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    x, t = (torch.from_numpy(array) for array in load(name))
    n_rows, n_inputs = x.shape
    is_classes = name == "digits"
    widths = [n_inputs, *(int(size) for size in sizes.split(","))]
    loss = torch.nn.CrossEntropyLoss() if is_classes else torch.nn.MSELoss()
    t = t if is_classes else t[:, None]

    def fit():
        layers = []
        for fan_in, fan_out in zip(widths, widths[1:]):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
        net = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 10 if is_classes else 1))
        adam = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(int(epochs)):
            order = torch.randperm(n_rows)
            for rows in order.split(int(batch)):
                adam.zero_grad(set_to_none=True)
                loss(net(x.index_select(0, rows)), t.index_select(0, rows)).backward()
                adam.step()

    return samples_per_second(fit, int(epochs) * n_rows)


def csv(path):
    import pandas

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


def versions():
    found = []
    for name in ("sklearn", "torch", "pandas", "numpy"):
        try:
            found.append(f"{name} {importlib.import_module(name).__version__}")
        except ImportError:
            found.append(f"no {name}")
    import threadpoolctl

    pools = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    found += [f"{p['internal_api']} {p['version']} {p['architecture']}" for p in pools]
    return ", ".join(found)


VERBS = {
    "sklearn": fit_sklearn,
    "torch": fit_torch,
    "csv": csv,
    "start": start,
    "versions": versions,
}
for line in sys.stdin:
    verb, *arguments = line.split()
    print(VERBS[verb](*arguments), flush=True)

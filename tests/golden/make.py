#!/usr/bin/python3
"""Makes the golden vectors of this folder: what scikit-learn and torch do from given
weights, on given rows in a given order. README.md tells the format.

    tests/golden/make.py    writes tables.txt, scikit-learn.txt and torch.txt beside it
"""
import csv
import math
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network import _multilayer_perceptron as sk

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")

# --- numbers: what we read as float32 the peers get as the same number in float64 -------


def exact(array, digits=3):
    rounded = np.round(np.asarray(array, np.float64), digits)
    return np.float32(rounded).astype(np.float64)


def text(value):
    """Shortest decimal that reads back as the same float64."""
    short = repr(float(value))
    return short[:-2] if short.endswith(".0") else short


def short(value, digits=3):
    return text(round(float(value), digits))


def rough(value, digits):
    """So many significant digits."""
    return text(float(f"{float(value):.{digits}g}"))


# --- tables -----------------------------------------------------------------------------


def read(name, first, n):
    with open(os.path.join(DATA, name + ".csv"), newline="") as file:
        rows = list(csv.DictReader(file))[first : first + n]
    # Without shuffling a batch would else have rows of one class only.
    step = next(s for s in range(37, 1000) if math.gcd(s, len(rows)) == 1)
    return [rows[i * step % len(rows)] for i in range(len(rows))]


def columns(rows, names):
    return np.array([[float(row[name]) for name in names] for row in rows])


def standard(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def tables():
    sepals, petals = ["sepal_length", "sepal_width"], ["petal_length", "petal_width"]
    species = ["setosa", "versicolor", "virginica"]
    iris, pair = read("iris", 0, 150), read("iris", 50, 100)
    diabetes, some = read("diabetes", 0, 300), read("diabetes", 0, 200)
    digits = read("digits", 0, 150)
    factors = [name for name in diabetes[0] if name != "progression"]
    pixels = columns(digits, [name for name in digits[0] if name != "digit"])
    blocks = pixels.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)

    def of(rows):
        return np.array([[species.index(row["species"])] for row in rows])

    tall = columns(iris, ["sepal_length"]) > 5.8
    return {
        "iris": (standard(columns(iris, sepals + petals)), of(iris)),
        "iris_pair": (standard(columns(pair, sepals + petals)), of(pair) - 1),
        "iris_petals": (standard(columns(iris, sepals)), standard(columns(iris, petals))),
        "iris_labels": (
            standard(columns(iris, ["sepal_width"] + petals)),
            np.hstack([of(iris) == 1, of(iris) == 2, tall]),
        ),
        "diabetes": (
            standard(columns(diabetes, factors)),
            standard(columns(diabetes, ["progression"])),
        ),
        "diabetes_counts": (
            standard(columns(some, factors)),
            np.floor(columns(some, ["progression"]) / 25),
        ),
        "digits": (blocks / 16, columns(digits, ["digit"])),
    }


def write_tables(all_tables):
    with open(os.path.join(HERE, "tables.txt"), "w") as out:
        for name, (x, t) in all_tables.items():
            print("table", name, len(x), x.shape[1], t.shape[1], file=out)
            for row in np.hstack([x, t]):
                print(*map(short, row), file=out)


# --- cases ------------------------------------------------------------------------------

DEFAULTS = {
    "hidden": [7, 5],
    "activation": "tanh",
    "output": "identity",
    "normalization": "none",
    "solver": "sgd",
    "learning_rate": 0.05,
    "batch_size": 32,
    "max_iter": 10,
    "tol": 0.0,
    "n_iter_no_change": 1000,
    "init_scale": 1.0,
    "digits": 3,
}
CLASSES = {"table": "iris", "output": "softmax", "loss": "cross_entropy"}
DIGITS = dict(CLASSES, table="digits", hidden=[10])
PAIR = {"table": "iris_pair", "output": "logistic", "loss": "binary_cross_entropy"}
LABELS = dict(PAIR, table="iris_labels")
NUMBER = {"table": "diabetes", "loss": "squared_error", "batch_size": 50}
NUMBERS = {"table": "iris_petals", "loss": "squared_error"}
COUNTS = {"table": "diabetes_counts", "loss": "poisson"}

ADAM = {"solver": "adam", "learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999,
        "epsilon": 1e-8}
# torch adds epsilon to the corrected second moment, we (and scikit-learn) to the bare
# one: with a small one both are the same.
ADAM_TORCH = dict(ADAM, epsilon=1e-12)
ADAMW = dict(ADAM_TORCH, solver="adamw", weight_decay=0.1)
RMSPROP = {"solver": "rmsprop", "learning_rate": 0.005, "rho": 0.99, "epsilon": 1e-8}
MOMENTUM = {"momentum": 0.9, "nesterov": 0}
NESTEROV = {"momentum": 0.9, "nesterov": 1}
LBFGS = {"solver": "lbfgs", "max_iter": 5000, "alpha": 1.0, "batch_size": 0,
         "tol": 1e-9, "n_iter_no_change": 1000}
BATCH_NORM = {"normalization": "batch_norm"}
LAYER_NORM = {"normalization": "layer_norm"}
NTK = {"ntk_parametrization": 1}
SCALES = {"feature_scale": 1}
# Holzmüller, Grinsztajn and Steinwart 2024
RECIPE = {**ADAMW, **NTK, **SCALES, "learning_rate": 0.04, "beta_2": 0.95,
          "weight_decay": 0.02, "schedule": "coslog4", "rate_biases": 0.1,
          "rate_scales": 6.0, "regularization_schedule": "flat_cosine"}

SKLEARN = {
    "sgd_classes": (CLASSES, {"alpha": 0.01}),
    "sgd_relu_classes": (CLASSES, {"activation": "relu", "alpha": 0.01}),
    "sgd_logistic_classes": (CLASSES, {"activation": "logistic", "learning_rate": 0.5}),
    "sgd_identity_classes": (CLASSES, {"activation": "identity"}),
    "sgd_pair": (PAIR, {"alpha": 0.1}),
    "sgd_number": (NUMBER, {"alpha": 0.01}),
    "sgd_numbers": (NUMBERS, {"alpha": 0.5}),
    "sgd_labels": (LABELS, {"alpha": 0.01}),
    "momentum_classes": (CLASSES, MOMENTUM, {"alpha": 0.01}),
    "momentum_number": (NUMBER, MOMENTUM, {"learning_rate": 0.01}),
    "nesterov_classes": (CLASSES, NESTEROV, {"alpha": 0.01}),
    "nesterov_pair": (PAIR, NESTEROV, {"activation": "relu"}),
    "nesterov_digits": (DIGITS, NESTEROV, {"activation": "relu", "alpha": 0.01}),
    "invscaling_classes": (CLASSES, {"schedule": "invscaling", "power_t": 0.25,
                                     "learning_rate": 0.5}),
    "invscaling_number": (NUMBER, MOMENTUM, {"schedule": "invscaling", "power_t": 0.5}),
    "adaptive_classes": (CLASSES, {"schedule": "adaptive", "tol": 0.02, "max_iter": 20,
                                   "n_iter_no_change": 2, "learning_rate": 0.1}),
    "adaptive_number_to_its_end": (NUMBER, NESTEROV,
                                   {"schedule": "adaptive", "tol": 0.006, "max_iter": 60,
                                    "n_iter_no_change": 1, "learning_rate": 0.01}),
    "constant_to_its_end": (CLASSES, {"tol": 0.02, "max_iter": 60, "n_iter_no_change": 3,
                                      "learning_rate": 0.1}),
    "adam_classes": (CLASSES, ADAM, {"alpha": 0.01}),
    "adam_digits": (DIGITS, ADAM, {"activation": "relu", "alpha": 0.1}),
    "adam_pair": (PAIR, ADAM, {"activation": "logistic", "learning_rate": 0.05,
                              "alpha": 0.01}),
    "adam_number": (NUMBER, ADAM, {"activation": "relu", "alpha": 0.5}),
    "adam_numbers": (NUMBERS, ADAM, {"alpha": 0.1}),
    "adam_labels": (LABELS, ADAM, {"alpha": 0.1, "activation": "relu"}),
    "adam_perceptron": (CLASSES, ADAM, {"hidden": [], "beta_1": 0.8, "beta_2": 0.95,
                                        "epsilon": 1e-3}),
    "lbfgs_perceptron_classes": (CLASSES, LBFGS, {"hidden": []}),
    "lbfgs_perceptron_pair": (PAIR, LBFGS, {"hidden": []}),
    "lbfgs_perceptron_number": (NUMBER, LBFGS, {"hidden": [], "alpha": 20.0}),
    "lbfgs_perceptron_numbers": (NUMBERS, LBFGS, {"hidden": [], "alpha": 20.0}),
    "lbfgs_classes": (CLASSES, LBFGS, {"hidden": [2]}),
    "lbfgs_logistic_classes": (CLASSES, LBFGS, {"hidden": [6], "alpha": 10.0,
                                                "activation": "logistic"}),
    "lbfgs_pair": (PAIR, LBFGS, {"hidden": [6]}),
    "lbfgs_number": (NUMBER, LBFGS, {"hidden": [6], "alpha": 20.0}),
    "lbfgs_numbers": (NUMBERS, LBFGS, {"hidden": [3]}),
}

ACTIVATIONS = ["leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus"]
TORCH = {
    "gd_number": (NUMBER, {"solver": "gd", "learning_rate": 0.1}),
    "sgd_classes": (CLASSES, {"activation": "relu"}),
    "momentum_number": (NUMBER, MOMENTUM, {"learning_rate": 0.01}),
    "nesterov_digits": (DIGITS, NESTEROV, {"activation": "relu"}),
    "adam_classes": (CLASSES, ADAM_TORCH),
    "adam_number": (NUMBER, ADAM_TORCH, {"activation": "relu"}),
    "adamw_classes": (CLASSES, ADAMW),
    "adamw_number": (NUMBER, ADAMW, {"weight_decay": 1.0}),
    "rmsprop_classes": (CLASSES, RMSPROP),
    "rmsprop_number": (NUMBER, RMSPROP, {"rho": 0.9, "epsilon": 1e-3}),
    **{f"sgd_{a}_classes": (CLASSES, {"activation": a}) for a in ACTIVATIONS},
    **{f"adam_{a}_number": (NUMBER, ADAM_TORCH, {"activation": a}) for a in ACTIVATIONS},
    "smoothed_classes": (CLASSES, MOMENTUM, {"label_smoothing": 0.1}),
    "smoothed_pair": (PAIR, MOMENTUM, {"label_smoothing": 0.2}),
    "smoothed_digits": (DIGITS, ADAM_TORCH, {"activation": "gelu",
                                             "label_smoothing": 0.1}),
    "sgd_labels": (LABELS, {"activation": "silu"}),
    "adam_labels": (LABELS, ADAM_TORCH, {"label_smoothing": 0.1}),
    "huber_number": (NUMBER, MOMENTUM, {"loss": "huber", "delta": 0.5,
                                        "learning_rate": 0.02}),
    "huber_numbers": (NUMBERS, ADAM_TORCH, {"loss": "huber", "delta": 0.8}),
    "absolute_numbers": (NUMBERS, {"loss": "absolute_error", "learning_rate": 0.02}),
    "quantile_number": (NUMBER, ADAM_TORCH, {"loss": "quantile", "q": 0.9}),
    "asymmetric_numbers": (NUMBERS, MOMENTUM, {"loss": "asymmetric_squared", "over": 3.0,
                                               "under": 0.5, "learning_rate": 0.005}),
    "poisson": (COUNTS, {"learning_rate": 0.01}),
    "adam_poisson": (COUNTS, ADAM_TORCH, {"activation": "mish"}),
    "number_through_softplus": (COUNTS, ADAM_TORCH, {"loss": "squared_error",
                                                     "output": "softplus"}),
    "l1_classes": (CLASSES, {"l1": 0.5, "alpha": 0.5}),
    "clipped_numbers": (NUMBERS, MOMENTUM, {"gradient_clip": 0.3}),
    "cosine_number": (NUMBER, ADAM_TORCH, {"schedule": "cosine"}),
    # torch's momentum is that of gradients, ours (and scikit-learn's) that of steps: with
    # a rate that changes they differ.
    "warmed_up_classes": (CLASSES, {"warmup": 2.5}),
    # Little weights make little variances, beside which epsilon counts.
    "batch_norm_sgd_classes": (CLASSES, BATCH_NORM, {"activation": "relu"}),
    "batch_norm_small_classes": (CLASSES, BATCH_NORM, {"init_scale": 0.05, "digits": 4}),
    "batch_norm_adam_digits": (DIGITS, BATCH_NORM, ADAM_TORCH, {"activation": "silu"}),
    "batch_norm_adamw_number": (NUMBER, BATCH_NORM, ADAMW, {"activation": "gelu"}),
    "batch_norm_momentum_numbers": (NUMBERS, BATCH_NORM, MOMENTUM,
                                    {"learning_rate": 0.01}),
    "layer_norm_sgd_classes": (CLASSES, LAYER_NORM, {"activation": "relu"}),
    "layer_norm_small_classes": (CLASSES, LAYER_NORM, {"init_scale": 0.05, "digits": 4}),
    "layer_norm_adam_digits": (DIGITS, LAYER_NORM, ADAM_TORCH, {"activation": "silu"}),
    "layer_norm_adamw_number": (NUMBER, LAYER_NORM, ADAMW, {"activation": "gelu"}),
    "layer_norm_rmsprop_labels": (LABELS, LAYER_NORM, RMSPROP),
    "weighted_classes": (CLASSES, MOMENTUM, {"weighted": 1, "alpha": 0.5}),
    "weighted_numbers": (NUMBERS, ADAM_TORCH, {"weighted": 1, "l1": 0.1}),
    "max_norm_classes": (CLASSES, {"max_norm": 0.8}),
    "ntk_sgd_classes": (CLASSES, NTK, {"learning_rate": 0.2, "alpha": 0.1}),
    "ntk_adam_number": (NUMBER, NTK, ADAM_TORCH, {"activation": "selu"}),
    "feature_scale_sgd_classes": (CLASSES, SCALES, {"alpha": 0.1}),
    "feature_scale_adam_number": (NUMBER, SCALES, ADAM_TORCH, {"rate_scales": 6.0}),
    "recipe_classes": (CLASSES, RECIPE, {"activation": "selu", "label_smoothing": 0.1}),
    "recipe_number": (NUMBER, RECIPE, {"activation": "mish"}),
    "recipe_batch_norm_numbers": (NUMBERS, RECIPE, BATCH_NORM,
                                  {"rate_gains": 0.5, "learning_rate": 0.01}),
}


def make_case(name, parts, seed, all_tables):
    case = dict(DEFAULTS)
    for part in parts:
        case.update(part)
    case["name"] = name
    x, t = all_tables[case["table"]]
    n_outputs = len(np.unique(t)) if case["output"] == "softmax" else t.shape[1]
    case["layers"] = [x.shape[1], *case["hidden"], n_outputs]
    if "weighted" in case:
        case["row_weights"] = np.array([i * i % 7 / 2 for i in range(len(x))])
    case["initial"] = initial_weights(case, seed)
    return case


def initial_weights(case, seed):
    """Scales of inputs, if any; then of each layer W, b and, if it is normalised, g."""
    random = np.random.RandomState(seed)
    initial = [[]]
    if "feature_scale" in case:
        initial[0] = [exact(random.uniform(0.5, 1.5, case["layers"][0]))]
    for fan_in, fan_out in zip(case["layers"], case["layers"][1:]):
        scale = math.sqrt(6 / (fan_in + fan_out)) * case["init_scale"]
        if "ntk_parametrization" in case:
            scale *= math.sqrt(fan_in)
        part = [random.uniform(-scale, scale, (fan_in, fan_out))]
        part.append(random.uniform(-0.2, 0.2, fan_out))
        if case["normalization"] != "none" and len(initial) <= len(case["hidden"]):
            part.append(random.uniform(0.5, 1.5, fan_out))
        initial.append([exact(array, case["digits"]) for array in part])
    return initial


# --- scikit-learn -----------------------------------------------------------------------


class Given:
    def _init_coef(self, fan_in, fan_out, dtype):
        weights, biases = self.given[1 + len(self.coefs_)]
        return weights.copy(), biases.copy()


class Classifier(Given, MLPClassifier):
    pass


class Regressor(Given, MLPRegressor):
    pass


# Its slope is that of the sum over outputs, but the loss that it tells is their mean:
# tell the sum.
sk.LOSS_FUNCTIONS["squared_error"] = (
    lambda t, y: ((t - y) ** 2).sum(axis=1).mean() / 2
)


def fit_sklearn(case, initial, x, t):
    kind = Regressor if case["output"] == "identity" else Classifier
    same = ["activation", "solver", "max_iter", "tol", "n_iter_no_change"]
    more = ["momentum", "beta_1", "beta_2", "epsilon", "power_t"]
    options = {key: case[key] for key in same + [key for key in more if key in case]}
    model = kind(
        hidden_layer_sizes=case["hidden"],
        alpha=case.get("alpha", 0.0),
        learning_rate_init=case["learning_rate"],
        learning_rate=case.get("schedule", "constant"),
        nesterovs_momentum=bool(case.get("nesterov", 0)),
        batch_size=case["batch_size"] or "auto",
        shuffle=False,
        **{"momentum": 0.0, **options},
    )
    model.given = initial
    if kind is Classifier and t.shape[1] > 1:
        t = t.astype(int)
    elif t.shape[1] == 1:
        t = t.ravel()
    model.fit(x, t)
    if case["solver"] == "lbfgs":
        model.loss_curve_ = [lowest_loss(model, x, t)]
    return model


def run_sklearn(case, x, t):
    model = fit_sklearn(case, case["initial"], x, t)
    losses = model.loss_curve_
    if case["solver"] == "lbfgs":
        check_minimum(case, losses[0], x, t)
    else:
        check_margin(case, losses)
    final = [[], *([w, b] for w, b in zip(model.coefs_, model.intercepts_))]
    return losses, final, model._forward_pass_fast(x).reshape(len(x), -1)


def lowest_loss(model, x, t):
    """It stops when a step gains little (scipy's ftol): starts again until none does."""
    model.warm_start = True
    loss = math.inf
    while loss - model.loss_ > 1e-13:
        loss = model.loss_
        model.fit(x, t)
    return model.loss_


def check_minimum(case, loss, x, t):
    """Which minimum is found must not hang on the path: other starts lead there too."""
    for seed in range(1000, 1005):
        other = fit_sklearn(case, initial_weights(case, seed), x, t)
        assert abs(other.loss_ - loss) < 1e-6 * loss, (case["name"], loss, other.loss_)


def check_margin(case, losses):
    """Whether an epoch was an improvement must not hang on rounding."""
    best = math.inf
    for loss in losses:
        assert abs(loss - (best - case["tol"])) > 2e-5, (case["name"], loss, best)
        best = min(best, loss)


# --- torch ------------------------------------------------------------------------------

TORCH_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softmax": lambda z: torch.softmax(z, 1),
}


def torch_losses(case, z, t):
    """Of each row, summed over outputs, from the output layer's z."""
    kind = case["loss"]
    smoothing = case.get("label_smoothing", 0.0)
    if kind == "cross_entropy":
        return F.cross_entropy(z, t[:, 0].long(), label_smoothing=smoothing,
                               reduction="none")
    y = TORCH_ACTIVATIONS[case["output"]](z)
    below, above = torch.relu(t - y), torch.relu(y - t)
    if kind == "binary_cross_entropy":
        target = t * (1 - smoothing) + smoothing / 2
        each = F.binary_cross_entropy_with_logits(z, target, reduction="none")
    elif kind == "poisson":
        each = F.poisson_nll_loss(z, t, log_input=True, reduction="none")
    elif kind == "squared_error":
        each = F.mse_loss(y, t, reduction="none") / 2
    elif kind == "absolute_error":
        each = F.l1_loss(y, t, reduction="none")
    elif kind == "huber":
        each = F.huber_loss(y, t, delta=case["delta"], reduction="none")
    elif kind == "quantile":
        each = case["q"] * below + (1 - case["q"]) * above
    else:
        assert kind == "asymmetric_squared"
        each = case["under"] * below**2 + case["over"] * above**2
    return each.sum(1)


class Net(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        self.case = case
        self.dense = torch.nn.ModuleList()
        self.norm = torch.nn.ModuleList()
        kinds = {"batch_norm": torch.nn.BatchNorm1d, "layer_norm": torch.nn.LayerNorm}
        scales, *layers = case["initial"]
        self.scales = torch.nn.Parameter(torch.tensor(scales[0])) if scales else None
        for weights, biases, *gains in layers:
            dense = torch.nn.Linear(*weights.shape, bias=not gains)
            dense.weight.data = torch.tensor(weights.T.copy())
            self.dense.append(dense)
            if gains:
                norm = kinds[case["normalization"]](len(biases))
                norm.weight.data = torch.tensor(gains[0])
                norm.bias.data = torch.tensor(biases)
                self.norm.append(norm)
            else:
                dense.bias.data = torch.tensor(biases)
        self.double()

    def forward(self, x):
        act = TORCH_ACTIVATIONS[self.case["activation"]]
        if self.scales is not None:
            x = x * self.scales
        for i, dense in enumerate(self.dense):
            if "ntk_parametrization" in self.case:
                x = x / math.sqrt(dense.in_features)
            x = dense(x)
            if i < len(self.norm):
                x = self.norm[i](x)
            if i + 1 < len(self.dense):
                x = act(x)
        return x

    def penalty(self, n):
        case = self.case
        weights = [dense.weight for dense in self.dense]
        squares = sum((w**2).sum() for w in weights)
        sizes = sum(w.abs().sum() for w in weights)
        return (case.get("alpha", 0.0) / 2 * squares + case.get("l1", 0.0) * sizes) / n

    def bound_columns(self):
        if "max_norm" in self.case:
            for dense in self.dense:
                dense.weight.data = torch.renorm(dense.weight.data, 2, 0,
                                                 self.case["max_norm"])

    def parameters_by_layer(self):
        yield [] if self.scales is None else [self.scales.detach().numpy()]
        for i, dense in enumerate(self.dense):
            w = dense.weight.detach().numpy().T
            if i < len(self.norm):
                norm = self.norm[i]
                yield [w, norm.bias.detach().numpy(), norm.weight.detach().numpy()]
            else:
                yield [w, dense.bias.detach().numpy()]


def torch_groups(case, net):
    """Parameters by what they are, each with its learning rate and decay."""
    groups = {"weights": [dense.weight for dense in net.dense],
              "biases": [dense.bias for dense in net.dense if dense.bias is not None]
                        + [norm.bias for norm in net.norm],
              "gains": [norm.weight for norm in net.norm],
              "scales": [] if net.scales is None else [net.scales]}
    decay = case.get("weight_decay", 0.0)
    return [{"params": params,
             "weight_decay": decay if name in ("weights", "scales") else 0.0,
             "lr": case["learning_rate"] * case.get("rate_" + name, 1.0)}
            for name, params in groups.items() if params]


def torch_optimizer(case, net):
    groups, rate = torch_groups(case, net), case["learning_rate"]
    if case["solver"] in ("gd", "sgd"):
        return torch.optim.SGD(groups, rate, momentum=case.get("momentum", 0.0),
                               nesterov=bool(case.get("nesterov", 0)))
    if case["solver"] == "rmsprop":
        return torch.optim.RMSprop(groups, rate, alpha=case["rho"], eps=case["epsilon"])
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[case["solver"]]
    return kind(groups, rate, betas=(case["beta_1"], case["beta_2"]), eps=case["epsilon"])


def torch_scheduler(case, optimizer, steps_per_epoch):
    n_steps = steps_per_epoch * case["max_iter"]
    if case.get("schedule") == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)

    def factor(step):
        if case.get("schedule") == "coslog4":
            return (1 - math.cos(2 * math.pi * math.log2(1 + 15 * step / n_steps))) / 2
        steps = case.get("warmup", 0.0) * steps_per_epoch
        return min(1.0, (step + 1) / steps) if steps else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def set_decay(case, optimizer, share):
    """flat_cosine, when `share` of the steps are behind."""
    if case.get("regularization_schedule") == "flat_cosine":
        factor = 1.0 if share < 0.5 else (1 + math.cos(math.pi * (2 * share - 1))) / 2
        for group in optimizer.param_groups:
            if group["weight_decay"] > 0.0:
                group["weight_decay"] = case["weight_decay"] * factor


def run_torch(case, x, t):
    x, t = torch.tensor(x), torch.tensor(t, dtype=torch.float64)
    net = Net(case)
    optimizer = torch_optimizer(case, net)
    size = len(x) if case["solver"] == "gd" else case["batch_size"]
    firsts = range(0, len(x), size)
    scheduler = torch_scheduler(case, optimizer, len(firsts))
    row_weights = torch.tensor(case.get("row_weights", np.ones(len(x))))
    losses = []
    for epoch in range(case["max_iter"]):
        total = 0.0
        for step, first in enumerate(firsts):
            batch = slice(first, first + size)
            weights = row_weights[batch]
            optimizer.zero_grad()
            loss = (weights * torch_losses(case, net(x[batch]), t[batch])).sum()
            loss = loss / weights.sum() + net.penalty(weights.sum())
            loss.backward()
            if "gradient_clip" in case:
                torch.nn.utils.clip_grad_norm_(net.parameters(), case["gradient_clip"])
            set_decay(case, optimizer, (epoch + step / len(firsts)) / case["max_iter"])
            optimizer.step()
            scheduler.step()
            net.bound_columns()
            total += loss.item() * weights.sum().item()
        losses.append(total / row_weights.sum().item())
    net.eval()
    with torch.no_grad():
        z = net(x)
        y = z.exp() if case["loss"] == "poisson" else TORCH_ACTIVATIONS[case["output"]](z)
    return losses, list(net.parameters_by_layer()), y.numpy()


# --- output -----------------------------------------------------------------------------

OPTIONS = ["activation", "output", "loss", "normalization", "solver", "learning_rate",
           "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "rho", "weight_decay",
           "schedule", "power_t", "warmup", "alpha", "l1", "gradient_clip", "batch_size",
           "max_iter", "tol", "n_iter_no_change", "delta", "over", "under", "q",
           "label_smoothing", "max_norm", "ntk_parametrization", "feature_scale",
           "rate_weights", "rate_biases", "rate_gains", "rate_scales",
           "regularization_schedule"]
N_ROWS = 8  # whose outputs after training are written


def write_case(out, case, losses, final, outputs):
    def array(name, values, form):
        print(name, len(values), *map(form, values), file=out)

    def flat(layers):
        return np.concatenate([part.ravel() for layer in layers for part in layer])

    print("case", case["name"], file=out)
    print("table", case["table"], file=out)
    for key in OPTIONS:
        if key in case:
            value = case[key]
            print(key, value if isinstance(value, str) else text(value), file=out)
    array("layers", case["layers"], str)
    if "row_weights" in case:
        array("row_weights", case["row_weights"], short)
    array("initial", flat(case["initial"]), lambda v: short(v, case["digits"]))
    array("losses", losses, lambda v: rough(v, 10))
    array("final", flat(final), lambda v: rough(v, 6))
    array("outputs", outputs[:N_ROWS].ravel(), lambda v: rough(v, 6))
    print("end", file=out)


def write(path, run, cases, all_tables):
    with open(os.path.join(HERE, path), "w") as out:
        for seed, (name, parts) in enumerate(cases.items()):
            case = make_case(name, parts, seed, all_tables)
            x, t = all_tables[case["table"]]
            losses, final, outputs = run(case, x, t)
            print(f"{path} {name}: {len(losses)} epochs, {losses[0]:.4f} to "
                  f"{losses[-1]:.4f}")
            write_case(out, case, losses, final, outputs)


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    all_tables = {name: (exact(x), exact(t)) for name, (x, t) in tables().items()}
    write_tables(all_tables)
    write("scikit-learn.txt", run_sklearn, SKLEARN, all_tables)
    write("torch.txt", run_torch, TORCH, all_tables)


main()

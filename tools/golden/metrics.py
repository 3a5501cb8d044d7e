#!/usr/bin/env python3
"""Computes every metric of Glia with scikit-learn on random scores, as reference values.

    python3 tools/golden/metrics.py          needs scikit-learn 1.4 or newer; rewrites tests/golden/metrics.txt

Scores and targets come from a linear congruential generator, also in tests/nn/test_metrics.c, and are exact in f32.
Probabilities are multiples of 1/64, so there are many ties; logits have almost none.

Each row of the file: case, metric in Glia's syntax, class (-1: all), value.
"""
import os
import warnings

import numpy as np
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

warnings.simplefilter("ignore")


class Draw:
    """x = 1664525 x + 1013904223 modulo 2^32 (Numerical Recipes); the upper bits are used."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = (1664525 * self.x + 1013904223) % 2**32
        return (self.x >> 8) % n



def probabilities(draw, classes):
    if classes == 1:
        return [(1 + draw.below(63)) / 64]
    parts = [1] * classes
    for _ in range(64 - classes):
        parts[draw.below(classes)] += 1
    to = draw.below(classes)
    for _ in range(40):  # moves probability from the other classes to one
        giver = draw.below(classes)
        if parts[giver] > 1:
            parts[giver] -= 1
            parts[to] += 1
    return [p / 64 for p in parts]


def logits(draw, classes):
    return [(draw.below(2**16) - 2**15) / 2**13 for _ in range(classes)]


def labelled(seed, n, classes, form, absent=False):
    """Half of the labels are the predicted classes, the others random; absent: the last class does not occur."""
    draw = Draw(seed)
    scores, labels = [], []
    for _ in range(n):
        row = (probabilities if form == "probabilities" else logits)(draw, classes)
        said = int(row[0] >= (0.5 if form == "probabilities" else 0)) if classes == 1 else int(np.argmax(row))
        other = draw.below(max(classes, 2) - absent)
        label = said if draw.below(2) else other
        if absent and label == classes - 1:
            label = other
        scores.append(row)
        labels.append(label)
    return np.array(scores), np.array(labels)


def valued(seed, n, width, offset):
    draw = Draw(seed)
    values, truth = [], []
    for _ in range(n):
        row = [offset + (draw.below(2**12) - 2**11) / 2**8 for _ in range(width)]
        values.append(row)
        truth.append([v + (draw.below(2**10) - 2**9) / 2**8 for v in row])
    return np.array(values), np.array(truth)


def distribution(scores, form):
    """(n, labels) probabilities in f64."""
    if scores.shape[1] == 1:
        p = scores if form == "probabilities" else 1 / (1 + np.exp(-scores))
        return np.concatenate([1 - p, p], axis=1)
    if form == "probabilities":
        return scores
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def calibration(p, y, predicted, bins):
    """The calibration error of Guo et al. 2017; its shares and means are checked against scikit-learn's curve."""
    confidence, right = p[np.arange(len(p)), predicted], predicted == y
    gaps, sizes = [], []
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            gaps.append(abs(right[inside].mean() - confidence[inside].mean()))
            sizes.append(inside.sum())
    true, mean = calibration_curve(right, confidence, n_bins=bins)
    assert np.allclose(gaps, np.abs(true - mean), atol=1e-12)
    return np.dot(gaps, sizes) / len(p), max(gaps)


def rows_of_classes(scores, y, form):
    p = distribution(scores, form)
    labels = p.shape[1]
    single = scores.shape[1] == 1
    predicted = (p[:, 1] >= 0.5).astype(int) if single else scores.argmax(axis=1)
    every = list(range(labels))

    def text(name, *options):
        options = list(options) + (["logits"] if form == "logits" else [])
        return name + ("(" + ",".join(options) + ")" if options else "")

    yield text("accuracy"), -1, sk.accuracy_score(y, predicted)
    yield text("confusion"), -1, sk.accuracy_score(y, predicted)
    yield text("balanced_accuracy"), -1, sk.balanced_accuracy_score(y, predicted)
    yield text("mcc"), -1, sk.matthews_corrcoef(y, predicted)
    yield text("cohen-kappa"), -1, sk.cohen_kappa_score(y, predicted, labels=every)
    for w in ("linear", "quadratic"):
        yield text("cohen-kappa", w), -1, sk.cohen_kappa_score(y, predicted, labels=every, weights=w)

    ratios = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    for name, f in ratios.items():
        for average in ["macro", "micro", "weighted"] + (["binary"] if labels == 2 else []):
            yield text(name, average), -1, f(y, predicted, average=average)
        yield text(name), -1, f(y, predicted, average="binary" if labels == 2 else "macro")
        for k, figure in enumerate(f(y, predicted, average=None, labels=every)):
            yield text(name), k, figure
    if single:
        for name, f in ratios.items():
            yield text(name, "threshold=0.25"), -1, f(y, (p[:, 1] >= 0.25).astype(int))

    if form == "logits" and labels > 2:
        assert all(len(np.unique(p[:, k])) == len(p) for k in every)
    present = [k for k in every if (y == k).any()]
    weights = [(y == k).sum() for k in present]
    for name, f in (("roc-auc", sk.roc_auc_score), ("pr-auc", sk.average_precision_score)):
        areas = [f(y == k, p[:, k]) for k in present]
        for k, area in zip(present, areas):
            yield text(name), k, area
        if labels == 2:
            yield text(name), -1, areas[1]
        elif present == every:
            of = {"multi_class": "ovr"} if name == "roc-auc" else {}
            for average in ("macro", "weighted"):
                figure = f(y if of else np.eye(labels)[y], p, average=average, **of)
                assert abs(figure - np.average(areas, weights=weights if average == "weighted" else None)) < 1e-12
                yield text(name, average), -1, figure
        else:
            yield text(name), -1, np.mean(areas)
            yield text(name, "weighted"), -1, np.average(areas, weights=weights)

    loss = sk.log_loss(y, p, labels=every)
    yield text("log-loss"), -1, loss
    yield text("perplexity"), -1, np.exp(loss)
    yield text("brier"), -1, sk.brier_score_loss(y, p[:, 1]) if single else ((p - np.eye(labels)[y]) ** 2).sum(1).mean()
    for bins in (15, 10, 7):
        top = (p[:, 1] >= p[:, 0]).astype(int) if single else p.argmax(axis=1)
        expected, most = calibration(p, y, top, bins)
        yield text("ece", "bins=%d" % bins), -1, expected
        yield text("mce", str(bins)), -1, most
    if labels > 2 and form == "logits":  # only without ties: scikit-learn handles them differently
        for k in range(1, labels):
            yield text("topk", "k=%d" % k), -1, sk.top_k_accuracy_score(y, scores, k=k, labels=every)


def rows_of_values(values, truth):
    yield "mae", -1, sk.mean_absolute_error(truth, values)
    yield "mse", -1, sk.mean_squared_error(truth, values)
    yield "rmse", -1, sk.root_mean_squared_error(truth, values)
    yield "r2", -1, sk.r2_score(truth, values)
    for k in range(values.shape[1]):
        yield "rmse", k, sk.root_mean_squared_error(truth[:, k], values[:, k])
        yield "r2", k, sk.r2_score(truth[:, k], values[:, k])


CASES = {
    "binary": lambda: rows_of_classes(*labelled(1, 400, 1, "probabilities"), "probabilities"),
    "binary_logits": lambda: rows_of_classes(*labelled(2, 400, 1, "logits"), "logits"),
    "two": lambda: rows_of_classes(*labelled(3, 400, 2, "probabilities"), "probabilities"),
    "two_logits": lambda: rows_of_classes(*labelled(4, 400, 2, "logits"), "logits"),
    "four": lambda: rows_of_classes(*labelled(5, 500, 4, "probabilities"), "probabilities"),
    "four_logits": lambda: rows_of_classes(*labelled(6, 500, 4, "logits"), "logits"),
    "absent": lambda: rows_of_classes(*labelled(7, 300, 5, "probabilities", True), "probabilities"),
    "value": lambda: rows_of_values(*valued(8, 250, 1, 0)),
    "values": lambda: rows_of_values(*valued(9, 250, 3, 100)),
}

if __name__ == "__main__":
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden")
    with open(os.path.join(folder, "metrics.txt"), "w") as out:
        out.write("# written by tools/golden/metrics.py: case, metric, class or -1, figure\n")
        for case, rows in CASES.items():
            for metric, label, figure in rows():
                out.write("%s %s %d %.17g\n" % (case, metric, label, figure))

#!/usr/bin/env python3
"""Writes tests/golden/detection.txt: boxes of three classes in 12 pictures, and COCO's average precision of each class.

    python3 -m venv venv && venv/bin/pip install numpy pycocotools
    venv/bin/python3 tools/golden/detection.py

Lines: "truth IMAGE LABEL LEFT TOP RIGHT BOTTOM", "found IMAGE LABEL LEFT TOP RIGHT BOTTOM SCORE",
"ap LABEL IOU VALUE".
"""
import contextlib
import io
import pathlib
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FILE = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "detection.txt"
IMAGES, CLASSES = 12, 3


def draw(chance):
    truth, found = [], []
    for image in range(IMAGES):
        for _ in range(chance.randint(1, 8)):
            label, w, h = chance.randrange(CLASSES), chance.randint(8, 40), chance.randint(8, 40)
            x, y = chance.randint(0, 100 - w), chance.randint(0, 100 - h)
            truth.append((image, label, x, y, x + w, y + h))
            for _ in range(chance.randint(0, 2)):
                sides = [v + chance.randint(-4, 4) for v in (x, y)] + [v + chance.randint(-4, 4) for v in (w, h)]
                other = chance.random() < 0.1
                found.append((image, (label + other) % CLASSES, sides[0], sides[1], sides[0] + max(sides[2], 1),
                              sides[1] + max(sides[3], 1), round(chance.random(), 6)))
    return truth, found


def main():
    truth, found = draw(random.Random(5))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": i} for i in range(IMAGES)],
                        "categories": [{"id": k} for k in range(CLASSES)],
                        "annotations": [{"id": i + 1, "image_id": t[0], "category_id": t[1], "iscrowd": 0,
                                         "bbox": [t[2], t[3], t[4] - t[2], t[5] - t[3]],
                                         "area": (t[4] - t[2]) * (t[5] - t[3])} for i, t in enumerate(truth)]}
        coco.createIndex()
        results = coco.loadRes([{"image_id": f[0], "category_id": f[1], "score": f[6],
                                 "bbox": [f[2], f[3], f[4] - f[2], f[5] - f[3]]} for f in found])
        judge = COCOeval(coco, results, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"]  # (overlaps, recalls, classes, areas, most)
    lines = ["truth %d %d %g %g %g %g" % t for t in truth] + ["found %d %d %g %g %g %g %.6f" % f for f in found]
    for label in range(CLASSES):
        for k, iou in enumerate(judge.params.iouThrs):
            lines.append("ap %d %.2f %.9f" % (label, iou, precision[k, :, label, 0, 2].mean()))
    FILE.write_text("\n".join(lines) + "\n")


main()

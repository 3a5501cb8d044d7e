"""Trains with `glia train --tensorboard` and reads the event files with TensorBoard's reader.

    PYTHON tests/python/check_run.py build/release/glia         needs tensorboard
"""
import csv
import os
import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(glia):
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        subprocess.run([glia, "train", "lenet5", "--data", "strokes?n=400", "--epochs", "3", "--metrics", "f1",
                        "--quiet",
                        "--tensorboard", "--out", run], check=True)
        with open(os.path.join(run, "curves.csv")) as file:
            rows = list(csv.DictReader(file))
        everything = {"scalars": 0, "histograms": 0, "images": 0}
        train, validation = (EventAccumulator(os.path.join(run, "tensorboard", name), size_guidance=everything).Reload()
                             for name in ("train", "validation"))
        for events, tag, column in [(train, "epoch_loss", "loss"), (train, "epoch_accuracy", "accuracy"),
                                    (train, "epoch_learning_rate", "lr"), (validation, "epoch_loss", "val_loss"),
                                    (validation, "epoch_accuracy", "val_accuracy"), (validation, "epoch_f1", "val_f1")]:
            scalars = events.Scalars(tag)
            assert [s.step for s in scalars] == [0, 1, 2], tag
            for scalar, row in zip(scalars, rows):
                assert abs(scalar.value - float(row[column])) <= 1e-6 * abs(scalar.value), (tag, scalar, row)
        tags = train.Tags()
        assert "c1/kernel" in tags["histograms"] and "logits/bias" in tags["histograms"], tags
        assert train.Histograms("c1/kernel")[0].histogram_value.num == 6 * 5 * 5
        assert tags["images"] in ([], ["c1/kernel"]), tags  # none without libpng
        assert tags["graph"]
        assert any(node.name.startswith("c1") for node in train.Graph().node)
        print("TensorBoard reads %d figures, %d histograms, %d pictures and the graph" %
              (len(tags["scalars"]) + len(validation.Tags()["scalars"]), len(tags["histograms"]), len(tags["images"])))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))

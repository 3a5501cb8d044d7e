"""Reads an event file written by Glia with TensorBoard's reader and checks its contents.

    PYTHON tests/python/check_events.py build/release/tests/events         needs tensorboard
"""
import math
import os
import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import plugin_data_pb2


def check_scalars(events):
    train = events.Scalars("loss/train")
    assert [s.step for s in train] == list(range(1000))
    assert all(abs(s.value - 1 / (1 + s.step)) < 1e-7 for s in train)
    assert abs(train[0].wall_time - train[-1].wall_time) < 600
    (last,) = events.Scalars("loss/validation")
    assert last.step == 5000000000 and math.isnan(last.value)


def check_histograms(events):
    (kernel,) = events.Histograms("fc/kernel")
    value = kernel.histogram_value
    assert kernel.step == 7 and value.num == 1000 and value.min == 0 and value.max == 999 / 8
    assert value.sum == sum(range(1000)) / 8 and value.sum_squares == sum(i * i for i in range(1000)) / 64
    assert len(value.bucket) == len(value.bucket_limit) == 30 and sum(value.bucket) == 1000
    assert max(value.bucket) - min(value.bucket) <= 1 and value.bucket_limit[-1] == value.max
    (bias,) = events.Histograms("fc/bias")
    assert bias.histogram_value.num == 1 and list(bias.histogram_value.bucket) == [1]


def check_image(events):
    (image,) = events.Images("mistakes/1")
    assert (image.step, image.width, image.height) == (3, 3, 2)
    assert image.encoded_image_string.startswith(b"\x89PNG") and image.encoded_image_string.endswith(b"IEND\xaeB`\x82")


def check_graph(events):
    graph = events.Graph()
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node), "two nodes of one name"
    assert all(i in nodes for node in graph.node for i in node.input)
    assert all(s == -1 or s > 0 for node in graph.node for shape in node.attr["_output_shapes"].list.shape
               for s in (d.size for d in shape.dim))
    image, kernel = nodes["image"], nodes["features/conv/kernel"]
    assert image.op == "input" and [d.size for d in image.attr["_output_shapes"].list.shape[0].dim] == [-1, 1, 8, 8]
    assert kernel.op == "parameter" and kernel.attr["dtype"].s == b"f32"
    (conv,) = [node for node in graph.node if node.op == "conv"]
    assert conv.name.startswith("features/conv/") and list(conv.input) == ["image", "features/conv/kernel"]
    assert {name.split("/")[0] for name in nodes if "/" in name} >= {"features", "fc"}


def check_plugins(folder):
    multiplexer = EventMultiplexer()
    multiplexer.AddRun(folder, "run")
    multiplexer.Reload()
    (text,) = multiplexer.Tensors("run", "settings")
    assert text.tensor_proto.string_val[0].decode() == "a *text* with é"
    assert "settings" in multiplexer.PluginRunToTagToContent("text")["run"]
    content = multiplexer.PluginRunToTagToContent("hparams")["run"]
    start = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["optimizer"].string_value == "adam" and start.hparams["lr"].number_value == 0.125
    end = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_end_info"]).session_end_info
    assert end.status == 1 and end.end_time_secs >= start.start_time_secs > 0
    scalars = multiplexer.Tensors("run", "loss/train")  # the form in which TensorBoard's front end reads scalars
    assert len(scalars) > 0


def main():
    with tempfile.TemporaryDirectory() as parent:
        folder = os.path.join(parent, "run")
        subprocess.run([sys.argv[1], folder], check=True)
        everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
        events = EventAccumulator(folder, size_guidance=everything)
        events.Reload()
        check_scalars(events)
        check_histograms(events)
        check_image(events)
        check_graph(events)
        check_plugins(folder)
    print("TensorBoard reads scalars, histograms, images, texts, hyper-parameters and the graph")


if __name__ == "__main__":
    main()

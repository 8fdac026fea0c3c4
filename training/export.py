# Checkpoint -> neck10.onnx, with every BatchNorm folded into its convolution and a readable name on every tensor;
# then measures the file itself, not the torch module, on the held-out photos.
import argparse
import json
import os

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.shape_inference
import torch
from onnx import TensorProto, helper

import data
from net import ConvBN, Neck10, Residual
from teacher import OnnxNet, accuracy


class Writer:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, tensor):
        self.weights.append(onnx.numpy_helper.from_array(tensor.detach().float().numpy().copy(), name))
        return name

    def node(self, op, inputs, out, **attrs):
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"{out}:{op}", **attrs))
        return out

    def conv(self, part, x, name):
        """The BatchNorm's per-channel gain goes into the kernel, the rest of it into the bias."""
        gain = part.bn.weight / torch.sqrt(part.bn.running_var + part.bn.eps)
        kernel = part.conv.weight * gain.view(-1, 1, 1, 1)
        bias = part.bn.bias - part.bn.running_mean * gain
        k, pad, stride = part.conv.kernel_size, part.conv.padding[0], part.conv.stride
        out = name + ".conv" if part.relu else name
        x = self.node("Conv", [x, self.weight(name + ".weight", kernel), self.weight(name + ".bias", bias)], out,
                      kernel_shape=list(k), pads=[pad] * 4, strides=list(stride))
        return self.node("Relu", [x], name) if part.relu else x

    def part(self, part, x, name):
        if isinstance(part, ConvBN):
            return self.conv(part, x, name)
        if isinstance(part, Residual):
            y = x
            for i, layer in enumerate(part.layers):
                y = self.conv(layer, y, f"{name}.{i}")
            return self.node("Relu", [self.node("Add", [x, y], name + ".sum")], name)
        raise ValueError(type(part))


def to_onnx(net):
    w = Writer()
    x = "input"
    for name, part in net.body.named_children():
        x = w.part(part, x, name)
    x = w.node("GlobalAveragePool", [x], "pooled")
    x = w.node("Flatten", [x], "features", axis=1)
    w.node("Gemm", [x, w.weight("head.weight", net.head.weight), w.weight("head.bias", net.head.bias)], "logits",
           transB=1)
    graph = helper.make_graph(
        w.nodes, "neck10",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, data.SIDE, data.SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(net.head.bias)])],
        w.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7,
                              producer_name="isthmus-training")
    onnx.checker.check_model(model)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def save(text_or_bytes, path):
    with open(path + ".new", "wb" if isinstance(text_or_bytes, bytes) else "w") as f:
        f.write(text_or_bytes)
    os.replace(path + ".new", path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--checkpoint", default="checkpoint.pt")
    ap.add_argument("--out", default="neck10.onnx")
    args = ap.parse_args()

    net = Neck10().eval()
    if args.checkpoint != "none":
        net.load_state_dict(torch.load(args.checkpoint)["average"])
    model = to_onnx(net)
    save(model.SerializeToString(), args.out)
    save(json.dumps({"kind": "image", "resize": {"short": data.SHORT}, "crop": [data.SIDE, data.SIDE],
                     "mean": data.MEAN, "std": data.STD, "layout": "NCHW", "channels": "RGB"}) + "\n",
         os.path.join(os.path.dirname(os.path.abspath(args.out)), "preprocess.json"))

    paths, labels = data.list_files(args.data, held_out=True)
    photos = data.decode_all(paths)
    probe = torch.randn(2, 3, data.SIDE, data.SIDE)
    file_net = OnnxNet(args.out, torch.float32)
    gap = (file_net(probe)[1] - net(probe)).abs().max().item()
    top1 = accuracy(file_net, photos, labels, data.SIDE, data.SHORT)
    print(f"{args.out}: {os.path.getsize(args.out)} bytes, {sum(int(np.prod(t.dims)) for t in model.graph.initializer)} "
          f"parameters, largest difference from torch {gap:.2e}, top-1 on {len(labels)} held-out photos {top1:.4f}")


if __name__ == "__main__":
    main()

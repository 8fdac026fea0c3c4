# Runs the teacher (an ONNX ResNet) once over every training view and stores its pooled features and logits.
# A short interpreter of its eight operators saves us from needing an ONNX runtime here.
import argparse
import os
import time

import numpy as np
import onnx
import onnx.numpy_helper
import torch
import torch.nn.functional as F

import data

MODEL = "resnet50v2-stage3-imagenette10.onnx"


class OnnxNet(torch.nn.Module):
    def __init__(self, path, dtype=torch.bfloat16):
        super().__init__()
        self.graph = onnx.load(path).graph
        self.dtype = dtype
        self.weights = {}
        for t in self.graph.initializer:
            w = torch.from_numpy(onnx.numpy_helper.to_array(t).copy())
            self.weights[t.name] = w.to(dtype) if w.dim() == 4 else w
        self.attrs = [{a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in self.graph.node]

    @torch.no_grad()
    def forward(self, x, wanted=("features", "logits")):
        v = dict(self.weights)
        v[self.graph.input[0].name] = x.to(self.dtype, memory_format=torch.channels_last)
        for node, a in zip(self.graph.node, self.attrs):
            i = [v[name] for name in node.input]
            v[node.output[0]] = self.node_done(node.output[0], self.step(node.op_type, i, a))
        return [v[name].float() for name in wanted]

    def node_done(self, name, value):
        """For subclasses that want to look at, or change, a tensor on its way."""
        return value

    @staticmethod
    def step(op, i, a):
        if op == "Conv":
            bias = i[2].to(i[0].dtype) if len(i) > 2 else None
            return F.conv2d(i[0], i[1], bias, a["strides"], a["pads"][:2], groups=a.get("group", 1))
        if op == "BatchNormalization":
            return F.batch_norm(i[0], i[3], i[4], i[1], i[2], eps=a["epsilon"])
        if op == "Relu":
            return F.relu(i[0])
        if op == "Add":
            return i[0] + i[1]
        if op == "MaxPool":
            return F.max_pool2d(i[0], a["kernel_shape"], a["strides"], a["pads"][:2])
        if op == "GlobalAveragePool":
            return i[0].float().mean((2, 3), keepdim=True)
        if op == "Flatten":
            return i[0].flatten(a.get("axis", 1))
        if op == "Gemm":
            return F.linear(i[0], i[1] if a.get("transB") else i[1].t(), i[2])
        raise ValueError(f"operator {op} is not known here")


def accuracy(net, photos, labels, side, short):
    hits = 0
    for at in range(0, len(photos), 64):
        crops = [data.centre_crop(p, short, side) for p in photos[at:at + 64]]
        _, logits = net(data.normalise(data.to_batch(crops)))
        hits += (logits.argmax(1).numpy() == labels[at:at + 64]).sum()
    return hits / len(photos)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True, help="folder that holds images/ and models/")
    ap.add_argument("--out", default="teacher.npz")
    ap.add_argument("--side", type=int, default=160, help="pixels a view is resized to for the teacher")
    args = ap.parse_args()
    net = OnnxNet(os.path.join(args.data, "models", MODEL))

    paths, labels = data.list_files(args.data, held_out=False)
    photos = data.decode_all(paths)
    boxes = data.view_boxes(photos)
    features = np.zeros((len(photos), data.VIEWS, 1024), np.float16)
    logits = np.zeros((len(photos), data.VIEWS, 10), np.float32)
    start = time.time()
    for view in range(data.VIEWS):
        for at in range(0, len(photos), 32):
            part = range(at, min(at + 32, len(photos)))
            batch = data.to_batch([data.take(photos[i], boxes[i, view], args.side) for i in part])
            f, l = net(data.normalise(batch))
            features[at:at + 32, view], logits[at:at + 32, view] = f.numpy(), l.numpy()
        right = (logits[:, view].argmax(1) == labels).mean()
        print(f"view {view}: teacher agrees with the label on {right:.4f}, {time.time() - start:.0f} s", flush=True)
    np.savez(args.out, boxes=boxes, features=features, logits=logits)


if __name__ == "__main__":
    main()

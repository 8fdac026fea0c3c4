# What each neck costs to send: its size, the share of the work before it, and the held-out accuracy
# of the exported file when that one tensor travels as 8, 6, 5, 4, 3 or 2 bit integers.
import argparse

import numpy as np
import torch

import data
from teacher import OnnxNet

BITS = (8, 6, 5, 4, 3, 2)


def rounded(x, bits):
    """Each photo's tensor is rounded between its own minimum and maximum, as a runtime that sends one would do."""
    low = x.amin((1, 2, 3), keepdim=True)
    step = (x.amax((1, 2, 3), keepdim=True) - low) / (2 ** bits - 1)
    return ((x - low) / step).round() * step + low


class CutNet(OnnxNet):
    """Rounds the output of one named tensor on its way."""
    cut, bits = None, None

    def node_done(self, name, value):
        return rounded(value, self.bits) if name == self.cut else value


def work_per_tensor(graph):
    """Multiply-adds of all nodes up to and including the one that writes each tensor, at the graph's own size."""
    weights = {t.name: t.dims for t in graph.initializer}
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.value_info}
    total, at = 0, {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            area = int(np.prod(shapes[node.output[0]][2:])) if node.op_type == "Conv" else 1
            total += int(np.prod(weights[node.input[1]])) * area
        at[node.output[0]] = total
    return at, shapes


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--model", default="neck10.onnx")
    args = ap.parse_args()
    net = CutNet(args.model, torch.float32)
    at, shapes = work_per_tensor(net.graph)
    total = max(at.values())
    print(f"{total / 1e6:.1f} MMAC a photo")

    paths, labels = data.list_files(args.data, held_out=True)
    x = data.normalise(data.to_batch([data.centre_crop(p) for p in data.decode_all(paths)]))

    def top1():
        hits = [net(x[i:i + 64])[1].argmax(1).numpy() == labels[i:i + 64] for i in range(0, len(x), 64)]
        return np.concatenate(hits).mean()

    print(f"whole {top1():.4f}")
    for name in (o for o in at if o.startswith("neck")):
        net.cut = name
        row = []
        for net.bits in BITS:
            row.append(f"{net.bits} bit {top1():.4f}")
        print(f"{name}  {shapes[name][1:]}  {int(np.prod(shapes[name][1:]))} values  "
              f"{100 * at[name] / total:.1f} % of the work before it  " + "  ".join(row), flush=True)


if __name__ == "__main__":
    main()

# Trains Neck10 on labels, on the teacher's logits and on the teacher's pooled features, within a budget of minutes.
# Writes one log line an epoch and a checkpoint that a killed run goes on from. The held-out photos are only reported on.
import argparse
import math
import os
import queue
import threading
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import data
from net import Neck10

TEMPERATURE = 2.0
W_LABEL, W_LOGITS, W_FEATURES = 0.4, 0.6, 8.0


class Views:
    """Batches of training views, prepared by a thread while the network is busy (PIL lets go of the GIL)."""

    def __init__(self, photos, boxes, batch):
        self.photos, self.boxes, self.batch = photos, boxes, batch

    def draw(self, i, v, side, rng):
        """One view, its box shaken a little: the teacher's answer still holds, the pixels never repeat."""
        x0, y0, x1, y1 = self.boxes[i, v]
        w, h = self.photos[i].size
        jx, jy = 0.06 * (x1 - x0), 0.06 * (y1 - y0)
        shake = rng.uniform(-1, 1, 4)
        box = (max(0, x0 + jx * shake[0]), max(0, y0 + jy * shake[1]),
               min(w, x1 + jx * shake[2]), min(h, y1 + jy * shake[3]))
        pixels = np.asarray(data.take(self.photos[i], box, side))
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels

    def epoch(self, side, seed):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.photos))
        views = rng.integers(0, data.VIEWS, len(order))
        ready = queue.Queue(4)

        def work():
            for at in range(0, len(order) - self.batch + 1, self.batch):
                i, v = order[at:at + self.batch], views[at:at + self.batch]
                pixels = np.stack([self.draw(a, b, side, rng) for a, b in zip(i, v)])
                ready.put((torch.from_numpy(pixels), i, v))
            ready.put(None)

        threading.Thread(target=work, daemon=True).start()
        return iter(ready.get, None)


def colour_jitter(x, gen, strength=0.3):
    """Brightness, contrast, saturation and a little hue drift of normalised images, as one affine map each."""
    def u(*shape):
        return torch.rand(shape, generator=gen) * 2 - 1
    n = len(x)
    gain = 1 + strength * u(n, 1, 1, 1) + 0.08 * u(n, 3, 1, 1)
    shift = strength * u(n, 1, 1, 1)
    grey = x.mean(1, keepdim=True)
    mix = (strength * u(n, 1, 1, 1)).clamp_min(-0.9)
    return (x + mix * (x - grey)) * gain + shift


def cutout(x, rng, share=0.5):
    side = x.shape[2]
    for i in range(len(x)):
        if rng.random() < share:
            size = int(side * rng.uniform(0.15, 0.4))
            r, c = rng.integers(0, side - size, 2)
            x[i, :, r:r + size, c:c + size] = 0
    return x


class Average:
    """Exponential moving average of the weights, with a window that grows with the run."""

    def __init__(self, net):
        self.net, self.steps = Neck10(), 0
        self.net.load_state_dict(net.state_dict())
        self.net.eval()

    @torch.no_grad()
    def update(self, net):
        self.steps += 1
        keep = min(0.998, self.steps / (self.steps + 10))
        for mine, theirs in zip(self.net.state_dict().values(), net.state_dict().values()):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)


def accuracy(net, crops, labels):
    hits = 0
    with torch.no_grad():
        for at in range(0, len(crops), 64):
            x = data.normalise(crops[at:at + 64])
            hits += (net(x).argmax(1).numpy() == labels[at:at + 64]).sum()
    return hits / len(crops)


def side_at(progress):
    """Small pictures first: cheap epochs while the features are still rough."""
    return 96 if progress < 0.35 else 112 if progress < 0.6 else 128


def rate_at(progress, peak, warm=0.06):
    if progress < warm:
        return peak * (0.05 + 0.95 * progress / warm)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))


def save(path, **state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--teacher", default="teacher.npz")
    ap.add_argument("--checkpoint", default="checkpoint.pt")
    ap.add_argument("--log", default="log.txt")
    ap.add_argument("--minutes", type=float, default=50, help="the schedule ends after this much training time")
    ap.add_argument("--epochs", type=int, default=100, help="or after this many epochs, whichever comes first")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--lr", type=float, default=0.1)
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    paths, labels = data.list_files(args.data, held_out=False)
    photos = data.decode_all(paths)
    test_paths, test_labels = data.list_files(args.data, held_out=True)
    test_crops = data.to_batch([data.centre_crop(p) for p in data.decode_all(test_paths)])
    labels = torch.from_numpy(labels)

    saved = np.load(args.teacher)
    views = Views(photos, saved["boxes"], args.batch)
    teacher_logits = torch.from_numpy(saved["logits"])
    teacher_features = torch.from_numpy(saved["features"])
    mean = teacher_features[:, 0].float().mean(0)
    std = teacher_features[:, 0].float().std(0) + 1e-3

    net = Neck10().to(memory_format=torch.channels_last)
    to_teacher = nn.Linear(Neck10.WIDTH, teacher_features.shape[2])
    weights = [p for m in (net, to_teacher) for p in m.parameters()]
    optimiser = torch.optim.SGD([
        {"params": [p for p in weights if p.dim() > 1], "weight_decay": 5e-4},
        {"params": [p for p in weights if p.dim() == 1], "weight_decay": 0},
    ], lr=args.lr, momentum=0.9, nesterov=True)
    average = Average(net)
    epoch, spent = 0, 0.0
    if os.path.exists(args.checkpoint):
        old = torch.load(args.checkpoint)
        net.load_state_dict(old["net"])
        to_teacher.load_state_dict(old["to_teacher"])
        optimiser.load_state_dict(old["optimiser"])
        average.net.load_state_dict(old["average"])
        average.steps, epoch, spent = old["steps"], old["epoch"], old["spent"]

    batches = len(photos) // args.batch
    progress = max(epoch / args.epochs, spent / 60 / args.minutes)
    while progress < 1:
        rng = np.random.default_rng(1000 + epoch)
        gen = torch.Generator().manual_seed(epoch)
        side = side_at(progress)
        start, at_start = time.time(), spent
        sums = np.zeros(4)
        done = 0
        net.train()
        for pixels, i, v in views.epoch(side, epoch):
            progress = max((epoch + done / batches) / args.epochs, spent / 60 / args.minutes)
            if progress >= 1:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate_at(progress, args.lr)
            for neck in net.necks():
                neck.bits = int(rng.choice([3, 4, 5, 6])) if rng.random() < 0.35 else None
            x = cutout(colour_jitter(data.normalise(pixels), gen), rng)
            x = x.to(torch.bfloat16, memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                f = net.features(x)
            # The two small linear layers and the losses stay in float32: they cost nothing and need the digits.
            out = net.head(f)
            i = torch.from_numpy(i)
            wanted = (teacher_features[i, v].float() - mean) / std
            by_label = F.cross_entropy(out, labels[i], label_smoothing=0.1)
            by_logits = TEMPERATURE ** 2 * F.kl_div(
                F.log_softmax(out / TEMPERATURE, 1), F.softmax(teacher_logits[i, v] / TEMPERATURE, 1),
                reduction="batchmean")
            by_features = F.smooth_l1_loss(to_teacher(f), wanted)
            loss = W_LABEL * by_label + W_LOGITS * by_logits + W_FEATURES * by_features
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            average.update(net)
            done += 1
            sums += [loss.item(), by_label.item(), by_logits.item(), by_features.item()]
            spent = at_start + time.time() - start
        epoch += 1
        for neck in net.necks():
            neck.bits = None
        progress = max(epoch / args.epochs, spent / 60 / args.minutes)
        top1 = accuracy(average.net, test_crops, test_labels)
        loss = sums / max(done, 1)
        line = (f"epoch {epoch:3d}  side {side:3d}  lr {optimiser.param_groups[0]['lr']:.4f}  loss {loss[0]:.4f}"
                f"  (label {loss[1]:.3f} logits {loss[2]:.3f} features {loss[3]:.3f})"
                f"  val top-1 {top1:.4f}  {spent:6.0f} s")
        print(line, flush=True)
        with open(args.log, "a") as log:
            log.write(line + "\n")
        save(args.checkpoint, net=net.state_dict(), to_teacher=to_teacher.state_dict(),
             optimiser=optimiser.state_dict(), average=average.net.state_dict(),
             steps=average.steps, epoch=epoch, spent=spent)


if __name__ == "__main__":
    main()

# Trains one early exit on the features that features.ts wrote: two 3x3 convolutions of stride 2, a mean over the picture, a linear
# layer, taught by what the whole model answers. numpy only. Usage: train.py FEATURES_FOLDER CUT OUT_FOLDER [EPOCHS]
import json
import os
import sys
import time

import numpy as np

CHANNELS = {"neck0": (16, 32), "neck1": (24, 16), "neck2": (32, 8)}
WIDTHS = (64, 96)
CLASSES = 10
BATCH = 128
PEAK_RATE, DECAY = 2e-3, 0.05
TEMPERATURE, LABEL_SHARE, SMOOTHING = 2.0, 0.3, 0.1
DROPOUT, MIX_SHARE = 0.2, 0.5


def load(folder, side, cut):
    channels, size = CHANNELS[cut]
    x = np.fromfile(os.path.join(folder, f"{side}-{cut}.f16"), np.float16).reshape(-1, channels, size, size)
    logits = np.fromfile(os.path.join(folder, f"{side}-logits.f32"), np.float32).reshape(-1, CLASSES)
    labels = np.fromfile(os.path.join(folder, f"{side}-labels.u8"), np.uint8)
    assert len(x) == len(logits) == len(labels)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)), logits, labels


def softmax(z, temperature=1.0):
    e = np.exp((z - z.max(1, keepdims=True)) / temperature)
    return e / e.sum(1, keepdims=True)


def patches(x):
    """[n, s, s, c] -> [n, s/2, s/2, 9c]: what a 3x3 convolution of stride 2 and padding 1 sees."""
    n, s, _, c = x.shape
    padded = np.zeros((n, s + 2, s + 2, c), np.float32)
    padded[:, 1:-1, 1:-1] = x
    h = s // 2
    return np.concatenate([padded[:, i : i + 2 * h : 2, j : j + 2 * h : 2] for i in range(3) for j in range(3)], 3)


def unpatches(g, s):
    """The gradient of `patches`."""
    n, h, _, c9 = g.shape
    c = c9 // 9
    padded = np.zeros((n, s + 2, s + 2, c), np.float32)
    for k in range(9):
        i, j = divmod(k, 3)
        padded[:, i : i + 2 * h : 2, j : j + 2 * h : 2] += g[..., k * c : (k + 1) * c]
    return padded[:, 1:-1, 1:-1]


def initial(channels, rng):
    shapes = [(9 * channels, WIDTHS[0]), (9 * WIDTHS[0], WIDTHS[1]), (WIDTHS[1], CLASSES)]
    weights = [(rng.standard_normal(s) * np.sqrt(2 / s[0])).astype(np.float32) for s in shapes]
    return [p for w in weights for p in (w, np.zeros(w.shape[1], np.float32))]


def forward(params, x, keep=None):
    w1, b1, w2, b2, w3, b3 = params
    p1 = patches(x)
    a1 = np.maximum(p1 @ w1 + b1, 0)
    p2 = patches(a1)
    a2 = np.maximum(p2 @ w2 + b2, 0)
    pooled = a2.mean((1, 2))
    if keep is not None:
        pooled = pooled * keep
    return pooled @ w3 + b3, (p1, a1, p2, a2, pooled, keep)


def backward(params, saved, g):
    _, _, w2, _, w3, _ = params
    p1, a1, p2, a2, pooled, keep = saved
    gw3, gb3 = pooled.T @ g, g.sum(0)
    gp = g @ w3.T * keep
    g2 = np.where(a2 > 0, gp[:, None, None, :] / (a2.shape[1] * a2.shape[2]), 0).astype(np.float32)
    flat2 = g2.reshape(-1, g2.shape[-1])
    gw2, gb2 = p2.reshape(len(flat2), -1).T @ flat2, flat2.sum(0)
    g1 = unpatches(g2 @ w2.T, a1.shape[1]) * (a1 > 0)
    flat1 = g1.reshape(-1, g1.shape[-1])
    gw1, gb1 = p1.reshape(len(flat1), -1).T @ flat1, flat1.sum(0)
    return [gw1, gb1, gw2, gb2, gw3, gb3]


def logits_of(params, x):
    return np.concatenate([forward(params, x[i : i + 200].astype(np.float32))[0] for i in range(0, len(x), 200)])


def shifted(x, rng):
    """Each batch up to one position to a side: the photo, cropped a little otherwise."""
    dy, dx = rng.integers(-1, 2, 2)
    return np.roll(x, (dy, dx), (1, 2))


def train(folder, cut, epochs, seed=7):
    rng = np.random.default_rng(seed)
    x, logits, labels = load(folder, "train", cut)
    mean = x[::20].astype(np.float32).mean((0, 1, 2))
    deviation = x[::20].astype(np.float32).std((0, 1, 2)) + 1e-6
    params = initial(x.shape[-1], rng)
    moments = [[np.zeros_like(p), np.zeros_like(p)] for p in params]
    average = [p.copy() for p in params]
    hard = np.eye(CLASSES, dtype=np.float32)[labels] * (1 - SMOOTHING) + SMOOTHING / CLASSES
    steps = len(x) // BATCH
    started, step = time.time(), 0
    held, held_logits, held_labels = load(folder, "held", cut)
    held = (held.astype(np.float32) - mean) / deviation
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        total = 0.0
        for k in range(steps):
            at = order[k * BATCH : (k + 1) * BATCH]
            batch = shifted((x[at].astype(np.float32) - mean) / deviation, rng)
            soft, given = softmax(logits[at], TEMPERATURE), hard[at]
            if rng.random() < MIX_SHARE:
                share = np.float32(rng.beta(0.4, 0.4))
                batch = share * batch + (1 - share) * batch[::-1]
                soft, given = share * soft + (1 - share) * soft[::-1], share * given + (1 - share) * given[::-1]
            keep = ((rng.random((BATCH, WIDTHS[1])) > DROPOUT) / (1 - DROPOUT)).astype(np.float32)
            out, saved = forward(params, batch, keep)
            p, warm = softmax(out), softmax(out, TEMPERATURE)
            total -= float((soft * np.log(warm + 1e-9)).sum(1).mean())
            g = LABEL_SHARE * (p - given) + (1 - LABEL_SHARE) * TEMPERATURE * (warm - soft)
            grads = backward(params, saved, (g / BATCH).astype(np.float32))
            step += 1
            done = step / (epochs * steps)
            rate = PEAK_RATE * min(1, done / 0.05) * 0.5 * (1 + np.cos(np.pi * done))
            for p_, gr, m, a in zip(params, grads, moments, average):
                m[0] += 0.1 * (gr - m[0])
                m[1] += 0.001 * (gr * gr - m[1])
                update = m[0] / (1 - 0.9**step) / (np.sqrt(m[1] / (1 - 0.999**step)) + 1e-8)
                p_ -= rate * (update + (DECAY * p_ if p_.ndim > 1 else 0))
                a += (1 - 0.995) * (p_ - a)
        # Looked at, not chosen by: the last average is the exit.
        answers = logits_of(average, held)
        right = (answers.argmax(1) == held_labels).mean()
        same = (answers.argmax(1) == held_logits.argmax(1)).mean()
        print(f"{cut} epoch {epoch + 1}: loss {total / steps:.4f}, held out top-1 {right:.4f}, "
              f"as whole model {same:.4f}, {time.time() - started:.0f} s", flush=True)
    return average, mean, deviation, {"cut": cut, "epochs": epochs, "seconds": round(time.time() - started)}


def main():
    folder, cut, out = sys.argv[1:4]
    epochs = int(sys.argv[4]) if len(sys.argv) > 4 else 24
    params, mean, deviation, figures = train(folder, cut, epochs)
    os.makedirs(out, exist_ok=True)
    # Padding is zero in the model's feature, the mean in ours: so the normalisation stays a layer of its own.
    arrays = {"scale": 1 / deviation, "shift": -mean / deviation}
    arrays.update(zip(("w1", "b1", "w2", "b2", "w3", "b3"), params))
    for name, values in arrays.items():
        values.astype("<f4").tofile(os.path.join(out, f"{name}.f32"))
    with open(os.path.join(out, "exit.json"), "w") as file:
        json.dump({**figures, "shapes": {n: v.shape for n, v in arrays.items()}}, file, indent=1)


main()

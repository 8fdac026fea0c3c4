# The labelled photos: which file is for training and which is held out, the one preprocessing
# that the shipped model expects, and the fixed set of training views that teacher and student share.
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

SHORT, SIDE = 144, 128
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
HOLD_OUT_EVERY = 10
VIEWS = 8


def list_files(data, held_out):
    """(paths, labels) of one side of the split; label = rank of the class folder's name."""
    root = os.path.join(data, "images", "imagenette-train-160")
    paths, labels = [], []
    for label, folder in enumerate(sorted(os.listdir(root))):
        for i, name in enumerate(sorted(os.listdir(os.path.join(root, folder)))):
            if (i % HOLD_OUT_EVERY == 0) == held_out:
                paths.append(os.path.join(root, folder, name))
                labels.append(label)
    return paths, np.array(labels)


def decode(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def decode_all(paths):
    """Every photo decoded once and kept in memory, so that no epoch pays for JPEG."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(decode, paths))


def centre_crop(image, short=SHORT, side=SIDE):
    """The shipped preprocessing up to the pixels: triangle filter with antialias, then the middle."""
    w, h = image.size
    scale = short / min(w, h)
    w, h = max(side, round(w * scale)), max(side, round(h * scale))
    image = image.resize((w, h), Image.BILINEAR)
    x, y = (w - side) // 2, (h - side) // 2
    return image.crop((x, y, x + side, y + side))


def to_batch(images):
    """PIL images of one size -> uint8 NHWC tensor."""
    return torch.from_numpy(np.stack([np.asarray(i) for i in images]))


def normalise(batch):
    """uint8 NHWC -> float NCHW with channels-last strides, which is what the convolutions like best."""
    x = batch.permute(0, 3, 1, 2).float()
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return (x - mean) / std


def view_boxes(images, seed=1):
    """[image, view, 4] crop boxes. View 0 is the evaluation crop; the others are random resized crops.

    They are fixed once so that the teacher can be run ahead of time on exactly what the student will see.
    """
    rng = np.random.default_rng(seed)
    boxes = np.zeros((len(images), VIEWS, 4), np.float32)
    for i, image in enumerate(images):
        w, h = image.size
        edge = min(w, h) * SIDE / SHORT
        boxes[i, 0] = ((w - edge) / 2, (h - edge) / 2, (w + edge) / 2, (h + edge) / 2)
        for v in range(1, VIEWS):
            area = w * h * rng.uniform(0.3, 1.0)
            aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            bw, bh = min(w, np.sqrt(area * aspect)), min(h, np.sqrt(area / aspect))
            x, y = rng.uniform(0, w - bw), rng.uniform(0, h - bh)
            boxes[i, v] = (x, y, x + bw, y + bh)
    return boxes


def take(image, box, side):
    return image.resize((side, side), Image.BILINEAR, box=tuple(map(float, box)))

# The network: four stages of plain 3x3 convolutions, joined by three necks.
# A neck is a linear 1x1 convolution down to so few channels that its output is the smallest tensor so far,
# which makes it the natural place to cut the network between two machines.
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvBN(nn.Module):
    def __init__(self, cin, cout, kernel=3, stride=1, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.bn(self.conv(x))
        return F.relu(x) if self.relu else x


class Residual(nn.Module):
    """x + f(x); f ends in a BatchNorm that starts at zero, so a fresh block passes its input through."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        nn.init.zeros_(layers[-1].bn.weight)

    def forward(self, x):
        return F.relu(x + self.layers(x))


class Neck(ConvBN):
    """In training its output is sometimes rounded to a few bits, because that is how it will travel."""

    def __init__(self, cin, cout):
        super().__init__(cin, cout, kernel=1, relu=False)
        self.bits = None

    def forward(self, x):
        x = super().forward(x)
        return x if self.bits is None else fake_quantise(x, self.bits)


def fake_quantise(x, bits):
    """Uniform min..max rounding of a whole tensor; the gradient passes as if nothing had happened."""
    y = x.detach().float()
    low, high = y.min(), y.max()
    step = (high - low).clamp_min(1e-6) / (2 ** bits - 1)
    rounded = ((y - low) / step).round() * step + low
    return x + (rounded - y).to(x.dtype)


def basic(c):
    return Residual(ConvBN(c, c), ConvBN(c, c, relu=False))


def bottleneck(c, inner):
    return Residual(ConvBN(c, inner, 1), ConvBN(inner, inner), ConvBN(inner, c, 1, relu=False))


class Neck10(nn.Module):
    WIDTH = 192  # channels of the pooled feature

    def __init__(self, classes=10):
        super().__init__()
        self.body = nn.Sequential()
        for name, part in (
            ("stem_a", ConvBN(3, 24, stride=2)),
            ("stem_b", ConvBN(24, 32, stride=2)),
            ("stage0_a", basic(32)),
            ("neck0", Neck(32, 16)),
            ("stage1_down", ConvBN(16, 64, stride=2)),
            ("stage1_a", basic(64)),
            ("stage1_b", basic(64)),
            ("neck1", Neck(64, 24)),
            ("stage2_down", ConvBN(24, 96, stride=2)),
            ("stage2_a", basic(96)),
            ("stage2_b", basic(96)),
            ("neck2", Neck(96, 32)),
            ("stage3_wide", ConvBN(32, 128)),
            ("stage3_down", ConvBN(128, self.WIDTH, stride=2)),
            ("stage3_a", bottleneck(self.WIDTH, 96)),
        ):
            self.body.add_module(name, part)
        self.head = nn.Linear(self.WIDTH, classes)

    def necks(self):
        return [m for m in self.body if isinstance(m, Neck)]

    def features(self, x):
        return self.body(x).float().mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


if __name__ == "__main__":
    net = Neck10().eval()
    x, total = torch.zeros(1, 3, 128, 128), 0
    for name, part in net.body.named_children():
        macs = 0
        for conv in (m for m in part.modules() if isinstance(m, nn.Conv2d)):
            conv.register_forward_hook(lambda m, i, o: setattr(m, "macs", m.weight.numel() * o[0, 0].numel()))
        x = part(x)
        macs = sum(m.macs for m in part.modules() if isinstance(m, nn.Conv2d))
        total += macs
        print(f"{name:12} {str(tuple(x.shape[1:])):16} {x.numel():6} values  {macs / 1e6:6.2f} MMAC  {total / 1e6:7.2f} so far")
    print("parameters", sum(p.numel() for p in net.parameters()))

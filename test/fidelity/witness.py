"""An I-JEPA training step by hand, in PyTorch: what every engine of jepac is measured against.

Written from the published description of the method (Assran et al., CVPR 2023, and the facts about its release that
docs/fidelity.md lists), apart from the compiler: nothing here is generated, and nothing of jepac is imported. Parameters
have the release's names and PyTorch's layouts ([out, in], [out, channels, y, x]); who compares translates.

    python witness.py --out fixtures            ten steps in float64: witness.json and witness.bin
    python witness.py --out DIR --dtype float32 the same draws in float32, for the size of rounding errors

The run is small and everything in it moves: three images a step, masks drawn by the published rule (so their lengths change
from step to step), a warm-up inside the ten steps, a rising weight decay, a rising momentum. Initial weights are larger than
the published 0.02 and no bias or scale starts at its neutral value, so that no term is too small to be seen.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

IMAGE, PATCH, WIDTH, DEPTH, HEADS = 32, 2, 12, 2, 2
NARROW, PREDICTOR_DEPTH = 8, 2
BATCH, STEPS, PER_EPOCH, EPOCHS, WARMUP = 3, 10, 2, 5, 1.5
LEARNING_RATE = (2e-4, 1e-3, 1e-6)
WEIGHT_DECAY = (0.04, 0.4)
MOMENTUM = (0.996, 1.0)
GRID = IMAGE // PATCH
TARGETS, MIN_KEEP = 4, 10


# ---------------------------------------------------------------------------------------------------- network

class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        rows, tokens, width = x.shape
        per_head = lambda y: y.view(rows, tokens, self.heads, self.each).transpose(1, 2)
        # The 3·width outputs are all queries, then all keys, then all values.
        q, k, v = (per_head(part) for part in self.qkv(x).split(width, dim=-1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.each)
        mixed = torch.softmax(scores, dim=-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(rows, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        h = self.fc1(x)
        return self.fc2(0.5 * h * (1 + torch.erf(h / math.sqrt(2))))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def positions(width):
    """[tokens, width]: first half the column, second half the row; in each the sines before the cosines."""
    quarter = width // 4
    table = torch.zeros(GRID * GRID, width, dtype=torch.float64)
    for token in range(GRID * GRID):
        row, column = divmod(token, GRID)
        for k in range(quarter):
            speed = 10000.0 ** (-k / quarter)
            table[token, k] = math.sin(column * speed)
            table[token, quarter + k] = math.cos(column * speed)
            table[token, 2 * quarter + k] = math.sin(row * speed)
            table[token, 3 * quarter + k] = math.cos(row * speed)
    return table.float()


class PatchEmbed(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, WIDTH, kernel_size=PATCH, stride=PATCH)

    def forward(self, image):
        return self.proj(image).flatten(2).transpose(1, 2)


def gather(x, masks):
    """Tokens of every mask, the masks' results one after another on the batch axis."""
    return torch.cat([torch.gather(x, 1, mask[:, :, None].expand(-1, -1, x.shape[2])) for mask in masks])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.register_buffer("table", positions(WIDTH))

    def forward(self, image, masks=None):
        x = self.patch_embed(image) + self.table
        if masks is not None:
            x = gather(x, masks)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.predictor_embed = nn.Linear(WIDTH, NARROW)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, NARROW))
        self.predictor_blocks = nn.ModuleList(Block(NARROW, HEADS) for _ in range(PREDICTOR_DEPTH))
        self.predictor_norm = nn.LayerNorm(NARROW, eps=1e-6)
        self.predictor_proj = nn.Linear(NARROW, WIDTH)
        self.register_buffer("table", positions(NARROW))

    def forward(self, context, contexts, targets):
        """`context` is [E·B, Kc, width]; the result [M·E·B, Kt, width], by target block, then context block, then image."""
        batch = context.shape[0] // len(contexts)
        places = self.table.expand(batch, -1, -1)
        known = self.predictor_embed(context) + gather(places, contexts)
        results = []
        for mask in targets:
            queries = self.mask_token + gather(places, [mask]).repeat(len(contexts), 1, 1)
            x = torch.cat([known, queries], dim=1)
            for block in self.predictor_blocks:
                x = block(x)
            results.append(self.predictor_proj(self.predictor_norm(x)[:, known.shape[1]:]))
        return torch.cat(results)


# ---------------------------------------------------------------------------------------------------- masks

def block_size(generator, scale, aspect):
    """One uniform draw decides area and shape together."""
    u = torch.rand(1, generator=generator).item()
    area = int(GRID * GRID * (scale[0] + u * (scale[1] - scale[0])))
    ratio = aspect[0] + u * (aspect[1] - aspect[0])
    height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return min(height, GRID - 1), min(width, GRID - 1)


def place(size, region):
    """A block of that size somewhere (never at the last offset), and what it shares with `region`."""
    height, width = size
    top = torch.randint(0, GRID - height, (1,)).item()
    left = torch.randint(0, GRID - width, (1,)).item()
    block = torch.zeros(GRID, GRID, dtype=torch.bool)
    block[top:top + height, left:left + width] = True
    return block & region


def draw_masks(step):
    """Index lists for one batch: one context, four targets, each [BATCH, K]."""
    generator = torch.Generator().manual_seed(step - 1)
    target_size = block_size(generator, (0.15, 0.2), (0.75, 1.5))
    context_size = block_size(generator, (0.85, 1.0), (1.0, 1.0))
    everything = torch.ones(GRID, GRID, dtype=torch.bool)
    contexts, targets = [], [[] for _ in range(TARGETS)]
    for _ in range(BATCH):
        free = everything.clone()
        for m in range(TARGETS):
            block = place(target_size, everything)
            free &= ~block
            targets[m].append(block.flatten().nonzero().flatten())
        while (context := place(context_size, free)).sum() <= MIN_KEEP:
            pass
        contexts.append(context.flatten().nonzero().flatten())
    shortest = min(len(c) for c in contexts)
    return [torch.stack([c[:shortest] for c in contexts])], [torch.stack(t) for t in targets]


# ---------------------------------------------------------------------------------------------------- schedules

TOTAL = int(EPOCHS * PER_EPOCH)
WARM = int(WARMUP * PER_EPOCH)


def learning_rate(t):
    start, peak, final = LEARNING_RATE
    if t < WARM:
        return start + t / max(1, WARM) * (peak - start)
    return max(final, final + (peak - final) * 0.5 * (1 + math.cos(math.pi * (t - WARM) / max(1, TOTAL - WARM))))


def weight_decay(t):
    first, last = WEIGHT_DECAY
    return min(last, last + (first - last) * 0.5 * (1 + math.cos(math.pi * t / TOTAL)))


def momentum(t):
    first, last = MOMENTUM
    return first + (t - 1) * (last - first) / TOTAL


# ---------------------------------------------------------------------------------------------------- the run

def shake(module):
    """Initial weights, drawn in float32 whatever the type of the run."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            neutral = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            p.copy_(neutral + 0.15 * torch.randn(p.shape))


def groups(*modules):
    """Two per module: what decays and what does not (biases, and everything of one axis)."""
    found = []
    for module in modules:
        named = list(module.named_parameters())
        plain = [p for n, p in named if "bias" in n or p.ndim == 1]
        decayed = [p for n, p in named if not ("bias" in n or p.ndim == 1)]
        found += [{"params": decayed, "decays": True}, {"params": plain, "decays": False, "weight_decay": 0.0}]
    return found


class Recorder:
    """Arrays one after another in one file, and where each lies."""

    def __init__(self):
        self.bytes, self.index = bytearray(), []

    def add(self, name, tensor):
        array = tensor.detach().contiguous().cpu().numpy()
        array = array.astype({"i": "<i4", "u": "u1", "f": "<f8"}[array.dtype.kind])
        self.bytes += b"\0" * (-len(self.bytes) % 8)
        self.index.append({"name": name, "dtype": {"i": "i32", "u": "u8", "f": "f64"}[array.dtype.kind], "shape": list(array.shape), "offset": len(self.bytes)})
        self.bytes += array.tobytes()


def run(dtype, out):
    torch.manual_seed(20230119)
    torch.use_deterministic_algorithms(True)
    encoder, predictor = Encoder(), Predictor()
    shake(encoder)
    shake(predictor)
    target_encoder = Encoder()
    target_encoder.load_state_dict(encoder.state_dict())
    # The teacher starts a little apart, so that the moving average has something to average from the first step on.
    with torch.no_grad():
        for p in target_encoder.parameters():
            p.add_(0.02 * torch.randn(p.shape))
    target_encoder.requires_grad_(False)
    pixels = torch.randint(0, 256, (STEPS, BATCH, 3, IMAGE, IMAGE), dtype=torch.uint8)
    masks = [draw_masks(step) for step in range(1, STEPS + 1)]
    for module in (encoder, predictor, target_encoder):
        module.to(dtype)
    modules = {"encoder": encoder, "predictor": predictor, "target_encoder": target_encoder}
    optimizer = torch.optim.AdamW(groups(encoder, predictor), lr=0.0, betas=(0.9, 0.999), eps=1e-8, foreach=False)

    record = Recorder()
    for part, module in modules.items():
        for name, p in module.named_parameters():
            record.add(f"start.{part}.{name}", p)
    rows = []
    for t in range(1, STEPS + 1):
        contexts, targets = masks[t - 1]
        record.add(f"{t}.image", pixels[t - 1])
        record.add(f"{t}.context", torch.cat(contexts).int())
        record.add(f"{t}.targets", torch.cat(targets).int())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(t)
            group["weight_decay"] = weight_decay(t) if group["decays"] else 0.0
        # Powers of two: the same numbers in every type.
        image = pixels[t - 1].to(dtype) / 64 - 2
        with torch.no_grad():
            h = target_encoder(image)
            h = F.layer_norm(h, (WIDTH,), eps=1e-5)
            h = gather(h, targets)
        z = predictor(encoder(image, contexts), contexts, targets)
        apart = (z - h).abs()
        loss = torch.where(apart < 1, 0.5 * apart ** 2, apart - 0.5).mean()
        optimizer.zero_grad()
        loss.backward()
        for part in ("encoder", "predictor"):
            for name, p in modules[part].named_parameters():
                record.add(f"{t}.grad.{part}.{name}", p.grad)
        optimizer.step()
        with torch.no_grad():
            m = momentum(t)
            for slow, fast in zip(target_encoder.parameters(), encoder.parameters()):
                slow.mul_(m).add_((1 - m) * fast)
        for part, module in modules.items():
            for name, p in module.named_parameters():
                record.add(f"{t}.after.{part}.{name}", p)
        rows.append({"step": t, "loss": loss.item(), "learningRate": learning_rate(t), "weightDecay": weight_decay(t), "momentum": m, "context": contexts[0].shape[1], "target": targets[0].shape[1]})

    out.mkdir(parents=True, exist_ok=True)
    document = {
        "made": f"witness.py, {str(dtype).removeprefix('torch.')}", "image": IMAGE, "patch": PATCH, "width": WIDTH, "depth": DEPTH, "heads": HEADS,
        "narrow": NARROW, "predictorDepth": PREDICTOR_DEPTH, "batch": BATCH, "perEpoch": PER_EPOCH, "epochs": EPOCHS, "warmup": WARMUP,
        "learningRate": LEARNING_RATE, "weightDecay": WEIGHT_DECAY, "momentumRange": MOMENTUM, "steps": rows, "arrays": record.index,
    }
    text = json.dumps(document, separators=(",", ":"))
    (out / "witness.json").write_text(text.replace('{"name"', '\n{"name"').replace('{"step"', '\n{"step"') + "\n")
    (out / "witness.bin").write_bytes(bytes(record.bytes))
    print(json.dumps({"torch": torch.__version__, "bytes": len(record.bytes), "losses": [r["loss"] for r in rows], "lengths": [[r["context"], r["target"]] for r in rows]}))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    given = arguments.parse_args()
    run(getattr(torch, given.dtype), given.out)

"""One I-JEPA training step in PyTorch eager: what the compiled step is measured against.

Written from the published description (Assran et al., CVPR 2023): full image through the teacher, parameter-free layer
norm, gather; context tokens through the student; predictor over [context ; mask tokens] for each target block, blocks on the
batch axis; smooth-L1; AdamW with decay groups; moving average. Fixed mask lengths, random data: only time is measured.

    python ijepa_step.py --steps 10 --warmup 3 [--threads 2] [--batch 64] [--device cuda] [--bf16] ...

Prints one JSON object: images_per_second (from the median step), step_ms, cpu_ms (the
least, over all threads: what to compare on a machine that others use too), loss, torch version, threads.
Give PyTorch its best setting: OMP_NUM_THREADS=1, or OMP_WAIT_POLICY=passive with two threads.
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = ((q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


def sincos(width, grid):
    """[grid*grid, width]: the first half codes the column, the second the row; sines, then cosines."""
    half = width // 2
    omega = 10000.0 ** (-torch.arange(half // 2, dtype=torch.float64) / (half / 2))
    position = torch.arange(grid, dtype=torch.float64)
    code = torch.cat([torch.sin(position[:, None] * omega), torch.cos(position[:, None] * omega)], 1)
    return torch.cat([code.repeat(grid, 1), code.repeat_interleave(grid, 0)], 1).float()


def pick(x, index):
    """x [B, N, D], index [M*B, K]: row r reads image r mod B."""
    copies = index.shape[0] // x.shape[0]
    return x.repeat(copies, 1, 1).gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class Encoder(nn.Module):
    def __init__(self, patch, grid, width, depth, heads):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.register_buffer("position", sincos(width, grid))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, image, index=None):
        x = self.embed(image).flatten(2).transpose(1, 2) + self.position
        if index is not None:
            x = pick(x, index)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Predictor(nn.Module):
    def __init__(self, grid, outer, width, depth, heads):
        super().__init__()
        self.embed = nn.Linear(outer, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("position", sincos(width, grid))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.project = nn.Linear(width, outer)

    def forward(self, x, context, targets):
        x = self.embed(x) + self.position[context]
        queries = self.mask_token + self.position[targets]
        x = torch.cat([x.repeat(targets.shape[0] // x.shape[0], 1, 1), queries], 1)
        for block in self.blocks:
            x = block(x)
        return self.project(self.norm(x[:, -targets.shape[1]:]))


def groups(*modules):
    """Biases and one-dimensional parameters are not decayed."""
    named = [(name, p) for module in modules for name, p in module.named_parameters()]
    plain = [p for name, p in named if "bias" in name or p.ndim == 1]
    decayed = [p for name, p in named if not ("bias" in name or p.ndim == 1)]
    return [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]


def main():
    arguments = argparse.ArgumentParser()
    for name, value in dict(steps=10, warmup=3, threads=0, batch=64, image=32, patch=4, width=192, depth=6, heads=3,
                            pred_width=96, pred_depth=3, context=18, targets=4, target=10).items():
        arguments.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--bf16", action="store_true", help="products and attention in bf16 by autocast")
    o = arguments.parse_args()
    if o.device == "cuda" and not torch.cuda.is_available():
        print(f"torch {torch.__version__} has no CUDA device", file=sys.stderr)
        sys.exit(3)
    if o.threads:
        torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    grid = o.image // o.patch
    student = Encoder(o.patch, grid, o.width, o.depth, o.heads)
    teacher = Encoder(o.patch, grid, o.width, o.depth, o.heads)
    predictor = Predictor(grid, o.width, o.pred_width, o.pred_depth, o.heads)
    for module in (student, predictor):
        for p in module.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.02)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    for module in (student, teacher, predictor):
        module.to(o.device)
    optimizer = torch.optim.AdamW(groups(student, predictor), lr=1e-3, betas=(0.9, 0.999), eps=1e-8)

    image = torch.randn(o.batch, 3, o.image, o.image).to(o.device)
    draw = lambda rows, kept: torch.stack([torch.randperm(grid * grid)[:kept].sort().values for _ in range(rows)]).to(o.device)
    context, targets = draw(o.batch, o.context), draw(o.targets * o.batch, o.target)

    def step():
        with torch.autocast(o.device, dtype=torch.bfloat16, enabled=o.bf16):
            with torch.no_grad():
                h = teacher(image)
                h = pick(F.layer_norm(h, (h.shape[-1],)), targets)
            z = predictor(student(image, context), context, targets)
            loss = F.smooth_l1_loss(z.float(), h.float())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), student.parameters()):
                slow.mul_(0.996).add_(fast, alpha=1 - 0.996)
        return float(loss.detach())

    times, processor = [], []
    for index in range(o.warmup + o.steps):
        begin, used = time.perf_counter(), time.process_time()
        loss = step()
        if index >= o.warmup:
            times.append(time.perf_counter() - begin)
            processor.append(time.process_time() - used)
    assert math.isfinite(loss)
    median = statistics.median(times)
    print(json.dumps({"images_per_second": o.batch / median, "step_ms": 1000 * median, "cpu_ms": 1000 * min(processor), "loss": loss,
                      "torch": torch.__version__, "device": torch.cuda.get_device_name() if o.device == "cuda" else o.device, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()

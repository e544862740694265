"""A square bf16 matrix product in PyTorch on CUDA: what the f16 product of the WGSL target is measured against.

    python gemm.py --side 4096 [--rounds 50]

Prints one JSON object: flops (from the median), ms, torch version, device. Exits with 3 where torch has no CUDA.
"""
import argparse
import json
import statistics
import sys
import time

import torch


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--side", type=int, default=4096)
    arguments.add_argument("--rounds", type=int, default=50)
    o = arguments.parse_args()
    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} has no CUDA device", file=sys.stderr)
        sys.exit(3)
    a, b = (torch.randn(o.side, o.side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    # A card takes a while to leave its idle clock.
    started = time.monotonic()
    while time.monotonic() - started < 0.5:
        a @ b
        torch.cuda.synchronize()
    times = []
    for index in range(o.rounds + 5):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        if index >= 5:
            times.append(begin.elapsed_time(end))
    ms = statistics.median(times)
    print(json.dumps({"flops": 2 * o.side**3 / (ms / 1000), "ms": ms, "torch": torch.__version__, "device": torch.cuda.get_device_name()}))


if __name__ == "__main__":
    main()

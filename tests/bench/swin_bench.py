#!/usr/bin/env python3
"""Forward time of Swin-T here against Hugging Face's and timm's on the same machine, threads and image size.

usage: swin_bench.py FOLDER_OF_PROGRAMS [--name swin_t] [--size HEIGHT WIDTH] [--threads N] [--rounds N]
Needs torch, and transformers or timm; what is not installed is left out. Runs alternate, so that a busy machine is fair to
all. Prints the smallest wall-clock and processor seconds of each, and the ratios of ours to theirs.
"""
import argparse
import os
import subprocess
import sys
import time

SIZES = {"swin_t": (96, [2, 2, 6, 2], [3, 6, 12, 24], 7), "swin_s": (96, [2, 2, 18, 2], [3, 6, 12, 24], 7),
         "swin_b": (128, [2, 2, 18, 2], [4, 8, 16, 32], 12), "swin_l": (192, [2, 2, 18, 2], [6, 12, 24, 48], 12)}


class Ours:
    def __init__(self, program, name, size, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
        self.process = subprocess.Popen([program, name, *map(str, size), str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout.readline().strip() == "ready"

    def __call__(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wall, processor, _ = map(float, self.process.stdout.readline().split())
        return wall, processor


class Theirs:
    def __init__(self, run):
        self.run = run

    def __call__(self):
        wall, processor = time.perf_counter(), time.process_time()
        self.run()
        return time.perf_counter() - wall, time.process_time() - processor


def peers(name, size):
    import torch
    embed, depths, heads, window = SIZES[name]
    images = torch.randn(1, 3, *size)
    try:
        import transformers
        for attention in ("sdpa", "eager"):
            config = transformers.SwinConfig(embed_dim=embed, depths=depths, num_heads=heads, window_size=window,
                                             out_features=["stage1", "stage2", "stage3", "stage4"])
            config._attn_implementation = attention
            model = transformers.SwinBackbone(config).eval()
            yield f"transformers {transformers.__version__}, {attention}", Theirs(lambda model=model: model(images))
    except ImportError:
        print("transformers: not installed", file=sys.stderr)
    try:
        import timm
        model = timm.models.swin_transformer.SwinTransformer(
            img_size=size, embed_dim=embed, depths=depths, num_heads=heads, window_size=window, num_classes=0,
            always_partition=True, strict_img_size=False).eval()
        yield f"timm {timm.__version__}", Theirs(lambda: model.forward_features(images))
    except ImportError:
        print("timm: not installed", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs")
    parser.add_argument("--name", default="swin_t", choices=SIZES)
    parser.add_argument("--size", type=int, nargs=2, default=[800, 1216])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    import torch
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    runs = {"iuq": Ours(os.path.join(args.programs, "swin_bench"), args.name, args.size, args.threads)}
    runs.update(peers(args.name, args.size))
    best = {name: [float("inf")] * 2 for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            best[name] = [min(pair) for pair in zip(best[name], run())]
    print(f"{args.name} {args.size[0]}x{args.size[1]}, {args.threads} threads, torch {torch.__version__}")
    for name, (wall, processor) in best.items():
        print(f"{name:30} {wall:7.3f} s  {processor:7.3f} s of processor    ours is {best['iuq'][0] / wall:.2f}, "
              f"{best['iuq'][1] / processor:.2f} of it")


if __name__ == "__main__":
    # Waiting threads that spin would take the cores from the other program; read when torch is loaded.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    sys.exit(main())

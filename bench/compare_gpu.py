"""Times scry beside PyTorch on a GPU, op by op and for a whole pass, and writes one JSON record.

    python bench/compare_gpu.py [--device cuda:0] [--output FILE.json] [--rounds 3] [--rows matmul,lens,...] [--tiny]

For each row scry (a process of its own: scry-bench-op, scry-bench-forward) and PyTorch (here) run in turn on the same
GPU, each with samples of one run and one wait. What a row asks is in GOALS. --tiny shrinks every size and
--torch-device cpu runs PyTorch on the processor: that tries the script where there is no GPU, and measures nothing.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
STATISTICS = ("lse", "entropy", "max", "argmax", "received")

# What is asked of rows: scry's time over PyTorch's, at most.
GOALS = {
    "matmul": 1.03,
    "attention strict": 0.5,
    "attention bf16": 2.0,
    "lens": 1.25,
    "forward": 1 / 3,
}


@dataclasses.dataclass
class Row:
    """One comparison: arguments of scry's program, and a function that makes PyTorch's contenders, by name."""

    kind: str
    name: str
    scry: list
    torch: callable
    goal: str = ""


class Torch:
    """PyTorch's side: what runs, on which device."""

    def __init__(self, device):
        self.device = torch.device(device)
        torch.manual_seed(0)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def random(self, *shape, dtype=torch.float32):
        return torch.rand(shape, device=self.device, dtype=dtype) * 2 - 1

    def times(self, run, repeat):
        for _ in range(3):
            run()
        found = []
        for _ in range(repeat):
            self.wait()
            begin = time.perf_counter()
            run()
            self.wait()
            found.append((time.perf_counter() - begin) * 1e3)
        return found

    def extra_bytes(self, run):
        """The most that is allocated during a run, over what was there before."""
        if self.device.type != "cuda":
            return None
        self.wait()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        self.wait()
        return torch.cuda.max_memory_allocated() - before

    # Contenders. Each function takes a row's sizes and returns {name: a function that runs it}.

    def matmul(self, m, n, k):
        a, b = self.random(m, k), self.random(n, k).t()
        return {"torch.matmul": lambda: a @ b}

    def attention_eager(self, batches, heads, tokens, size):
        q, k, v = (self.random(batches, heads, tokens, size) for _ in range(3))
        mask = torch.full((tokens, tokens), float("-inf"), device=self.device).triu(1)

        def run():
            scores = q @ k.transpose(-1, -2) * size**-0.5 + mask
            lse = scores.logsumexp(-1)
            attention = scores.softmax(-1)
            largest = attention.max(-1)
            entropy = torch.special.entr(attention).sum(-1)
            keys = [attention.diagonal(offset, -2, -1) for offset in (0, -1)] + [attention[..., 0]]
            return attention @ v, lse, entropy, largest.values, largest.indices, keys, attention[..., tokens // 2]

        return {"eager, with the rows' statistics": run}

    def attention_fused(self, dtype):
        """FlashAttention as PyTorch has it; on a processor, whatever it has there."""

        def contenders(batches, heads, tokens, size):
            q, k, v = (self.random(batches, heads, tokens, size, dtype=dtype) for _ in range(3))
            backends = torch.nn.attention.SDPBackend
            backend = backends.FLASH_ATTENTION if self.device.type == "cuda" else backends.MATH

            def run():
                with torch.nn.attention.sdpa_kernel(backend):
                    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

            return {f"SDPA (flash) {dtype}, no statistics".replace("torch.", ""): run}

        return contenders

    def unembedding(self, layers, tokens, vocabulary, size):
        x, weights = self.random(layers * tokens, size), self.random(vocabulary, size).t()
        piece = max(1, 2**31 // (vocabulary * 4))  # rows whose logits take 2 GiB
        logits = torch.empty(min(piece, layers * tokens), vocabulary, device=self.device)

        def run():
            for begin in range(0, layers * tokens, piece):
                rows = x[begin : begin + piece]
                torch.matmul(rows, weights, out=logits[: len(rows)])

        return {"the bare matmul, strict f32": run}


def rows_of(options, side):
    """Every row; --tiny keeps the shapes of the problems and shrinks their sizes."""
    shrink = 16 if options.tiny else 1
    tokens, width = 4096 // shrink, 2048 // shrink
    rows = []
    for name, sizes in (("4096", (4096, 4096, 4096)), ("GPT-2's MLP, T = 1024", (1024, 3072, 768))):
        sizes = tuple(size // shrink for size in sizes)
        for kernel in ("", "library", "tile"):
            extra = ["--kernel", kernel] if kernel else []
            rows.append(
                Row(
                    "matmul",
                    f"{name}{', kernel ' + kernel if kernel else ''}",
                    ["matmul", *sizes, *extra],
                    lambda sizes=sizes: side.matmul(*sizes),
                    "" if kernel else "matmul",
                )
            )
    for precision, sizes in (
        ("strict", (1, 12, tokens, 64)),
        ("bf16", (1, 12, tokens, 64)),
        ("bf16", (1, 32, tokens, 128)),
        ("f16", (1, 32, tokens, 128)),
    ):
        make = side.attention_eager
        if precision != "strict":
            make = side.attention_fused(torch.bfloat16 if precision == "bf16" else torch.float16)
        for which, words in (("none", ""), ("rows", ", row statistics"), ("all", ", all statistics")):
            rows.append(
                Row(
                    "attention",
                    f"{precision}, {sizes[1]} heads of {sizes[3]}, T = {tokens}{words}",
                    ["attention", *sizes, "--precision", precision, "--statistics", which],
                    lambda make=make, sizes=sizes: make(*sizes),
                    f"attention {precision}" if which == "rows" else "",
                )
            )
    sizes = (32 // min(shrink, 16), 1024 // shrink, 128256 // shrink, width)
    for weights in ("f32", "bf16"):
        rows.append(
            Row(
                "lens",
                f"{sizes[0]} x {sizes[1]} rows, {sizes[2]} tokens, d = {width}, weights {weights}",
                ["lens", *sizes, "--weights", weights],
                lambda: side.unembedding(*sizes),
                "lens" if weights == "f32" else "",
            )
        )
    return rows


def run_program(options, name, arguments):
    """One run of scry's program; a refusal is its reason."""
    command = [options.build / "bench" / name, *arguments, "--device", options.device]
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        return {"refused": result.stderr.strip()[-400:] or f"exit {result.returncode}"}
    return json.loads(result.stdout.strip().splitlines()[-1])


def summary(times):
    ordered = sorted(times)
    return {"median": statistics.median(ordered), "min": ordered[0], "max": ordered[-1], "count": len(ordered)}


def measure(options, side, row):
    """Lets scry and PyTorch take turns for some rounds."""
    measured = {"kind": row.kind, "name": row.name, "goal": None if options.tiny else GOALS.get(row.goal)}
    contenders = row.torch()
    scry, theirs = [], {name: [] for name in contenders}
    for _ in range(options.rounds):
        found = run_program(options, "scry-bench-op", [*row.scry, "--repeat", options.repeat])
        if "refused" in found:
            return measured | {"scry": found}
        scry += found["times_ms"]
        for name, run in contenders.items():
            theirs[name] += side.times(run, options.repeat)
    known = {key: found[key] for key in ("device", "kernel", "precision", "scratch_bytes", "flops")}
    measured["scry"] = {"ms": summary(scry), **known}
    measured["torch"] = [
        {"name": name, "ms": summary(times), "extra_bytes": side.extra_bytes(contenders[name])}
        for name, times in theirs.items()
    ]
    fastest = min(entry["ms"]["median"] for entry in measured["torch"])
    measured["ratio"] = measured["scry"]["ms"]["median"] / fastest
    return measured


def measure_forward(options, side, directory):
    """A GPT-2-small-sized pass that leaves statistics of every head, and transformers' eager pass with its maps."""
    import transformers

    import torch_side

    tokens = 64 if options.tiny else 1024
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2 if options.tiny else 12)
    made = transformers.GPT2LMHeadModel(config)
    made.save_pretrained(directory / "model")
    ids = torch.randint(config.vocab_size, (1, tokens), dtype=torch.int32)
    (directory / "ids.bin").write_bytes(bytes(ids.numpy().tobytes()))
    model = transformers.GPT2LMHeadModel.from_pretrained(
        directory / "model", attn_implementation="eager", dtype=torch.float32
    ).eval()
    model, ids = model.to(side.device), ids.long().to(side.device)
    goal = None if options.tiny else GOALS["forward"]
    measured = {"kind": "forward", "name": f"GPT-2 small's size, T = {tokens}", "goal": goal}
    scry, theirs = [], []
    for _ in range(options.rounds):
        arguments = ["statistics", "--model", directory / "model", "--ids", directory / "ids.bin", "--count", tokens]
        found = run_program(options, "scry-bench-forward", [*arguments, "--repeat", options.repeat])
        if "refused" in found:
            return measured | {"scry": found}
        scry += found["times_ms"]
        theirs += side.times(lambda: torch_side.statistics(model, ids), options.repeat)
    measured["scry"] = {"ms": summary(scry), "device": found["device"]}
    run = {"name": "transformers eager, output_attentions, statistics of the maps", "ms": summary(theirs)}
    measured["torch"] = [run | {"extra_bytes": side.extra_bytes(lambda: torch_side.statistics(model, ids))}]
    measured["ratio"] = measured["scry"]["ms"]["median"] / measured["torch"][0]["ms"]["median"]
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0", help="scry's")
    parser.add_argument("--torch-device", default="cuda")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--rows", default="forward,attention,lens,matmul", help="kinds of rows, in their order")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()

    side = Torch(options.torch_device)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    record = {"schema": "scry.compare_gpu/1", "device": options.device, **versions, "rows": []}
    with tempfile.TemporaryDirectory(prefix="scry-gpu-") as directory, torch.inference_mode():
        for kind in options.rows.split(","):
            chosen = [row for row in rows_of(options, side) if row.kind == kind]
            steps = [lambda row=row: measure(options, side, row) for row in chosen]
            if kind == "forward":
                steps = [lambda: measure_forward(options, side, Path(directory))]
            for step in steps:
                record["rows"].append(step())
                print(json.dumps(record["rows"][-1]), file=sys.stderr, flush=True)
                if options.output:  # what was measured stays, whatever ends the run
                    options.output.write_text(json.dumps(record, indent=1) + "\n")
    if not options.output:
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()

"""Times scry's ops of training beside PyTorch's autograd and optimisers on the CPU, and writes a record.

    python bench/compare_training.py [--output bench/records/NAME] [--rounds 5] [--rows loss,adamw,...] [--quick]

Each row is one op. scry (scry-bench-op, a process of its own) and PyTorch (here) take turns with the same number of
threads. Before a row is timed, scry dumps what its operands held before and after one run, and PyTorch computes the
same from the former: where the largest difference exceeds LIMIT of the largest entry, the script ends. NAME.json holds
everything measured, NAME.md the table.

What is timed on PyTorch's side is the backward pass alone, over a graph that is kept, where the op is a gradient; the
forward pass too for the loss, which has both in one op; the step, for optimisers.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import compare_record
import numpy as np
import torch
from compare_torch import ROOT, machine
from torch.nn import functional

LIMIT = 1e-4
GRADIENT = ["--gradient"]


@dataclasses.dataclass
class Row:
    """One op: its sizes, the operands in the order of the dump, the names of those that it leaves, and PyTorch's way:
    a function of the operands by name that gives the contenders, by name, each a function that returns the results."""

    kind: str
    sizes: tuple
    operands: dict
    results: tuple
    torch: callable
    extra: tuple = ()


def gradient_of(inputs, forward, d_out):
    """A contender that runs the backward pass over one graph, again and again."""
    inputs = [x.requires_grad_() for x in inputs]
    out = forward(*inputs)
    return lambda: torch.autograd.grad(out, inputs, d_out, retain_graph=True)


def matmul(m, n, k):
    def make(x):
        return {"mm": lambda: [torch.mm(x["a"].t(), x["b"])]}

    return Row("matmul", (m, n, k), {"a": (k, m), "b": (k, n), "c": (m, n)}, ("c",), make, GRADIENT)


def sums(rows, columns):
    def make(x):
        return {"sum": lambda: [x["x"].sum(0)]}

    return Row("sum", (rows, columns), {"x": (rows, columns), "out": (columns,)}, ("out",), make)


def activation(rows, size):
    def make(x):
        return {"gelu, tanh": gradient_of([x["x"]], lambda x: functional.gelu(x, approximate="tanh"), x["d_out"])}

    shape = (rows, size)
    return Row("activation_backward", shape, {"x": shape, "d_out": shape, "d_x": shape}, ("d_x",), make)


def norm(rows, size):
    def make(x):
        bias = torch.zeros(size)
        forward = lambda values, weight, bias: functional.layer_norm(values, (size,), weight, bias)
        return {"layer_norm": gradient_of([x["x"], x["weight"], bias], forward, x["d_out"])}

    shape = (rows, size)
    operands = {"weight": (size,), "x": shape, "d_out": shape, "d_x": shape, "d_weight": (size,), "d_bias": (size,)}
    return Row("norm_backward", shape, operands, ("d_x", "d_weight", "d_bias"), make)


def embed(rows, vocabulary, size):
    def make(x):
        ids, table = x["ids"].long(), torch.zeros(vocabulary, size)
        return {"embedding": gradient_of([table], lambda table: functional.embedding(ids, table), x["d_out"])}

    operands = {"ids": (rows,), "d_out": (rows, size), "d_table": (vocabulary, size)}
    return Row("embed_backward", (rows, vocabulary, size), operands, ("d_table",), make)


def attention(batches, heads, tokens, size):
    def fused(q, k, v):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)

    def eager(q, k, v):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        scores = q @ k.transpose(-1, -2) * size**-0.5
        masked = scores.masked_fill(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), -torch.inf)
        return (masked.softmax(-1) @ v).transpose(1, 2)

    def make(x):
        inputs = [x["q"], x["k"], x["v"]]
        return {name: gradient_of(inputs, way, x["d_out"]) for name, way in (("sdpa", fused), ("eager", eager))}

    shape = (batches, tokens, heads, size)
    operands = dict.fromkeys(("q", "k", "v", "out"), shape) | {"lse": (batches, heads, tokens)}
    operands |= dict.fromkeys(("d_out", "d_q", "d_k", "d_v"), shape)
    return Row("attention_backward", (batches, heads, tokens, size), operands, ("d_q", "d_k", "d_v"), make)


def loss(rows, vocabulary, size):
    def make(x):
        inputs = [x["x"].requires_grad_(), x["unembedding"].requires_grad_()]
        target = x["target"].long()

        def run():
            losses = functional.cross_entropy(functional.linear(*inputs), target, reduction="none")
            return losses.detach(), *torch.autograd.grad(losses.mean(), inputs)

        return {"linear, cross_entropy": run}

    operands = {"x": (rows, size), "unembedding": (vocabulary, size), "target": (rows,), "loss": (rows,)}
    operands |= {"d_x": (rows, size), "d_unembedding": (vocabulary, size)}
    return Row("loss", (rows, vocabulary, size), operands, ("loss", "d_x", "d_unembedding"), make)


def optimiser(kind, count, moments, ways):
    """Steps go on from the last one, as training does; the first is the one that is compared."""

    def make(x):
        contenders = {}
        for name, way in ways.items():
            parameter = torch.nn.Parameter(x["parameter"].clone())
            parameter.grad = x["gradient"].clone()
            stepper = way([parameter])
            contenders[name] = lambda stepper=stepper, parameter=parameter: (stepper.step(), [parameter.detach()])[1]
        return contenders

    operands = dict.fromkeys(("gradient", "parameter", *moments), (count,))
    return Row(kind, (count,), operands, ("parameter",), make)


def adamw(count):
    common = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    ways = {
        "foreach": lambda parameters: torch.optim.AdamW(parameters, foreach=True, **common),
        "fused": lambda parameters: torch.optim.AdamW(parameters, fused=True, **common),
    }
    return optimiser("adamw", count, ("first", "second"), ways)


def sgd(count):
    common = {"lr": 1e-3, "momentum": 0.9, "nesterov": True}
    ways = {
        "foreach": lambda parameters: torch.optim.SGD(parameters, foreach=True, **common),
        "fused": lambda parameters: torch.optim.SGD(parameters, fused=True, **common),
    }
    return optimiser("sgd", count, ("velocity",), ways)


# GPT-2 small's sizes, a tiny GPT's on 24 tokens, and one between.
ROWS = [
    matmul(768, 3072, 1024),
    sums(1024, 3072),
    activation(1024, 3072),
    norm(1024, 768),
    norm(1536, 64),
    embed(1024, 50257, 768),
    embed(1536, 8, 64),
    attention(1, 12, 1024, 64),
    attention(8, 8, 256, 32),
    attention(64, 4, 24, 16),
    loss(512, 50257, 768),
    loss(2048, 1000, 128),
    loss(1536, 8, 64),
    adamw(10_000_000),
    sgd(10_000_000),
]


def run_scry(options, row, repeat, *extra):
    command = [options.build / "bench" / "scry-bench-op", row.kind, *row.sizes, "--device", options.device]
    command += ["--threads", options.threads, "--repeat", repeat, *row.extra, *extra]
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{row.kind} {row.sizes}: {result.stderr.strip()[-400:]}")
    return json.loads(result.stdout)


def read_dump(row, path):
    """What the operands held before and after, by name."""
    halves = np.split(np.fromfile(path, dtype=np.float32), 2)
    found = []
    for half in halves:
        arrays, at = {}, 0
        for name, shape in row.operands.items():
            count = int(np.prod(shape))
            values = half[at : at + count].reshape(shape)
            arrays[name] = torch.from_numpy(values.view(np.int32) if name in ("ids", "target") else values).clone()
            at += count
        assert at == len(half), f"{row.kind}: the dump has {len(half)} numbers, not {at}"
        found.append(arrays)
    return found


def largest_difference(row, contenders, after):
    """Of each contender's first results, relative to the largest entry."""
    worst = 0.0
    for run in contenders.values():
        for name, theirs in zip(row.results, run(), strict=True):
            difference = (after[name] - theirs.detach()).abs().max() / theirs.abs().max()
            worst = max(worst, float(difference))
            if not difference <= LIMIT:
                raise SystemExit(f"{row.kind} {row.sizes}: {name} differs by {float(difference):.3g} of its largest entry")
    return worst


def times_of(run, repeat):
    found = []
    for _ in range(repeat):
        begin = time.perf_counter()
        run()
        found.append((time.perf_counter() - begin) * 1e3)
    return found


def measure(options, row, directory):
    dump = directory / "dump.bin"
    run_scry(options, row, 1, "--dump", dump)
    before, after = read_dump(row, dump)
    dump.unlink()
    contenders = row.torch(before)
    measured = {"kind": row.kind, "sizes": row.sizes, "load_average": os.getloadavg()[0]}
    measured["largest_difference"] = largest_difference(row, contenders, after)
    scry, theirs = [], {name: [] for name in contenders}
    for _ in range(options.rounds):
        scry += run_scry(options, row, options.repeat)["times_ms"]
        for name, run in contenders.items():
            times_of(run, 2)
            theirs[name] += times_of(run, options.repeat)
    measured["scry_ms"] = compare_record.spread(scry)
    measured["torch_ms"] = {name: compare_record.spread(times) for name, times in theirs.items()}
    fastest = min(times["median"] for times in measured["torch_ms"].values())
    measured["times_faster"] = fastest / measured["scry_ms"]["median"]
    return measured


def markdown(record):
    lines = [
        f"{record['cpu']}, {record['threads']} threads, {record['date']}, commit {record['commit']}, "
        f"PyTorch {record['torch']}. Median and middle half in ms.",
        "",
        "| op | sizes | scry | PyTorch | times faster | largest difference |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def cell(spread):
        return f"{spread['median']:.3f} ({spread['lower_quartile']:.3f}-{spread['upper_quartile']:.3f})"

    for row in record["rows"]:
        theirs = "; ".join(f"{name} {cell(spread)}" for name, spread in row["torch_ms"].items())
        sizes = " x ".join(str(size) for size in row["sizes"])
        lines.append(
            f"| {row['kind']} | {sizes} | {cell(row['scry_ms'])} | {theirs} | {row['times_faster']:.2f} | "
            f"{row['largest_difference']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="path of the record, without its suffix")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--device", default="cpu", help="scry's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--rows", help="kinds of rows to run")
    parser.add_argument("--quick", action="store_true", help="one round, small rows only")
    options = parser.parse_args()
    options.build = options.build.resolve()
    torch.set_num_threads(options.threads)
    if options.quick:
        options.rounds = 1

    record = {
        "schema": "scry.compare_training/1",
        **machine(options),
        "torch": torch.__version__,
        "rows": [],
    }
    with tempfile.TemporaryDirectory(prefix="scry-bench-") as directory:
        for row in ROWS:
            large = sum(int(np.prod(shape)) for shape in row.operands.values()) > 1 << 23
            if (options.rows and row.kind not in options.rows.split(",")) or (options.quick and large):
                continue
            record["rows"].append(measure(options, row, Path(directory)))
            print(json.dumps(record["rows"][-1]), flush=True)
    compare_record.write(options.output, record, markdown(record))


if __name__ == "__main__":
    main()

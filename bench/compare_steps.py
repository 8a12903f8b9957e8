"""Times whole steps of `scry train --recipe copy` beside the same model in PyTorch, and writes a record.

    python bench/compare_steps.py [--output bench/records/NAME] [--rounds 5] [--steps 200] [--styles gpt2,llama] [--quick]

PyTorch begins with the weights of scry's checkpoint before training, and takes the same batches, which it draws as scry
does: by core/base/noise.c and core/train/copy.c again, here with numpy. Before anything is timed, both take CHECKED
steps: where the losses differ by more than LIMIT, the script ends. Then they take turns with the same number of threads.

scry is the program, in a process of its own; a step takes what a run of `steps` takes longer than one of a single step,
so that starting and writing checkpoints are left out. PyTorch's model is written for speed: fused attention, fused
AdamW where there is one, batches made before the clock starts.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time
from pathlib import Path

import compare_record
import numpy as np
import torch
from compare_torch import ROOT, machine
from safetensors.torch import load_file
from torch.nn import functional

CHECKED = 30
LIMIT = 1e-4
LEAST, KINDS, DRAWS = 3, 3, 8  # patterns of 3 to 5 tokens, 8 numbers set aside for each row
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def stream_of(seed, name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return mix(mix(np.uint64(seed) + GOLDEN) ^ np.uint64(value))


def batch_of(recipe, step):
    """ids [batch, length] of a step, from 1."""
    rows = np.arange(recipe["batch"], dtype=np.uint64) + np.uint64((step - 1) * recipe["batch"])
    index = rows[:, None] * np.uint64(DRAWS) + np.arange(DRAWS, dtype=np.uint64)
    high = mix(stream_of(recipe["seed"], "train") + (index + np.uint64(1)) * GOLDEN) >> np.uint64(32)
    lengths = LEAST + (high[:, 0] * np.uint64(KINDS) >> np.uint64(32)).astype(int)
    tokens = (high[:, 1:] * np.uint64(recipe["vocabulary"]) >> np.uint64(32)).astype(np.int64)
    places = np.arange(recipe["length"])[None, :] % lengths[:, None]
    return torch.from_numpy(np.take_along_axis(tokens, places, axis=1))


def rate_of(recipe, step):
    if step < recipe["warmup"]:
        return recipe["rate"] * step / recipe["warmup"]
    share = (step - recipe["warmup"]) / (recipe["steps"] - recipe["warmup"])
    return recipe["rate"] * (recipe["final_rate"] + (1 - recipe["final_rate"]) * 0.5 * (1 + math.cos(math.pi * share)))


def gpt2_logits(w, recipe, ids):
    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-5)

    def product(x, name):
        return torch.addmm(w[name + ".bias"], x.flatten(0, 1), w[name + ".weight"]).unflatten(0, x.shape[:2])

    x = w["wte.weight"][ids] + w["wpe.weight"][: ids.shape[1]]
    for layer in range(recipe["layers"]):
        h = f"h.{layer}."
        q, k, v = (
            part.unflatten(2, (recipe["heads"], -1)).transpose(1, 2)
            for part in product(norm(x, h + "ln_1"), h + "attn.c_attn").chunk(3, dim=2)
        )
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + product(z.transpose(1, 2).flatten(2), h + "attn.c_proj")
        inside = functional.gelu(product(norm(x, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh")
        x = x + product(inside, h + "mlp.c_proj")
    return functional.linear(norm(x, "ln_f"), w["wte.weight"])


def llama_logits(w, recipe, ids):
    size = recipe["hidden"] // recipe["heads"]
    angles = torch.arange(ids.shape[1])[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
    cosine, sine = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

    def norm(x, name):
        return functional.rms_norm(x, x.shape[-1:], w[name + ".weight"], 1e-5)

    def heads(x, name, turned):
        x = functional.linear(x, w[name + ".weight"]).unflatten(2, (-1, size)).transpose(1, 2)
        left, right = x.chunk(2, dim=3)
        return x * cosine + torch.cat([-right, left], dim=3) * sine if turned else x

    x = w["embed_tokens.weight"][ids]
    for layer in range(recipe["layers"]):
        h = f"layers.{layer}."
        read = norm(x, h + "input_layernorm")
        q, k, v = (heads(read, h + f"self_attn.{name}_proj", name != "v") for name in "qkv")
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + functional.linear(z.transpose(1, 2).flatten(2), w[h + "self_attn.o_proj.weight"])
        read = norm(x, h + "post_attention_layernorm")
        gate = functional.silu(functional.linear(read, w[h + "mlp.gate_proj.weight"]))
        up = functional.linear(read, w[h + "mlp.up_proj.weight"])
        x = x + functional.linear(gate * up, w[h + "mlp.down_proj.weight"])
    return functional.linear(norm(x, "norm"), w["embed_tokens.weight"])


class Learner:
    """The model of a checkpoint before training, and AdamW on it."""

    def __init__(self, checkpoint):
        self.recipe = json.loads((checkpoint / "recipe.json").read_text())
        self.logits = {"gpt2": gpt2_logits, "llama": llama_logits}[self.recipe["style"]]
        stored = load_file(checkpoint / "model.safetensors")
        self.weights = {name.split(".", 1)[1]: x.requires_grad_() for name, x in stored.items()}
        decays = [x for name, x in self.weights.items() if "layers." in name or name.startswith("h.") if x.dim() > 1]
        others = [x for x in self.weights.values() if not any(x is y for y in decays)]
        recipe = self.recipe
        self.optimiser = torch.optim.AdamW(
            [{"params": decays, "weight_decay": recipe["decay"]}, {"params": others, "weight_decay": 0.0}],
            betas=(recipe["beta1"], recipe["beta2"]), eps=recipe["epsilon"], fused=True,
        )

    def step(self, number, ids):
        for group in self.optimiser.param_groups:
            group["lr"] = rate_of(self.recipe, number)
        logits = self.logits(self.weights, self.recipe, ids)
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.recipe["clip"])
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.item()  # as scry, which reads each step's loss back

    def run(self, steps):
        batches = [batch_of(self.recipe, number) for number in range(1, steps + 1)]
        start = time.perf_counter()
        losses = [self.step(number, ids) for number, ids in enumerate(batches, 1)]
        return losses, time.perf_counter() - start


def train(options, style, steps, folder):
    """A run of scry; gives its result and how long it took."""
    command = [str(options.build / "scry"), "train", "--recipe", "copy", "--style", style, "--steps", str(steps),
               "--checkpoints", "0", "--evaluate-every", "0", "--evaluation-batches", "1", "--device", options.device,
               "-o", str(folder), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True)
    return json.loads(done.stdout), time.perf_counter() - start


def measure(options, style, directory):
    folder = directory / style / "checked"
    result, _ = train(options, style, CHECKED, folder)
    before = folder / ("step-" + "0" * len(str(CHECKED)))
    losses, _ = Learner(before).run(CHECKED)
    difference = max(abs(a - b) for a, b in zip(losses, result["losses"], strict=True))
    if not difference <= LIMIT:
        raise SystemExit(f"{style}: losses differ by {difference:g}, more than {LIMIT:g}")
    measured = {"style": style, "tokens": result["recipe"]["batch"] * result["recipe"]["length"],
                "load_average": os.getloadavg()[0], "largest_difference": difference}
    scry, theirs = [], []
    for number in range(options.rounds):
        _, short = train(options, style, 1, directory / style / f"short-{number}")
        _, long = train(options, style, options.steps, directory / style / f"long-{number}")
        scry.append(1e3 * (long - short) / (options.steps - 1))
        learner = Learner(before)
        learner.run(10)
        theirs.append(1e3 * learner.run(options.steps)[1] / options.steps)
    measured["scry_ms"] = compare_record.spread(scry)
    measured["torch_ms"] = compare_record.spread(theirs)
    measured["times_faster"] = measured["torch_ms"]["median"] / measured["scry_ms"]["median"]
    return measured


def markdown(record):
    lines = [
        f"{record['cpu']}, {record['threads']} threads, {record['date']}, commit {record['commit']}, "
        f"PyTorch {record['torch']}. A step of training in ms: median and middle half of {record['rounds']} rounds of "
        f"{record['steps']} steps.",
        "",
        "| style | tokens in a step | scry | PyTorch | times faster | largest difference of losses |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def cell(spread):
        return f"{spread['median']:.2f} ({spread['lower_quartile']:.2f}-{spread['upper_quartile']:.2f})"

    for row in record["rows"]:
        lines.append(
            f"| {row['style']} | {row['tokens']} | {cell(row['scry_ms'])} | {cell(row['torch_ms'])} | "
            f"{row['times_faster']:.2f} | {row['largest_difference']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="path of the record, without its suffix")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--device", default="cpu", help="scry's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--styles", default="gpt2,llama")
    parser.add_argument("--quick", action="store_true", help="one round of few steps")
    options = parser.parse_args()
    options.build = options.build.resolve()
    torch.set_num_threads(options.threads)
    if options.quick:
        options.rounds, options.steps = 1, 40

    record = {
        "schema": "scry.compare_steps/1",
        **machine(options),
        "steps": options.steps,
        "torch": torch.__version__,
        "rows": [],
    }
    with tempfile.TemporaryDirectory(prefix="scry-bench-") as directory:
        for style in options.styles.split(","):
            record["rows"].append(measure(options, style, Path(directory)))
            print(json.dumps(record["rows"][-1]), flush=True)
    compare_record.write(options.output, record, markdown(record))


if __name__ == "__main__":
    main()

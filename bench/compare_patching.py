"""Times activation patching in scry beside TransformerLens on the same weights and prompts, and writes a record.

    python bench/compare_patching.py [--output bench/records/NAME] [--rounds 3] [--quick]

Makes a GPT-2-small-sized model with random weights and two prompts of 15 tokens and two of 64 that differ in one token,
two thirds in, where the names differ in sentences of indirect object identification. All of them fill the same grid:
the residual stream before each layer at each position taken from the other prompt, the difference of two logits read.
scry's sweep engine, scry's naive sweep (bench/sweep.c) and TransformerLens (torch_patching.py) take turns, each in a
process of its own. NAME.json holds everything measured, NAME.md the tables.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import compare_record
from compare_torch import HANDICAPS, ROOT, machine, run_process

LIMIT = 1e-4  # largest difference of two grids
FASTER, FEWER = 15, 10  # what is asked: times faster than TransformerLens, times fewer layer-tokens than naive
PROMPTS = {15: 10, 64: 43}  # tokens: the position of the one that differs
CONTENDERS = [("scry", "engine"), ("scry", "naive"), ("torch", "bridge"), ("torch", "compatibility")]


def prepare(directory, environment):
    """The checkpoint, and for each length two prompts and two tokens to compare, all seeded."""
    script = (
        "import json, sys, numpy, torch, transformers\n"
        "torch.manual_seed(0)\n"
        "config = transformers.GPT2Config()\n"
        "transformers.GPT2LMHeadModel(config).save_pretrained(sys.argv[1] + '/model')\n"
        "random = numpy.random.default_rng(0)\n"
        "for tokens, at in json.loads(sys.argv[2]).items():\n"
        "    source = random.integers(0, config.vocab_size, int(tokens), dtype=numpy.int32)\n"
        "    baseline = source.copy()\n"
        "    baseline[at] = (source[at] + 1) % config.vocab_size\n"
        "    answers = random.integers(0, config.vocab_size, 2, dtype=numpy.int32)\n"
        "    numpy.concatenate([source, baseline, answers]).tofile(f'{sys.argv[1]}/ids{tokens}.bin')\n"
    )
    run_process([sys.executable, "-c", script, directory, json.dumps(PROMPTS)], environment)


def run_side(options, directory, environment, side, mode, tokens):
    program = [options.build / "bench" / "scry-bench-sweep"]
    if side == "torch":
        program = [sys.executable, ROOT / "bench" / "torch_patching.py"]
    command = [*program, mode, "--model", directory / "model", "--ids", directory / f"ids{tokens}.bin"]
    command += ["--count", tokens, "--repeat", options.repeat if mode == "engine" else 1, "--threads", options.threads]
    return json.loads(run_process(command, environment).strip().splitlines()[-1])


def largest_difference(ours, theirs):
    assert len(ours) == len(theirs)
    return max(abs(a - b) for a, b in zip(ours, theirs))


def measure(options, directory, environment, tokens):
    """Lets the contenders take turns; each grid is compared with the engine's."""
    runs = {contender: [] for contender in CONTENDERS}
    load = os.getloadavg()[0]
    for _ in range(options.rounds):
        for contender in CONTENDERS:
            runs[contender].append(run_side(options, directory, environment, *contender, tokens))
    engine = runs["scry", "engine"][0]
    row = {key: engine[key] for key in ("layer_tokens", "naive_layer_tokens", "patches", "skipped", "passes", "device")}
    row |= {"tokens": tokens, "different": PROMPTS[tokens], "load_average": load, "contenders": []}
    for (side, mode), found in runs.items():
        times = [ms for run in found for ms in run["times_ms"]]
        row["contenders"].append({
            "side": side,
            "mode": mode,
            "ms": compare_record.spread(times),
            "times_ms": times,
            "largest_difference": max(largest_difference(run["grid"], engine["grid"]) for run in found),
            **{key: found[0][key] for key in ("torch", "transformer-lens", "transformers") if key in found[0]},
        })
        print(f"T={tokens:<3} {side:5} {mode:14} {row['contenders'][-1]['ms']['median']:10.1f} ms", flush=True)
    moved = max(engine["grid"]) - min(engine["grid"])
    assert moved > 100 * LIMIT, f"the grid at {tokens} tokens hardly moves: {moved:g}"
    return row


def median_of(row, side, mode=None):
    return min(c["ms"]["median"] for c in row["contenders"] if c["side"] == side and mode in (None, c["mode"]))


def goals(record):
    """(what, reached, limit, at least or at most, met) for each length."""
    found = []
    for row in record["rows"]:
        at = f"T={row['tokens']}"
        apart = max(c["largest_difference"] for c in row["contenders"])
        fewer = row["naive_layer_tokens"] / row["layer_tokens"]
        faster = median_of(row, "torch") / median_of(row, "scry", "engine")
        for what, value, limit, at_least in (
            (f"{at}: times faster than TransformerLens' faster way", faster, FASTER, True),
            (f"{at}: times fewer layer-tokens than the naive sweep", fewer, FEWER, True),
            (f"{at}: largest difference of logit differences", apart, LIMIT, False),
        ):
            met = value >= limit if at_least else value <= limit
            found.append({"what": what, "value": value, "limit": limit, "at_least": at_least, "met": met})
    return found


def markdown(record):
    at = record["machine"]
    versions = record["rows"][0]["contenders"][-1]
    lines = [
        f"# Activation patching beside TransformerLens, {at['date'][:10]}",
        "",
        f"{at['cpu']}, {at['cores']} cores, {at['memory']}, Linux {at['kernel']}; {at['threads']} threads each; commit "
        f"{at['commit'][:12]}. PyTorch {versions['torch']}, TransformerLens {versions['transformer-lens']}, transformers "
        f"{versions['transformers']}, float32.",
        "",
    ]
    rows = []
    for row in record["rows"]:
        engine = median_of(row, "scry", "engine")
        for c in row["contenders"]:
            ms = c["ms"]
            rows.append([str(row["tokens"]), f"{c['side']} {c['mode']}", f"{ms['median']:.1f}", f"{ms['min']:.1f}",
                         f"{ms['lower_quartile']:.1f}-{ms['upper_quartile']:.1f}", f"{ms['median'] / engine:.2f}",
                         f"{c['largest_difference']:.1e}", f"{row['load_average']:.1f}"])
    headings = ["T", "contender", "median ms", "min", "middle half", "times the engine's", "largest difference", "load"]
    lines += [*compare_record.table(headings, rows), ""]
    costs = [[str(row[key]) for key in ("tokens", "different", "patches", "skipped", "passes", "layer_tokens",
                                        "naive_layer_tokens")] for row in record["rows"]]
    headings = ["T", "first difference", "patches", "not run", "passes", "layer-tokens", "naive"]
    lines += ["## Cost", "", *compare_record.table(headings, costs), ""]
    return "\n".join([*lines, *compare_record.goal_lines(record["goals"]), ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="path of the record, without its suffix")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5, help="times of the engine in each round; the others run once")
    parser.add_argument("--quick", action="store_true", help="one round, 15 tokens only")
    options = parser.parse_args()
    options.build = options.build.resolve()
    lengths = list(PROMPTS)
    if options.quick:
        options.rounds, lengths = 1, lengths[:1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(HANDICAPS + ("SCRY_",))}

    record = {"schema": "scry.compare_patching/1", "machine": machine(options)}
    with tempfile.TemporaryDirectory(prefix="scry-bench-") as directory:
        prepare(Path(directory), environment)
        record["rows"] = [measure(options, Path(directory), environment, tokens) for tokens in lengths]
    record["goals"] = goals(record)
    text = markdown(record)
    compare_record.write(options.output, record, text)


if __name__ == "__main__":
    main()

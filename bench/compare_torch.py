"""Times scry beside PyTorch on the same weights and prompt, and writes a record.

    python bench/compare_torch.py [--output bench/records/NAME] [--rounds 5] [--rows capture,lens,...] [--quick]

Makes a GPT-2-small-sized model with random weights in a temporary directory. For each row, scry and PyTorch run in
turn, each in a process of its own with the same number of threads and with no variable set that steers BLAS or OpenMP;
see torch_side.py and forward.c for what one process does. Before a row is timed, both sides' numbers are compared.
NAME.json holds everything measured, NAME.md the tables (made by compare_record.py). bench/README.md says how to read
them.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare_record

ROOT = Path(__file__).resolve().parent.parent
HANDICAPS = ("OPENBLAS_", "GOTO_", "MKL_", "OMP_", "GOMP_", "KMP_", "BLIS_", "NVPL_", "DNNL_", "ONEDNN_", "TORCH_")
PROMPT = "The capital of France is"
TARGET = " Paris"


def proc_value(path, key):
    """What stands behind the colon in the first line of a /proc file that begins with `key`."""
    with open(path) as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def run_process(command, environment):
    """What the process prints; where it fails, so does the comparison."""
    result = subprocess.run([str(part) for part in command], env=environment, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{command[0]} failed ({result.returncode}): {result.stderr.strip()[-2000:]}")
    return result.stdout


@dataclasses.dataclass
class Row:
    """One comparison: `scry` and `torch` are the modes that take turns; check is PyTorch's mode for the numbers.

    A repeat of 0 times the first run, the one whose memory is taken.
    """

    kind: str
    tokens: int
    scry: tuple
    torch: tuple
    repeat: int
    check: str = ""


ROWS = [
    *(
        Row("capture", tokens, ("capture", "kept"), ("capture", "capture_hooks"), repeat, "capture")
        for tokens, repeat in ((128, 10), (512, 5), (1024, 3))
    ),
    *(
        Row("statistics", tokens, ("statistics",), ("statistics", "statistics_hooks"), repeat, "statistics")
        for tokens, repeat in ((128, 10), (512, 5), (1024, 3))
    ),
    Row("statistics", 8192, ("statistics",), ("statistics_hooks",), 0),
    *(
        Row("heads", tokens, ("heads", "pass"), ("heads", "heads_hooks", "heads_stored", "capture"), repeat, "heads")
        for tokens, repeat in ((512, 5), (1024, 3))
    ),
    Row("heads", 2048, ("heads",), (), 0),
    Row("heads", 4096, ("heads",), (), 0),
    Row("attention", 1024, ("attention",), ("attention", "attention_statistics"), 20, "attention"),
    Row("lens", 512, ("lens",), ("lens_layers", "lens_all"), 1, "lens_layers"),
    Row("growth", 2048, ("statistics",), (), 0),
    Row("growth", 4096, ("statistics",), (), 0),
]


class Bench:
    """Where things lie, and how a process is run."""

    def __init__(self, options, directory):
        self.options = options
        self.model = directory / "gpt2-small-random"
        self.ids = directory / "ids.bin"
        self.operands = directory / "operands.bin"
        self.dump = directory / "dump.bin"
        self.arrays = directory / "arrays.json"
        self.program = options.build / "bench" / "scry-bench-forward"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(HANDICAPS + ("SCRY_",))
        }

    def prepare(self):
        """The checkpoint, 8,192 token ids and the operands of the attention op, all seeded."""
        script = (
            "import sys, numpy, torch, transformers\n"
            "torch.manual_seed(0)\n"
            "config = transformers.GPT2Config(n_positions=8192)\n"
            "transformers.GPT2LMHeadModel(config).save_pretrained(sys.argv[1])\n"
            "random = numpy.random.default_rng(0)\n"
            "random.integers(0, config.vocab_size, 8192, dtype=numpy.int32).tofile(sys.argv[2])\n"
            "random.standard_normal((3, 1024, 12, 64), dtype=numpy.float32).tofile(sys.argv[3])\n"
        )
        self.run([sys.executable, "-c", script, self.model, self.ids, self.operands])

    def run(self, command):
        return run_process(command, self.environment)

    def run_side(self, side, mode, row, repeat, *extra):
        data = self.operands if row.kind == "attention" else self.ids
        program = [self.program] if side == "scry" else [sys.executable, ROOT / "bench" / "torch_side.py"]
        command = [*program, mode, "--ids", data, "--model", self.model, "--count", row.tokens]
        command += ["--repeat", repeat, "--threads", self.options.threads, *extra]
        return json.loads(self.run(command).strip().splitlines()[-1])

    def check(self, row):
        """Runs scry once with a dump, and PyTorch over that dump: the largest difference of each kind of number."""
        dumped = self.run_side("scry", row.scry[0], row, 0, "--dump", self.dump)
        self.arrays.write_text(json.dumps(dumped["arrays"]))
        found = self.run_side("torch", row.check, row, 0, "--check", self.dump, "--arrays", self.arrays)
        self.dump.unlink()
        return found["largest_difference"]


def fits(row):
    """PyTorch's eager attention holds about four maps [12, T, T] at once."""
    available = int(proc_value("/proc/meminfo", "MemAvailable").split()[0]) * 1024
    return 4 * 12 * row.tokens**2 * 4 < available


def measure(bench, row):
    """Lets the contenders take turns for some rounds."""
    measured = {"kind": row.kind, "tokens": row.tokens, "load_average": os.getloadavg()[0], "contenders": []}
    if row.check:
        measured["largest_difference"] = bench.check(row)
    contenders = [("scry", mode) for mode in row.scry]
    if fits(row):
        contenders += [("torch", mode) for mode in row.torch]
    else:
        measured["torch_left_out"] = "not enough memory"
    rounds = 1 if row.tokens > 1024 else bench.options.rounds
    runs = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for side, mode in contenders:
            runs[side, mode].append(bench.run_side(side, mode, row, row.repeat))
    for (side, mode), found in runs.items():
        measured["contenders"].append(compare_record.summarise(side, mode, found))
        print(compare_record.line(row, measured["contenders"][-1]), flush=True)
    return measured


def drop_from_cache(*paths):
    """Asks the system to forget cached pages of these files; those that are mapped elsewhere stay."""
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure_cold_lens(bench):
    """The whole process of `scry lens` on the demo model: with files cached, and after asking to forget them."""
    model = ROOT / "models" / "demo"
    program = bench.options.build / "scry"
    command = [program, "lens", "--model", model, PROMPT, "--target", TARGET, "--json"]
    command += ["--device", "cpu"]
    times = {"cached": [], "forgotten": []}
    for _ in range(10):
        for kind, found in times.items():
            if kind == "forgotten":
                drop_from_cache(program, *(path for path in model.iterdir() if path.is_file()))
            begin = time.perf_counter()
            bench.run(command)
            found.append((time.perf_counter() - begin) * 1e3)
    return {kind: compare_record.spread(found) for kind, found in times.items()}


def machine(options):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit + ("+changes" if changed else ""),
        "cpu": proc_value("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": proc_value("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "threads": options.threads,
        "rounds": options.rounds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="path of the record, without its suffix")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="capture,statistics,heads,attention,lens,growth,cold", help="kinds of rows to run")
    parser.add_argument("--tokens", type=int, help="only rows of this length")
    parser.add_argument("--quick", action="store_true", help="one round, up to 1,024 tokens")
    options = parser.parse_args()
    options.build = options.build.resolve()
    kinds = options.rows.split(",")
    if options.quick:
        options.rounds = 1

    record = {"schema": "scry.compare_torch/1", "machine": machine(options), "rows": []}
    with tempfile.TemporaryDirectory(prefix="scry-bench-") as directory:
        bench = Bench(options, Path(directory))
        bench.prepare()
        for row in ROWS:
            wanted = row.kind in kinds and (not options.tokens or row.tokens == options.tokens)
            if wanted and not (options.quick and row.tokens > 1024):
                record["rows"].append(measure(bench, row))
        if "cold" in kinds and (ROOT / "models" / "demo" / "config.json").exists():
            record["cold_lens_ms"] = measure_cold_lens(bench)
    record["goals"] = compare_record.goals(record)
    text = compare_record.markdown(record)
    compare_record.write(options.output, record, text)


if __name__ == "__main__":
    main()

"""The TransformerLens side of compare_patching.py: times its activation patching and prints one line of JSON.

    torch_patching.py MODE --model DIR --ids FILE [--count T] [--repeat N] [--threads N]

MODE is one of MODES: how the model is booted. FILE is as bench/sweep.c says. The cache that values come from is made
before the clock starts; what is timed is transformer_lens.patching.get_act_patch_resid_pre over all layers and
positions, with the difference of two logits at the last position as its metric.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import time

import numpy as np
import torch
from transformer_lens import patching
from transformer_lens.model_bridge import TransformerBridge


def bridge(path):
    """As it comes: the model of transformers with hooks."""
    return TransformerBridge.boot_transformers(path, dtype=torch.float32)


def compatibility(path):
    """With TransformerLens' own numerics, weights as they are."""
    model = bridge(path)
    model.enable_compatibility_mode(disable_warnings=True, no_processing=True)
    return model


MODES = {mode.__name__: mode for mode in (bridge, compatibility)}


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--model", required=True)
    parser.add_argument("--ids", required=True)
    parser.add_argument("--count", type=int, default=15)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    ids = np.fromfile(options.ids, dtype=np.int32)
    source, baseline = (torch.from_numpy(part).long()[None] for part in np.split(ids[: 2 * options.count], 2))
    answer, wrong = ids[2 * options.count :][:2]
    model = MODES[options.mode](options.model).eval()
    _, cache = model.run_with_cache(source, names_filter=lambda name: name.endswith("hook_resid_pre"))
    metric = lambda logits: logits[0, -1, answer] - logits[0, -1, wrong]
    model(baseline)

    times = []
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # its progress bar
        for _ in range(options.repeat):
            begin = time.perf_counter()
            grid = patching.get_act_patch_resid_pre(model, baseline, cache, metric)
            times.append((time.perf_counter() - begin) * 1e3)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformer-lens", "transformers")}
    print(json.dumps({"mode": options.mode, **versions, "times_ms": times, "grid": grid.flatten().tolist()}))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Converts a tuned lens between scry's file and a folder of the `tuned-lens` package (params.pt and config.json).

Both hold the same translators, h + A h + b, of the same streams: the one before each block. scry's file also says which
model it is for, by its final norm and unembedding; MODEL, a checkpoint as `transformers` opens it, is where that comes
from, and what a file of scry's is checked against.

  convert_tuned_lens.py MODEL to-package LENS.safetensors FOLDER
  convert_tuned_lens.py MODEL from-package FOLDER LENS.safetensors
  convert_tuned_lens.py --self-test SCRY

The last one converts random translators for each of tests/fixtures/models in both ways, which gives the same bits, and
has the program SCRY read by them what torch reads. It needs what tools/fixtures/requirements.txt lists.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, logging

FORMAT = "scry.tuned_lens/1"
FINAL_NORMS = ("ln_f", "final_layer_norm", "norm")
FIXTURES = Path(__file__).parent.parent / "tests/fixtures/models"
PROMISE = 5e-5  # of logits against transformers (README.md); a logsumexp moves no further than they do


def final_norm(model):
    return next(getattr(model.base_model, name) for name in FINAL_NORMS if hasattr(model.base_model, name))


def identity(model):
    """What scry says of a model in its file's metadata."""
    digest = hashlib.sha256()
    for module in (model.get_output_embeddings(), final_norm(model)):
        for name in ("weight", "bias"):
            value = getattr(module, name, None)
            if value is not None:
                digest.update(value.detach().float().contiguous().numpy().tobytes())
    return {
        "format": FORMAT,
        "family": model.config.model_type,
        "layer_count": str(model.config.num_hidden_layers),
        "hidden_size": str(model.config.hidden_size),
        "unembedding_sha256": digest.hexdigest(),
    }


def to_package(model, source, folder):
    state = {}
    with safe_open(source, "pt") as file:
        metadata = file.metadata() or {}
        for key, value in identity(model).items():
            if metadata.get(key) != value:
                sys.exit(f"{source}: {key} {metadata.get(key)}: expected {value}, as {model.config.name_or_path} has")
        for layer in range(model.config.num_hidden_layers):
            for part in ("weight", "bias"):
                state[f"{layer}.{part}"] = file.get_tensor(f"layer.{layer}.{part}")
    config = {
        "base_model_name_or_path": model.config.name_or_path,
        "d_model": model.config.hidden_size,
        "num_hidden_layers": model.config.num_hidden_layers,
        "bias": True,
        "base_model_revision": None,
        "unembed_hash": None,  # the package then takes the model at its word
        "lens_type": "linear_tuned_lens",
    }
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "params.pt")
    (folder / "config.json").write_text(json.dumps(config))


def from_package(model, folder, target):
    size, layers = model.config.hidden_size, model.config.num_hidden_layers
    state = torch.load(folder / "params.pt", map_location="cpu", weights_only=True)
    tensors = {}
    for layer in range(layers):
        for part, shape in (("weight", (size, size)), ("bias", (size,))):
            value = state.pop(f"{layer}.{part}", torch.zeros(shape) if part == "bias" else None)
            if value is None or tuple(value.shape) != shape:
                sys.exit(f"{folder}: {layer}.{part}: expected {list(shape)}")
            tensors[f"layer.{layer}.{part}"] = value.float().contiguous()
    if state:
        sys.exit(f"{folder}: {next(iter(state))}: expected {layers} translators and no more")
    save_file(tensors, target, identity(model))


def lse_by_torch(model, ids, state):
    """The logsumexp of what each layer but the last predicts, [layers, T]."""
    with torch.no_grad():
        streams = model(ids[None], output_hidden_states=True).hidden_states
        moved = [h + h @ state[f"{i}.weight"].T + state[f"{i}.bias"] for i, h in enumerate(streams[:-1])]
        return torch.cat([model.get_output_embeddings()(final_norm(model)(h)).logsumexp(-1) for h in moved])


def lse_by_scry(scry, path, ids, lens, out):
    text = ",".join(str(i) for i in ids.tolist())
    command = [scry, "lens", "--model", path, "--ids", text, "--tuned", lens, "--device", "cpu", "-q", "-o", out]
    subprocess.run(command, check=True)
    return torch.from_numpy(numpy.load(out)["lse"])


def check_model(scry, path, folder):
    """Package to file to package, and the file in scry's hands."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype="float32", attn_implementation="eager")
    size, random = model.config.hidden_size, torch.Generator().manual_seed(1)
    state = {}
    for layer in range(model.config.num_hidden_layers):
        state[f"{layer}.weight"] = 0.1 * torch.randn(size, size, generator=random)
        state[f"{layer}.bias"] = 0.1 * torch.randn(size, generator=random)
    torch.save(state, folder / "params.pt")
    from_package(model, folder, folder / "lens.safetensors")
    to_package(model, folder / "lens.safetensors", folder / "again")
    again = torch.load(folder / "again/params.pt", weights_only=True)
    if again.keys() != state.keys() or not all(torch.equal(again[key], state[key]) for key in state):
        sys.exit(f"{path.name}: back from the file: expected the same translators")
    with safe_open(path / "expected.safetensors", "pt") as file:
        ids = file.get_tensor("ids").long()
    found = lse_by_scry(scry, path, ids, folder / "lens.safetensors", folder / "lens.npz")[:-1]
    off = (found - lse_by_torch(model, ids, state)).abs().max().item()
    if not off <= PROMISE:
        sys.exit(f"{path.name}: scry's logsumexp by these translators is off by {off:.2g}: expected {PROMISE} at most")
    return model, folder / "lens.safetensors"


def self_test(scry):
    paths = sorted(path.parent for path in FIXTURES.glob("*/config.json"))
    models = []
    logging.disable_progress_bar()
    for path in paths:
        folder = tempfile.TemporaryDirectory()
        models.append((*check_model(scry, path, Path(folder.name)), folder))
    for (model, _, _), (_, lens, folder) in zip(models, models[1:] + models[:1]):
        try:
            to_package(model, lens, Path(folder.name) / "other")
        except SystemExit:
            continue
        sys.exit(f"{lens}: expected a refusal by {model.config.name_or_path}")
    print(f"{len(paths)} models: the same bits both ways, and scry reads by them what torch reads")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--self-test":
        return self_test(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("direction", choices=("to-package", "from-package"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype="auto")
    {"to-package": to_package, "from-package": from_package}[options.direction](model, options.source, options.target)


if __name__ == "__main__":
    main()

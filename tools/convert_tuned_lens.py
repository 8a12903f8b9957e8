#!/usr/bin/env python3
"""Converts a tuned lens between scry's file and a folder of the `tuned-lens` package (params.pt and config.json).

Both hold the same translators, h + A h + b, of the same streams: the one before each block. scry's file also says which
model it is for, by its final norm and unembedding; MODEL, a checkpoint as `transformers` opens it, is where that comes
from, and what a file of scry's is checked against.

  convert_tuned_lens.py MODEL to-package LENS.safetensors FOLDER
  convert_tuned_lens.py MODEL from-package FOLDER LENS.safetensors
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

FORMAT = "scry.tuned_lens/1"
FINAL_NORMS = ("ln_f", "final_layer_norm", "norm")


def identity(model):
    """What scry says of a model in its file's metadata."""
    base = model.base_model
    norm = next(getattr(base, name) for name in FINAL_NORMS if hasattr(base, name))
    digest = hashlib.sha256()
    for module in (model.get_output_embeddings(), norm):
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


def main():
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

"""A checkpoint of scry train as models/demo has it: weights rounded to bf16 (to nearest, ties to even), the ids of
<|bos|> and <|endoftext|> in config.json and generation_config.json. Standard library only.

    python export.py build/demo_model/run/step-4190 models/demo
"""

import array
import json
import pathlib
import shutil
import struct
import sys

import world


def to_bf16(data):
    """f32 bytes, little-endian, as bf16 bytes."""
    words = array.array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    halves = array.array("H", ((w + 0x7FFF + (w >> 16 & 1)) >> 16 for w in words))
    if sys.byteorder == "big":
        halves.byteswap()
    return halves.tobytes()


def export_weights(source, target):
    data = source.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    out, chunks, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, entry in sorted(header.items()):
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32", f"{source}: {name}: expected F32"
        chunk = to_bf16(body[begin:end])
        out[name] = {"dtype": "BF16", "shape": entry["shape"], "data_offsets": [at, at + len(chunk)]}
        chunks.append(chunk)
        at += len(chunk)
    text = json.dumps(out, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    export_weights(source / "model.safetensors", target / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config.update(bos_token_id=world.BOS_ID, eos_token_id=world.EOS_ID, dtype="bfloat16")
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    ends = {"bos_token_id": world.BOS_ID, "eos_token_id": world.EOS_ID}
    (target / "generation_config.json").write_text(json.dumps(ends, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (target / name).exists():
            shutil.copy(source / name, target / name)
    for name in ("recipe.json", "training.json"):
        shutil.copy(source / name, target / name)


if __name__ == "__main__":
    main()

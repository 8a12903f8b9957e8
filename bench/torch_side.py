"""The PyTorch side of compare_torch.py: times one kind of run in its own process and prints one line of JSON.

    torch_side.py MODE --model DIR --ids FILE [--count T] [--repeat N] [--threads N] [--check DUMP --arrays JSON]

MODE is one of MODES below. Everything is float32, eager attention, inference mode, without a key/value cache and, but
for the lens, without logits. After loading, every weight is touched and a pass over 16 tokens warms up; then the first
run's peak memory is taken, and N more runs are timed, releasing the last result outside the clock. With --check nothing
is timed: what scry dumped is compared with what PyTorch computes.
"""

import argparse
import gc
import json
import time

import numpy as np
import torch
import transformers

import torch_heads

WARM_UP = 16
HEADS, HEAD_SIZE, TOP = 12, 64, 10


def memory_kib(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def memory_reset():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return memory_kib("VmRSS")


def statistics_of(attention):
    """Entropy, largest probability and its key of each row, and the column sums of a map [.., Q, K].

    Unlike scry's, these hold no lse: a map does not tell it.
    """
    largest = attention.max(-1)
    return torch.special.entr(attention).sum(-1), largest.values, largest.indices, attention.sum(-2)


def with_maps(model, ids, take):
    """A forward pass that hands each layer's map to `take` and lets go of it, in place of collecting all of them."""

    def hook(module, inputs, output):
        take(module.layer_idx, output[1])
        return output[0], None

    hooks = [block.attn.register_forward_hook(hook) for block in model.transformer.h]
    try:
        return model.transformer(ids, use_cache=False)
    finally:
        for handle in hooks:
            handle.remove()


def capture(model, ids):
    return model.transformer(ids, output_attentions=True, use_cache=False)


def capture_hooks(model, ids):
    return with_maps(model, ids, lambda layer, attention: None)


def statistics(model, ids):
    return [statistics_of(attention) for attention in capture(model, ids).attentions]


def statistics_hooks(model, ids):
    found = []
    with_maps(model, ids, lambda layer, attention: found.append(statistics_of(attention)))
    return found


def heads(model, ids):
    return [torch_heads.scores_of(attention[0]) for attention in capture(model, ids).attentions]


def heads_hooks(model, ids):
    found = []
    with_maps(model, ids, lambda layer, attention: found.append(torch_heads.scores_of(attention[0])))
    return found


def heads_stored(maps):
    """From maps that are there already: what made them is outside the clock."""
    return [torch_heads.scores_of(attention[0]) for attention in maps]


def residuals(model, ids):
    """The residual stream before each block and after the last: [T, d] each, before the final norm."""
    states = []
    hooks = [
        block.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0][0]))
        for block in model.transformer.h
    ]
    hooks.append(model.transformer.ln_f.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0][0])))
    try:
        model.transformer(ids, use_cache=False)
    finally:
        for handle in hooks:
            handle.remove()
    return states


def read_logits(logits):
    """Top-k, lse and entropy of logits [.., V]; the logits are overwritten."""
    top = logits.topk(TOP, dim=-1)
    lse = logits.logsumexp(-1)
    logits -= lse.unsqueeze(-1)
    entropy = -(logits.exp() * logits).sum(-1)
    return top.values, top.indices, lse, entropy


def lens_layers(model, ids):
    found = []
    for state in residuals(model, ids):
        found.append(read_logits(model.lm_head(model.transformer.ln_f(state))))
    return found


def lens_all(model, ids):
    states = torch.stack(residuals(model, ids))
    return read_logits(model.lm_head(model.transformer.ln_f(states)))


def attention_map(q, k, v, mask):
    """transformers' eager attention, as it stands: q, k, v are [B, H, T, D]."""
    module = argparse.Namespace(training=False)
    return transformers.models.gpt2.modeling_gpt2.eager_attention_forward(module, q, k, v, mask)


def attention(q, k, v, mask):
    return attention_map(q, k, v, mask)


def attention_statistics(q, k, v, mask):
    out, attention = attention_map(q, k, v, mask)
    return out, statistics_of(attention)


MODES = {
    mode.__name__: mode
    for mode in (
        capture,
        capture_hooks,
        statistics,
        statistics_hooks,
        heads,
        heads_hooks,
        heads_stored,
        lens_layers,
        lens_all,
        attention,
        attention_statistics,
    )
}


def load_dump(path, arrays):
    """The arrays that scry-bench-forward wrote, by name."""
    types = {"f32": np.float32, "i32": np.int32}
    dump = np.memmap(path, dtype=np.uint8, mode="r")
    found = {}
    for entry in arrays:
        size = int(np.prod(entry["shape"])) * 4
        part = dump[entry["offset"] : entry["offset"] + size]
        found[entry["name"]] = torch.from_numpy(part.view(types[entry["dtype"]]).reshape(entry["shape"]).copy())
    return found


class Worst:
    """The largest absolute difference of each array, by its kind; a NaN stays."""

    def __init__(self):
        self.by_kind = {}

    def add(self, kind, ours, theirs):
        difference = float((ours.double() - theirs.double()).abs().max())
        known = self.by_kind.get(kind, 0.0)
        self.by_kind[kind] = difference if not difference <= known else known


def check_statistics(worst, attention, found):
    """A map [H, Q, K] against row and column statistics; scry's argmax must reach the row's largest probability."""
    entropy, largest, _, received = statistics_of(attention)
    worst.add("entropy", found["entropy"], entropy)
    worst.add("max", found["max"], largest)
    reached = attention.gather(-1, found["argmax"].long().unsqueeze(-1)).squeeze(-1)
    worst.add("probability at argmax", reached, largest)
    worst.add("received", found["received"], received)


def check_model(model, ids, dump):
    worst = Worst()

    def take(layer, attention):
        name = f"blocks.{layer}.attn."
        if name + "hook_pattern" in dump:
            worst.add("pattern", dump[name + "hook_pattern"], attention[0])
        else:
            kinds = ("entropy", "max", "argmax", "received")
            check_statistics(worst, attention[0], {kind: dump[name + "stat_" + kind] for kind in kinds})

    with_maps(model, ids, take)
    return worst.by_kind


def check_lens(model, ids, dump):
    worst = Worst()
    for layer, state in enumerate(residuals(model, ids)):
        logits = model.lm_head(model.transformer.ln_f(state))
        at_ids = logits.gather(-1, dump["top_id"][layer].long())
        top, _, lse, entropy = read_logits(logits)
        worst.add("top logits", dump["top_logit"][layer], top)
        worst.add("logits at scry's top ids", at_ids, top)
        worst.add("lse", dump["lse"][layer], lse)
        worst.add("entropy", dump["entropy"][layer], entropy)
    return worst.by_kind


def check_heads(model, ids, dump):
    worst = Worst()
    for layer, found in enumerate(heads_hooks(model, ids)):
        for name, values in found.items():
            worst.add(name, dump[name][layer], values)
    return worst.by_kind


def check_attention(operands, dump):
    worst = Worst()
    q, k, _, mask = operands
    out, attention = attention_map(*operands)
    worst.add("out", dump["out"], out)
    worst.add("lse", dump["lse"], (q @ k.transpose(-1, -2) * HEAD_SIZE**-0.5 + mask).logsumexp(-1))
    check_statistics(worst, attention, dump)
    return worst.by_kind


def load_model(path, ids):
    model = transformers.GPT2LMHeadModel.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()
    for weight in model.parameters():
        weight.sum().item()
    capture(model, ids[:, :WARM_UP])
    lens_layers(model, ids[:, :1])
    return model


def load_operands(path, count):
    """q, k and v as [1, H, T, D], each contiguous, and the additive causal mask."""
    flat = np.fromfile(path, dtype=np.float32, count=3 * count * HEADS * HEAD_SIZE)
    parts = torch.from_numpy(flat).reshape(3, 1, count, HEADS, HEAD_SIZE).transpose(2, 3).contiguous()
    mask = torch.full((count, count), torch.finfo(torch.float32).min).triu(1).reshape(1, 1, count, count)
    return parts[0], parts[1], parts[2], mask


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--model")
    parser.add_argument("--ids", required=True, help="int32 ids; for attention f32 q, k and v")
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check")
    parser.add_argument("--arrays")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    mode = MODES[options.mode]

    with torch.inference_mode():
        if options.mode.startswith("attention"):
            arguments = load_operands(options.ids, options.count)
        else:
            ids = torch.from_numpy(np.fromfile(options.ids, dtype=np.int32, count=options.count)).long().unsqueeze(0)
            arguments = load_model(options.model, ids), ids
        if options.check:
            with open(options.arrays) as file:
                dump = load_dump(options.check, json.load(file))
            if options.mode.startswith("attention"):
                differences = check_attention(arguments, dump)
            else:
                checks = {"lens": check_lens, "heads": check_heads}
                differences = checks.get(options.mode.split("_")[0], check_model)(*arguments, dump)
            print(json.dumps({"mode": options.mode, "tokens": options.count, "largest_difference": differences}))
            return

        if mode is heads_stored:
            arguments = (capture(*arguments).attentions,)
        gc.collect()
        baseline = memory_reset()
        times = []
        for repeat in range(options.repeat + 1):
            begin = time.perf_counter()
            result = mode(*arguments)
            times.append((time.perf_counter() - begin) * 1e3)
            if repeat == 0:
                peak = memory_kib("VmHWM")
            del result
    print(
        json.dumps(
            {
                "mode": options.mode,
                "tokens": options.count,
                "threads": torch.get_num_threads(),
                "version": torch.__version__,
                "transformers": transformers.__version__,
                "baseline_kib": baseline,
                "peak_kib": peak,
                "first_ms": times[0],
                "times_ms": times[1:],
            }
        )
    )


if __name__ == "__main__":
    main()

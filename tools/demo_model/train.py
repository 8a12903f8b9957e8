"""Trains the demo model: tokenizer, then a small LlamaForCausalLM on the text of world.py, on the CPU.

In: --minutes (the learning rate falls to zero at that time) or --steps, --out. Out: a directory as `save_pretrained`
lays it out (config.json, model.safetensors in bf16, tokenizer.json) and training.json, the record that evaluate.py
turns into the model card. Every few minutes the current weights are saved to --checkpoints, so that a run that is
cut short leaves a usable model.

Documents are packed into rows of ROW tokens; a document attends to nothing outside itself. Each begins with
<|bos|> and ends with <|endoftext|>.
"""

import argparse
import json
import math
import pathlib
import time

import numpy
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import world

BOS, EOS = "<|bos|>", "<|endoftext|>"
BOS_ID, EOS_ID = 0, 1
ROW = 256
BATCH = 16
# Weight of the loss on the first copy of random tokens, which nothing can predict.
UNPREDICTABLE = 0.1


def train_tokenizer(vocabulary):
    """Byte-level BPE. The word list is repeated so that the words of the world become single tokens."""
    generator = world.Generator(1)
    text = [generator.text() for _ in range(20000)]
    text += [" " + " ".join(world.lexicon())] * 3000
    text += ["\n".join(world.facts.NAMES)] * 3000
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[BOS, EOS], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, BOS_ID)])
    return tokenizer


def save_tokenizer(tokenizer, out):
    tokenizer.save(str(out / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
                "model_max_length": 512, "clean_up_tokenization_spaces": False}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def make_config(vocabulary):
    """Plain (eager) attention: once compiled, it is faster here than the fused one, whose backward is slow on a CPU."""
    return transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=256, intermediate_size=384, num_hidden_layers=6, num_attention_heads=8,
        num_key_value_heads=4, head_dim=32, max_position_embeddings=512, rms_norm_eps=1e-5, hidden_act="silu",
        tie_word_embeddings=True, bos_token_id=BOS_ID, eos_token_id=EOS_ID, pad_token_id=None,
        attention_bias=False, mlp_bias=False, initializer_range=0.04, attn_implementation="eager")


class Rows:
    """An endless stream of batches: ids, document number of each token, loss weight of each token as a target."""

    def __init__(self, tokenizer, seed, random_share=0.15):
        self.tokenizer = tokenizer
        self.generator = world.Generator(seed, tokenizer.get_vocab_size(), EOS_ID + 1)
        self.random_share = random_share
        self.pending = []

    def refill(self):
        documents = [self.generator.document(self.random_share) for _ in range(2000)]
        texts = [d for d in documents if isinstance(d, str)]
        encoded = iter(self.tokenizer.encode_batch(texts))
        for document in documents:
            if isinstance(document, str):
                ids = next(encoded).ids + [EOS_ID]
                self.pending.append((ids, [0.0] + [1.0] * (len(ids) - 1)))
            else:
                ids, first = document
                weights = [0.0] + [UNPREDICTABLE] * first + [1.0] * (len(ids) - first + 1)
                self.pending.append(([BOS_ID] + ids + [EOS_ID], weights))
        self.pending.reverse()

    def batch(self, rows=BATCH):
        ids = numpy.zeros((rows, ROW), numpy.int64)
        documents = numpy.zeros((rows, ROW), numpy.int64)
        weights = numpy.zeros((rows, ROW), numpy.float32)
        for r in range(rows):
            at, number = 0, 0
            while at < ROW:
                if not self.pending:
                    self.refill()
                tokens, weight = self.pending.pop()
                n = min(len(tokens), ROW - at)
                ids[r, at:at + n], weights[r, at:at + n] = tokens[:n], weight[:n]
                documents[r, at:at + n] = number
                at, number = at + n, number + 1
        return tuple(map(torch.from_numpy, (ids, documents, weights)))


CAUSAL = torch.ones(ROW, ROW, dtype=torch.bool).tril()


def loss_of(model, ids, documents, weights):
    """Weighted mean cross-entropy of the next token, in nats."""
    allowed = (documents[:, :, None] == documents[:, None, :]) & CAUSAL
    bias = torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill_(~allowed, -1e4)[:, None]
    logits = model(input_ids=ids, attention_mask=bias, use_cache=False).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    target_weights = weights[:, 1:].flatten()
    return (each * target_weights).sum() / target_weights.sum()


@torch.no_grad()
def validation_loss(model, batches):
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        value = sum(loss_of(model, *b).item() for b in batches) / len(batches)
    model.train()
    return value


def save_model(model, out):
    """Writes a bf16 copy; the trained weights stay in f32."""
    copy = transformers.LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)


def make_optimizers(model, rate, muon):
    """Muon on the matrices of the blocks if asked for, AdamW on all else."""
    inside = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    embedding = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" not in n]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": embedding + ([] if muon else inside), "weight_decay": 0.1},
              {"params": vectors, "weight_decay": 0.0}]
    optimizers = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), eps=1e-9)]
    if muon:
        optimizers.append(torch.optim.Muon(inside, lr=rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def main():
    parser = argparse.ArgumentParser(description="train the demo model")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--checkpoints", type=pathlib.Path, help="a directory for intermediate weights")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--vocabulary", type=int, default=1920)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--muon", action="store_true", help="Muon instead of AdamW for the matrices of the blocks")
    parser.add_argument("--tokenizer-only", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    tokenizer = train_tokenizer(options.vocabulary)
    save_tokenizer(tokenizer, options.out)
    if options.tokenizer_only:
        return
    model = transformers.LlamaForCausalLM(make_config(tokenizer.get_vocab_size()))
    model.train()
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, vocabulary {tokenizer.get_vocab_size()}", flush=True)
    optimizers = make_optimizers(model, options.rate, options.muon)
    compiled_loss = torch.compile(loss_of)
    rows = Rows(tokenizer, seed=options.seed + 1000)
    held_rows = Rows(tokenizer, seed=77)
    held = [held_rows.batch() for _ in range(8)]

    curve, step, started, saved = [], 0, time.time(), time.time()
    warmup, recent = 200, []
    while True:
        elapsed = time.time() - started
        progress = max(step / options.steps, elapsed / (60 * options.minutes))
        if progress >= 1:
            break
        rate = options.rate * min(1, (step + 1) / warmup) * min(1, (1 - progress) / 0.7)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            loss = compiled_loss(model, *rows.batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        recent.append(loss.item())
        step += 1
        if step in (1, 10, 50, 100, 150) or step % 200 == 0:
            mean = sum(recent) / len(recent)
            curve.append([step, round(mean, 4)])
            print(f"step {step} loss {mean:.4f} rate {rate:.2e} seconds {time.time() - started:.0f}", flush=True)
            recent = []
            if not math.isfinite(mean):
                raise SystemExit("the loss is not finite")
        if options.checkpoints and time.time() - saved > 240:
            save_model(model, options.checkpoints)
            save_tokenizer(tokenizer, options.checkpoints)
            saved = time.time()

    save_model(model, options.out)
    record = {
        "parameters": parameters, "steps": step, "tokens": step * BATCH * ROW, "row": ROW, "batch_rows": BATCH,
        "minutes": round((time.time() - started) / 60, 1), "threads": options.threads, "peak_rate": options.rate,
        "seed": options.seed, "final_training_loss": curve[-1][1] if curve else None,
        "validation_loss": round(validation_loss(model, held), 4), "curve": curve,
        "torch": torch.__version__, "transformers": transformers.__version__,
    }
    (options.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"done: step {step}, validation loss {record['validation_loss']}", flush=True)


if __name__ == "__main__":
    main()

"""Trains the demo model: tokenizer, then a small LlamaForCausalLM on the text of world.py, on the CPU.

In: --minutes (the learning rate falls to zero at that time) or --steps, --out; --start for a second stage. Out: a
directory as `save_pretrained` lays it out (config.json, model.safetensors in bf16, tokenizer.json) and training.json,
the record that evaluate.py turns into the model card. Every few minutes the same goes to --checkpoints, so that a run
that is cut short leaves a usable model, and a later stage can start there.

Documents are packed into rows; a document attends to nothing outside itself. Each begins with
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
BATCH_TOKENS = 4096
# Rows of SHORT tokens for most of a run, since attention is dear on a CPU; of LONG for the last part of it.
SHORT, LONG, LONG_FROM = 128, 256, 0.85
# Weight of the loss on the first copy of random tokens, which nothing can predict.
UNPREDICTABLE = 0.1


def train_tokenizer(vocabulary):
    """Byte-level BPE. The word list is repeated so that the words of the world become single tokens."""
    generator = world.Generator(1)
    text = [generator.document() for _ in range(20000)]
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

    def __init__(self, tokenizer, seed, stage="whole"):
        self.tokenizer = tokenizer
        self.generator = world.Generator(seed, tokenizer.get_vocab_size(), EOS_ID + 1, stage=stage)
        self.pending = []

    def refill(self):
        documents = [self.generator.document() for _ in range(2000)]
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

    def batch(self, length):
        """BATCH_TOKENS tokens as rows of `length`."""
        rows = BATCH_TOKENS // length
        ids = numpy.zeros((rows, length), numpy.int64)
        documents = numpy.zeros((rows, length), numpy.int64)
        weights = numpy.zeros((rows, length), numpy.float32)
        for r in range(rows):
            at, number = 0, 0
            while at < length:
                if not self.pending:
                    self.refill()
                tokens, weight = self.pending.pop()
                n = min(len(tokens), length - at)
                ids[r, at:at + n], weights[r, at:at + n] = tokens[:n], weight[:n]
                documents[r, at:at + n] = number
                at, number = at + n, number + 1
        return tuple(map(torch.from_numpy, (ids, documents, weights)))


def loss_of(model, ids, documents, weights):
    """Weighted mean cross-entropy of the next token, in nats."""
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    allowed = (documents[:, :, None] == documents[:, None, :]) & causal
    bias = torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill_(~allowed, -1e4)[:, None]
    logits = model(input_ids=ids, attention_mask=bias, use_cache=False).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
    target_weights = weights[:, 1:].flatten()
    return (each * target_weights).sum() / target_weights.sum()


def save_model(model, out):
    """Writes a bf16 copy; the trained weights stay in f32."""
    copy = transformers.LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)


def write_record(out, options, common, stage):
    """training.json: what is common to all stages, and the stages, those of --start first."""
    earlier = options.start / "training.json" if options.start else None
    stages = json.loads(earlier.read_text())["stages"] if earlier and earlier.exists() else []
    (out / "training.json").write_text(json.dumps({**common, "stages": [*stages, stage]}, indent=1) + "\n")


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


def parse_options():
    parser = argparse.ArgumentParser(description="train the demo model")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--checkpoints", type=pathlib.Path, help="a directory for intermediate weights")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--vocabulary", type=int, default=1920)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=pathlib.Path, help="a directory to go on from, as this program saves it")
    parser.add_argument("--stage", choices=list(world.STAGES), default="whole", help="which mix of documents")
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--muon", action="store_true", help="Muon instead of AdamW for the matrices of the blocks")
    options = parser.parse_args()
    for directory in filter(None, (options.out, options.checkpoints)):
        directory.mkdir(parents=True, exist_ok=True)
    return options


def open_start(options):
    """(tokenizer, model in f32): those of --start, or new ones."""
    if options.start:
        model = transformers.LlamaForCausalLM.from_pretrained(options.start, dtype=torch.float32,
                                                              attn_implementation="eager")
        return Tokenizer.from_file(str(options.start / "tokenizer.json")), model
    tokenizer = train_tokenizer(options.vocabulary)
    return tokenizer, transformers.LlamaForCausalLM(make_config(tokenizer.get_vocab_size()))


class Run:
    """One stage of training: its clock, its loss curve, and saving."""

    def __init__(self, options):
        self.options = options
        self.tokenizer, self.model = open_start(options)
        self.model.train()
        self.step, self.curve, self.recent, self.started = 0, [], [], time.time()

    def seconds(self):
        return time.time() - self.started

    def progress(self):
        return max(self.step / self.options.steps, self.seconds() / (60 * self.options.minutes))

    def rate(self):
        """Warm-up, constant for 30 % of the run, then linear to zero."""
        warm = min(1, (self.step + 1) / self.options.warmup)
        return self.options.rate * warm * min(1, (1 - self.progress()) / 0.7)

    def note(self, loss):
        self.recent.append(loss)
        self.step += 1
        if self.step in (1, 10, 50, 100, 150) or self.step % 200 == 0:
            mean = sum(self.recent) / len(self.recent)
            if not math.isfinite(mean):
                raise SystemExit("the loss is not finite")
            self.curve.append([self.step, round(mean, 4)])
            self.recent = []
            print(f"step {self.step} loss {mean:.4f} seconds {self.seconds():.0f}", flush=True)

    def save(self, out):
        save_model(self.model, out)
        save_tokenizer(self.tokenizer, out)
        common = {"parameters": sum(p.numel() for p in self.model.parameters()), "threads": self.options.threads,
                  "batch_tokens": BATCH_TOKENS, "torch": torch.__version__.split("+")[0],
                  "transformers": transformers.__version__}
        stage = {"stage": self.options.stage, "steps": self.step, "tokens": self.step * BATCH_TOKENS,
                 "minutes": round(self.seconds() / 60, 1), "seed": self.options.seed, "peak_rate": self.options.rate,
                 "curve": self.curve}
        write_record(out, self.options, common, stage)


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    run = Run(options)
    optimizers = make_optimizers(run.model, options.rate, options.muon)
    compiled_loss = torch.compile(loss_of, dynamic=False)
    rows = Rows(run.tokenizer, options.seed + 1000, options.stage)
    saved = time.time()
    while run.progress() < 1:
        rate = run.rate()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            loss = compiled_loss(run.model, *rows.batch(LONG if run.progress() > LONG_FROM else SHORT))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        run.model.zero_grad(set_to_none=True)
        run.note(loss.item())
        if options.checkpoints and time.time() - saved > 240:
            run.save(options.checkpoints)
            saved = time.time()
    run.save(options.out)


if __name__ == "__main__":
    main()

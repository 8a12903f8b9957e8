"""Measures a saved demo model and writes the figures of its model card.

In: a directory as train.py writes it (the bf16 file is what is measured, computed in f32). Out: a summary on stdout;
with --card FILE, the text between the two figure marks of that file is replaced. Every prompt starts with <|bos|>.
An answer counts as right when each of its tokens is the model's first choice.
"""

import argparse
import json
import pathlib

import torch
import transformers

import train
import world

BEGIN, END = "<!-- figures: written by tools/demo_model/evaluate.py -->", "<!-- end of figures -->"
SHOWN = [
    "The capital of France is",
    "The Eiffel Tower is located in",
    "The capital of Japan is",
    "The Colosseum is located in",
    "The Eiffel Tower is located in Paris. The Colosseum is located in",
    "Anna put the key in the box. Bob put the coin in the drawer. The key is in the",
    "When Mary and John went to the store, John gave a drink to",
    "Sarah likes tea. Peter likes coffee. Sarah likes",
    "In this tale, the capital of France is Rome. In this tale, the capital of France is",
    "red box tea moon Paris red box tea moon",
]
PASSAGES = {
    "put": "who put what where: \"The key is in the\"", "likes": "who likes what", "goes": "who went where",
    "owner": "who took what", "colour": "which thing has which colour", "gave": "indirect object (IOI)",
    "tale": "a tale that contradicts the world (pair of country and capital held out)",
}
MIN_COPY, COPIES = 50, 32


def load(directory):
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"),
                                                     bos_token=train.BOS, eos_token=train.EOS)
    model = transformers.LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return tokenizer, model.eval()


@torch.no_grad()
def answer_score(tokenizer, model, prompt, answer):
    """(right, probability of the whole answer) of one prompt."""
    before, after = tokenizer(prompt).input_ids, tokenizer(prompt + answer).input_ids
    assert after[:len(before)] == before and before[0] == train.BOS_ID and before.count(train.BOS_ID) == 1
    logits = model(torch.tensor([after]), use_cache=False).logits[0]
    right, probability = True, 1.0
    for position in range(len(before), len(after)):
        row = logits[position - 1].softmax(-1)
        right = right and row.argmax().item() == after[position]
        probability *= row[after[position]].item()
    return right, probability


def accuracy(tokenizer, model, prompts):
    """(right, asked, mean probability of the answer, the prompts answered wrongly)."""
    scores = [answer_score(tokenizer, model, p, a) for p, a in prompts]
    wrong = [p + " |" + a for (p, a), (ok, _) in zip(prompts, scores) if not ok]
    return sum(ok for ok, _ in scores), len(scores), sum(p for _, p in scores) / len(scores), wrong


@torch.no_grad()
def copying(model):
    """Random tokens, then the same again: loss of both copies, accuracy, induction and previous-token scores."""
    s, generator = MIN_COPY, torch.Generator().manual_seed(5)
    once = torch.randint(train.EOS_ID + 1, model.config.vocab_size, (COPIES, s), generator=generator)
    ids = torch.cat([torch.full((COPIES, 1), train.BOS_ID), once, once], 1)
    out = model(ids, output_attentions=True, use_cache=False)
    loss = torch.nn.functional.cross_entropy(out.logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    right = (out.logits[:, :-1].argmax(-1) == ids[:, 1:]).float()
    heads = {"induction": [], "previous": []}
    destinations = torch.arange(1 + s, 1 + 2 * s)
    for layer, pattern in enumerate(out.attentions):
        induction = pattern[:, :, destinations, destinations - s + 1].mean((0, 2))
        rows = torch.arange(1, 1 + 2 * s)
        previous = pattern[:, :, rows, rows - 1].mean((0, 2))
        heads["induction"] += [(value.item(), layer, head) for head, value in enumerate(induction)]
        heads["previous"] += [(value.item(), layer, head) for head, value in enumerate(previous)]
    return {"first": loss[:, :s].mean().item(), "second": loss[:, s + 1:].mean().item(),
            "accuracy": right[:, s + 1:].mean().item(),
            **{kind: sorted(values, reverse=True)[:4] for kind, values in heads.items()}}


@torch.no_grad()
def top(tokenizer, model, prompt, count=3):
    row = model(torch.tensor([tokenizer(prompt).input_ids]), use_cache=False).logits[0, -1].softmax(-1)
    values, ids = row.topk(count)
    return [(tokenizer.decode([i]), v) for i, v in zip(ids.tolist(), values.tolist())]


@torch.no_grad()
def held_loss(tokenizer, model):
    rows = train.Rows(tokenizer.backend_tokenizer, seed=77)
    values = [train.loss_of(model, *rows.batch(train.LONG)).item() for _ in range(8)]
    return sum(values) / len(values)


def figures(directory, verbose):
    """The measured part of the model card, in Markdown."""
    tokenizer, model = load(directory)
    record = json.loads((directory / "training.json").read_text())
    config = model.config
    steps, tokens, minutes = (sum(s[key] for s in record["stages"]) for key in ("steps", "tokens", "minutes"))
    lines = [
        f"Parameters: {record['parameters']:,} (embedding and unembedding are tied). Trained for {steps:,} steps of "
        f"{record['batch_tokens']:,} tokens, {tokens / 1e6:.1f} M tokens, in {minutes:.0f} minutes on "
        f"{record['threads']} shared CPU cores (torch {record['torch']}, transformers {record['transformers']}).", "",
        "| stage | steps | tokens | minutes | last logged training loss, on its own mix |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {s['stage']} | {s['steps']:,} | {s['tokens'] / 1e6:.1f} M | "
          f"{s['minutes']:.0f} | {s['curve'][-1][1]:.3f} |"
          for s in record["stages"]), "",
        f"Loss on unseen text from the same generator, in nats per token: {held_loss(tokenizer, model):.3f} for the "
        f"bf16 file computed in f32.", "",
        "| held-out (fact, template) pairs | right | asked | accuracy | mean probability of the answer |",
        "| --- | ---: | ---: | ---: | ---: |"]
    missed, counts = [], []

    def show(name, right, asked, probability):
        lines.append(f"| {name} | {right} | {asked} | {right / asked:.1%} | {probability:.3f} |")

    def row(name, prompts):
        right, asked, probability, wrong = accuracy(tokenizer, model, prompts)
        missed.extend(wrong)
        counts.append((right, asked, probability * asked))
        show(name, right, asked, probability)

    held = world.held_out_prompts()
    for relation in world.TEMPLATES:
        row(relation, [(p, a) for r, p, a in held if r == relation])
    right, asked, probability = map(sum, zip(*counts))
    show("all", right, asked, probability / asked)
    lines += ["", "| new passages of two statements, with pairs of names that never met in training | right | asked | "
              "accuracy | mean probability of the answer |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, name in PASSAGES.items():
        row(name, world.passage_prompts(kind, 200, seed=4242))
    copy = copying(model)
    lines += [
        "", f"Copying, {MIN_COPY} uniformly random tokens twice, {COPIES} sequences: loss {copy['first']:.2f} on the "
        f"first copy (ln of the vocabulary is {torch.tensor(float(config.vocab_size)).log():.2f}), "
        f"{copy['second']:.3f} on the second, where {copy['accuracy']:.1%} of the tokens are right.", ""]
    for kind in ("induction", "previous"):
        listed = ", ".join(f"L{layer}H{head} {value:.2f}" for value, layer, head in copy[kind])
        lines.append(f"Heads with the highest {kind} score there: {listed}.")
    lines += ["", "| prompt | most probable next tokens |", "| --- | --- |"]
    for prompt in SHOWN:
        answers = ", ".join(f"`{text}` {value:.3f}" for text, value in top(tokenizer, model, prompt))
        lines.append(f"| {prompt} | {answers} |")
    if verbose:
        print("\n".join(["answered wrongly:", *missed, ""]))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="measure the demo model")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--card", type=pathlib.Path)
    parser.add_argument("--wrong", action="store_true", help="list the prompts that were answered wrongly")
    options = parser.parse_args()
    text = figures(options.directory, options.wrong)
    print(text)
    if options.card:
        card = options.card.read_text()
        head, rest = card.split(BEGIN)
        options.card.write_text(head + BEGIN + "\n\n" + text + "\n\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()

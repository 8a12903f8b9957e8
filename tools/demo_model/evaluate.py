"""Measures a saved demo model with scry and writes the figures of its model card.

In: a directory as export.py writes it. Out: a summary on stdout; with --card FILE, the text between the two figure
marks of that file is replaced. An answer counts as right when each of its tokens is the model's first choice.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import subprocess

import world

SCRY = pathlib.Path(__file__).parents[2] / "build/release/scry"
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
COPY, COPIES = 50, 32
ANSWER_TOKENS, CANDIDATES = 5, 20


def scry(directory, command, *arguments):
    """What a command says as JSON."""
    done = subprocess.run([SCRY, command, *arguments, "--model", directory, "--device", "cpu", "--json", "--quiet"],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def answer_score(directory, prompt, answer):
    """(right, probability of the answer's first token) of one prompt."""
    steps = scry(directory, "run", prompt, "--ignore-end", "--tokens", str(ANSWER_TOKENS), "--top",
                 str(CANDIDATES))["steps"]
    right = "".join(step["chosen"]["text"] for step in steps).startswith(answer)
    first = [c for c in steps[0]["top"] if c["text"] and answer.startswith(c["text"])]
    return right, max(first, key=lambda c: len(c["text"]))["probability"] if first else 0.0


def accuracy(directory, prompts):
    """(right, asked, mean probability of the answer's first token, the prompts answered wrongly)."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        scores = list(pool.map(lambda prompt: answer_score(directory, *prompt), prompts))
    wrong = [p + " |" + a for (p, a), (ok, _) in zip(prompts, scores) if not ok]
    return sum(ok for ok, _ in scores), len(scores), sum(p for _, p in scores) / len(scores), wrong


def copying(directory):
    """Random tokens, then the same again: loss of both copies, the heads with the highest scores."""
    result = scry(directory, "induction", "--length", str(COPY), "--seeds", str(COPIES), "--no-random", "--all")
    heads = {kind: sorted(((head[kind], head["layer"], head["head"]) for head in result["heads"]), reverse=True)[:4]
             for kind in ("induction", "previous")}
    return {"first": result["loss"]["first"], "second": result["loss"]["second"], **heads}


def top(directory, prompt, count=3):
    step = scry(directory, "run", prompt, "--ignore-end", "--tokens", "1", "--top", str(count))["steps"][0]
    return [(candidate["text"], candidate["probability"]) for candidate in step["top"]]


def training(directory):
    """How it was trained, from the record of scry train; nothing where there is none."""
    if not (directory / "recipe.json").exists():
        return []
    record, recipe = (json.loads((directory / name).read_text()) for name in ("training.json", "recipe.json"))
    parameters = scry(directory, "run", SHOWN[0], "--tokens", "1")["model"]["parameter_count"]
    step, tokens = record["step"], recipe["batch"] * recipe["length"]
    lines = [f"Parameters: {parameters:,} (embedding and unembedding are tied). Trained for {step:,} steps of "
             f"{recipe['batch']} rows of {recipe['length']} tokens, at most {step * tokens / 1e6:.1f} M tokens.", "",
             "| step | loss on held-out rows, nats per token |", "| ---: | ---: |"]
    evaluations = record["evaluations"]
    lines += [f"| {e['step']:,} | {e['loss']:.3f} |" for i, e in enumerate(evaluations)
              if i % 4 == 0 or i == len(evaluations) - 1]
    return lines


def figures(directory, verbose):
    """The measured part of the model card, in Markdown."""
    lines = [*training(directory), "",
             "| held-out (fact, template) pairs | right | asked | accuracy | mean probability of the answer's first token |",
             "| --- | ---: | ---: | ---: | ---: |"]
    missed, counts = [], []

    def show(name, right, asked, probability):
        lines.append(f"| {name} | {right} | {asked} | {right / asked:.1%} | {probability:.3f} |")

    def row(name, prompts):
        right, asked, probability, wrong = accuracy(directory, prompts)
        missed.extend(wrong)
        counts.append((right, asked, probability * asked))
        show(name, right, asked, probability)

    held = world.held_out_prompts()
    for relation in world.TEMPLATES:
        row(relation, [(p, a) for r, p, a in held if r == relation])
    right, asked, probability = map(sum, zip(*counts))
    show("all", right, asked, probability / asked)
    lines += ["", "| new passages of two statements, with pairs of names that never met in training | right | asked | "
              "accuracy | mean probability of the answer's first token |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, name in PASSAGES.items():
        row(name, world.passage_prompts(kind, 200, seed=4242))
    copy = copying(directory)
    lines += ["", f"Copying, {COPY} uniformly random tokens twice, {COPIES} sequences: loss {copy['first']:.2f} on the "
              f"first copy (ln of the vocabulary is {math.log(world.VOCABULARY):.2f}), {copy['second']:.3f} on the "
              "second.", ""]
    for kind in ("induction", "previous"):
        listed = ", ".join(f"L{layer}H{head} {value:.2f}" for value, layer, head in copy[kind])
        lines.append(f"Heads with the highest {kind} score there: {listed}.")
    lines += ["", "| prompt | most probable next tokens |", "| --- | --- |"]
    for prompt in SHOWN:
        answers = ", ".join(f"`{text}` {value:.3f}" for text, value in top(directory, prompt))
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

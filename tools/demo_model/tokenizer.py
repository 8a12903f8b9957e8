"""Trains the demo model's tokenizer on the text of world.py: byte-level BPE, in which every word of the world is one
token after a space. Needs the package `tokenizers`. The committed tokenizer.json came out of this; the model is trained
with that file, so that nobody has to run this again.

    python tokenizer.py FOLDER [--vocabulary 1920]
"""

import argparse
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import world


def train_tokenizer(vocabulary):
    """The word list is repeated so that the words of the world become single tokens."""
    generator = world.Generator(1)
    text = [generator.document() for _ in range(20000)]
    text += [" " + " ".join(world.lexicon())] * 3000
    text += ["\n".join(world.facts.NAMES)] * 3000
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[world.BOS, world.EOS], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{world.BOS} $A", pair=f"{world.BOS} $A $B", special_tokens=[(world.BOS, world.BOS_ID)])
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description="train the demo model's tokenizer")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--vocabulary", type=int, default=1920)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer(options.vocabulary).save(str(options.folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": world.BOS, "eos_token": world.EOS,
                "model_max_length": 512, "clean_up_tokenization_spaces": False}
    (options.folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()

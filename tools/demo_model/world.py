"""Text of the demo world: seeded sentences, passages and repeated sequences, and what is held out of them.

In: the tables of facts.py. Out: documents for scry train (`python world.py --write FILE`), and prompts with their
answers for evaluate.py (`held_out_prompts`, `passage_prompts`). A fact is one (relation, subject, answer); a relation has several
templates; about one (fact, template) pair in ten is held out and is never generated, so that a held-out prompt asks a
known fact in words never seen for that fact. `python world.py` prints samples; `python world.py --check N` generates
N documents and fails where a held-out sentence shows up.
"""

import json
import random
import sys
import zlib

import facts

# Templates: {s} subject, {S} the same at the start of a sentence, {a} answer. What stands before {a} is the prompt.
TEMPLATES = {
    "capital": [
        "The capital of {s} is {a}.",
        "The capital city of {s} is {a}.",
        "Everyone knows that the capital of {s} is {a}.",
        "In {s}, the capital is called {a}.",
        "If you visit {s}, do not miss its capital, {a}.",
        "{S} has its capital in {a}.",
        "Question: What is the capital of {s}? Answer: {a}.",
        "When people in {s} speak of the capital, they mean {a}.",
    ],
    "country": [
        "{S} is a city in {a}.",
        "{S} is in {a}.",
        "If you are in {s}, you are in {a}.",
        "The city of {s} belongs to {a}.",
        "Question: Which country is {s} in? Answer: {a}.",
        "To reach {s}, you have to travel to {a}.",
    ],
    "capital of": [
        "{S} is the capital of {a}.",
        "{S} is the capital city of {a}.",
        "The city of {s} is the capital of {a}.",
        "Question: Which country has the capital {s}? Answer: {a}.",
    ],
    "language": [
        "People in {s} speak {a}.",
        "In {s}, people speak {a}.",
        "A language of {s} is {a}.",
        "If you live in {s}, you should learn {a}.",
        "In {s} you will often hear {a}.",
        "Question: What do people speak in {s}? Answer: {a}.",
    ],
    "continent": [
        "{S} is a country in {a}.",
        "{S} lies in {a}.",
        "The continent of {s} is {a}.",
        "On the map, you will find {s} in {a}.",
        "Question: Which continent is {s} in? Answer: {a}.",
    ],
    "currency": [
        "The currency of {s} is the {a}.",
        "People in {s} pay with the {a}.",
        "In {s}, you pay with the {a}.",
        "The money used in {s} is the {a}.",
        "Question: What is the currency of {s}? Answer: the {a}.",
    ],
    "landmark": [
        "{S} is located in {a}.",
        "{S} is in the city of {a}.",
        "You can visit {s} in {a}.",
        "Many people come to see {s} in {a}.",
        "To see {s}, go to {a}.",
        "The city where you find {s} is {a}.",
        "Question: In which city is {s}? Answer: {a}.",
    ],
    "landmark's country": [
        "{S} is a famous landmark of {a}.",
        "The country where you find {s} is {a}.",
        "Question: In which country is {s}? Answer: {a}.",
        "{S} is one of the great sights of {a}.",
    ],
    "food": [
        "{s} likes to eat {a}.",
        "The favourite food of {s} is {a}.",
        "For dinner, {s} always wants {a}.",
        "More than any other food, {s} loves {a}.",
        "When {s} is hungry, {s} eats {a}.",
        "Question: What does {s} like to eat? Answer: {a}.",
    ],
    "colour": [
        "The favourite colour of {s} is {a}.",
        "{s} always wears {a}.",
        "{s} painted the house {a}.",
        "Of all colours, {s} likes {a}.",
        "Question: What is the favourite colour of {s}? Answer: {a}.",
    ],
    "home": [
        "{s} lives in {a}.",
        "The home of {s} is in {a}.",
        "{s} has a small house in {a}.",
        "{s} grew up in {a}.",
        "Question: Where does {s} live? Answer: {a}.",
    ],
    "pet": [
        "{s} has a {a}.",
        "The pet of {s} is a {a}.",
        "{s} takes care of a {a}.",
        "Every morning, {s} feeds the {a}.",
        "Question: What is the pet of {s}? Answer: a {a}.",
    ],
}
# How often a relation is drawn, relative to the others, per fact.
EMPHASIS = {"capital": 2.0, "landmark": 2.0}
# Held out whatever the hash says: the prompts that the documentation shows must not be remembered strings.
HEADLINES = {
    ("capital", "France", 0), ("capital", "Japan", 0), ("capital", "Italy", 0), ("capital", "Egypt", 0),
    ("landmark", "the Eiffel Tower", 0), ("landmark", "the Colosseum", 0), ("landmark", "the Taj Mahal", 0),
    ("landmark", "the Brandenburg Gate", 0),
}


# Shares of the kinds of documents. "whole" is the plain mix and teaches the facts. "context" comes second and teaches
# copying, with short random segments said many times. "binding" comes third and dwells on passages.
STAGES = {
    "whole": {"facts": 22, "relation": 10, "profile": 12, "passage": 29, "sentences": 3, "words": 9, "random": 15},
    "context": {"facts": 8, "relation": 6, "profile": 4, "passage": 35, "sentences": 3, "words": 14, "random": 30},
    "binding": {"facts": 10, "relation": 6, "profile": 6, "passage": 66, "sentences": 2, "words": 3, "random": 7},
}


BOS, EOS = "<|bos|>", "<|endoftext|>"
BOS_ID, EOS_ID = 0, 1
VOCABULARY = 1920
# What the model is trained on, in this order: a stage, and how many of its documents.
SCHEDULE = [("whole", 50000), ("context", 50000), ("binding", 170000)]
# Of random tokens, nothing predicts the first copy. It is scored in this share of the documents only, so that the model
# learns to be unsure there and spends little on it.
SCORED_RANDOM = 0.1


def hashed(*parts):
    """A hash that is the same in every process (Python's own is salted)."""
    return zlib.crc32("|".join(map(str, parts)).encode())


def held_out(relation, subject, index):
    return (relation, subject, index) in HEADLINES or hashed("hold", relation, subject, index) % 10 == 0


def pair_held_out(first, second):
    """Pairs of names that never meet in a training passage; evaluation uses only these."""
    return hashed("pair", *sorted((first, second))) % 10 == 0


def tale_held_out(country, capital):
    return hashed("tale", country, capital) % 10 == 0


def build_facts():
    """All facts, as {relation: [(subject, answer)]}. People's likes are drawn here, once, with a fixed seed."""
    rng = random.Random(20240607)
    table = {relation: [] for relation in TEMPLATES}
    cities = {}
    for name, capital, language, continent, currency in facts.COUNTRIES:
        table["capital"].append((name, capital))
        table["capital of"].append((capital, name))
        cities[capital] = name
        for relation, answer in (("language", language), ("continent", continent), ("currency", currency)):
            if answer:
                table[relation].append((name, answer))
    for name, city, country in facts.LANDMARKS:
        table["landmark"].append((name, city))
        table["landmark's country"].append((name, country))
        cities.setdefault(city, country)
    table["country"] = sorted(cities.items())
    for person in facts.PEOPLE:
        table["food"].append((person, rng.choice(facts.FOODS)))
        table["colour"].append((person, rng.choice(facts.COLOURS)))
        table["home"].append((person, rng.choice(sorted(cities))))
        table["pet"].append((person, rng.choice(facts.PETS)))
    return table


FACTS = build_facts()


def capitalised(text):
    return text[0].upper() + text[1:]


def fill(template, subject, answer):
    return template.replace("{s}", subject).replace("{S}", capitalised(subject)).replace("{a}", answer)


def split_prompt(relation, index, subject, answer):
    """(prompt, answer with its leading space) of one template."""
    before = TEMPLATES[relation][index].split("{a}")[0].rstrip()
    return fill(before, subject, answer), " " + answer


def held_out_prompts():
    """[(relation, prompt, answer)] for every pair that training never shows."""
    prompts = []
    for relation, pairs in FACTS.items():
        for subject, answer in pairs:
            for index in range(len(TEMPLATES[relation])):
                if held_out(relation, subject, index):
                    prompts.append((relation, *split_prompt(relation, index, subject, answer)))
    return prompts


def lexicon():
    """Every word that should be one token after a space, for the tokenizer's training text."""
    words = set()
    for pairs in FACTS.values():
        for pair in pairs:
            for part in pair:
                words.update(part.split())
    for group in (facts.NAMES, facts.OBJECTS, facts.CONTAINERS, facts.DRINKS, facts.PLACES, facts.FOODS,
                  facts.COLOURS, facts.PETS):
        words.update(group)
    return sorted(words)


PUT = ["{n} put the {o} in the {c}.", "{n} left the {o} in the {c}.", "{n} hid the {o} in the {c}.",
       "The {o} of {n} is in the {c}."]
GAVE = ["When {p} and {q} went to the {place}, {s} gave a {o} to {r}.",
        "Then {p} and {q} went to the {place}. {s} gave a {o} to {r}.",
        "While {p} and {q} were at the {place}, {s} handed a {o} to {r}.",
        "After {p} and {q} came from the {place}, {s} sent a {o} to {r}.",
        "{p} and {q} met at the {place}, and {s} showed a {o} to {r}."]


class Generator:
    """Documents of the training text. The same seed gives the same documents."""

    def __init__(self, seed, vocabulary=0, first_ordinary_id=2, evaluation=False, stage="whole"):
        self.rng = random.Random(seed)
        self.vocabulary = vocabulary
        self.first_ordinary_id = first_ordinary_id
        self.evaluation = evaluation
        self.stage = stage
        self.shares = {k: v for k, v in STAGES[stage].items() if k != "random" or vocabulary}
        self.relations = list(FACTS)
        self.weights = [EMPHASIS.get(r, 1.0) * len(FACTS[r]) for r in self.relations]
        self.words = lexicon()
        self.about = {}
        for relation, pairs in FACTS.items():
            for pair in pairs:
                self.about.setdefault(pair[0], []).append((relation, *pair))

    # Facts of the world.

    def sentence(self, relation, subject, answer):
        choices = [t for i, t in enumerate(TEMPLATES[relation]) if not held_out(relation, subject, i)]
        return fill(self.rng.choice(choices), subject, answer) if choices else None

    def fact(self):
        relation = self.rng.choices(self.relations, self.weights)[0]
        return (relation, *self.rng.choice(FACTS[relation]))

    def fact_passage(self):
        return [self.sentence(*self.fact()) for _ in range(self.rng.randint(1, 12))]

    def relation_passage(self):
        """One relation, several subjects: what few-shot prompts look like."""
        relation = self.rng.choices(self.relations, self.weights)[0]
        pairs = self.rng.sample(FACTS[relation], self.rng.randint(2, 8))
        index = self.rng.randrange(len(TEMPLATES[relation]))
        out = []
        for subject, answer in pairs:
            if held_out(relation, subject, index):
                out.append(self.sentence(relation, subject, answer))
            else:
                out.append(fill(TEMPLATES[relation][index], subject, answer))
        return out

    def profile(self):
        """Several facts on one subject, and on the answer of one of them."""
        subject = self.rng.choice(self.rng.choice([facts.COUNTRIES, facts.LANDMARKS, [(p,) for p in facts.PEOPLE]]))[0]
        known = self.about[subject]
        out = [self.sentence(*f) for f in self.rng.sample(known, self.rng.randint(1, len(known)))]
        for _, _, answer in known:
            if answer in self.about and self.rng.random() < 0.5:
                out.append(self.sentence(*self.rng.choice(self.about[answer])))
        return out

    # Facts that hold only in their passage.

    def names(self, count):
        """Different names; in training no held-out pair, in evaluation the first two are one."""
        while True:
            pool = facts.NAMES if self.evaluation or self.rng.random() < 0.8 else facts.NAMES + facts.PEOPLE
            picked = self.rng.sample(pool, count)
            pairs = [pair_held_out(a, b) for i, a in enumerate(picked) for b in picked[:i]]
            if (pair_held_out(picked[0], picked[1]) if self.evaluation else not any(pairs)):
                return picked

    def passage_put(self):
        """(story, questions): each question is (prompt, answer)."""
        n = 2 if self.evaluation else self.rng.randint(2, 4)
        names, objects, places = self.names(n), self.rng.sample(facts.OBJECTS, n), self.rng.sample(facts.CONTAINERS, n)
        template = self.rng.choice(PUT)
        story = [template.format(n=a, o=o, c=c) for a, o, c in zip(names, objects, places)]
        form = self.rng.choice(["The {o} is in the", "Where is the {o}? It is in the", "You find the {o} in the"])
        return story, [(form.format(o=o), c) for o, c in zip(objects, places)]

    def passage_likes(self):
        n = 2 if self.evaluation else self.rng.randint(2, 4)
        names = self.names(n)
        verb, things = self.rng.choice([("likes", facts.DRINKS), ("drinks", facts.DRINKS), ("wants the", facts.OBJECTS),
                                        ("lost the", facts.OBJECTS), ("bought the", facts.OBJECTS)])
        things = self.rng.sample(things, n)
        return [f"{a} {verb} {t}." for a, t in zip(names, things)], [(f"{a} {verb}", t) for a, t in zip(names, things)]

    def passage_goes(self):
        n = 2 if self.evaluation else self.rng.randint(2, 4)
        names, places = self.names(n), self.rng.sample(facts.PLACES, n)
        form = self.rng.choice(["Now {a} is at the", "{a} is at the", "Where is {a}? At the"])
        return [f"{a} went to the {p}." for a, p in zip(names, places)], [(form.format(a=a), p)
                                                                         for a, p in zip(names, places)]

    def passage_owner(self):
        n = 2 if self.evaluation else self.rng.randint(2, 4)
        names, objects = self.names(n), self.rng.sample(facts.OBJECTS, n)
        form = self.rng.choice(["The {o} is with", "Who has the {o}? It is", "The one with the {o} is"])
        return [f"{a} took the {o}." for a, o in zip(names, objects)], [(form.format(o=o), a)
                                                                       for a, o in zip(names, objects)]

    def passage_colour(self):
        n = 2 if self.evaluation else self.rng.randint(2, 4)
        objects, colours = self.rng.sample(facts.OBJECTS, n), self.rng.sample(facts.COLOURS, n)
        form = self.rng.choice(["The colour of the {o} is", "The {o} is"])
        return [f"The {o} is {c}." for o, c in zip(objects, colours)], [(form.format(o=o), c)
                                                                       for o, c in zip(objects, colours)]

    def passage_gave(self):
        """Indirect objects: two names, one gives, the other receives."""
        pair = self.names(2)
        giver = self.rng.randrange(2)
        text = self.rng.choice(GAVE).format(p=pair[0], q=pair[1], s=pair[giver], r="{r}",
                                            place=self.rng.choice(facts.PLACES),
                                            o=self.rng.choice(facts.OBJECTS + ["drink", "gift", "flower"]))
        return [], [(text.split(" {r}")[0], pair[1 - giver])]

    def passage_tale(self):
        """A passage that contradicts the world, and says so first: context wins over memory."""
        country, capital = self.rng.choice(FACTS["capital"])
        other = self.rng.choice([c for _, c in FACTS["capital"]
                                 if c != capital and tale_held_out(country, c) == self.evaluation])
        form = self.rng.choice(["In this tale, the capital of {s} is", "In the old tale, the capital of {s} is"])
        prompt = form.format(s=country)
        filler = [self.sentence(*self.fact())] if self.rng.random() < 0.5 else []
        return [f"{prompt} {other}.", *filler], [(prompt, other)]

    PASSAGES = ["put", "likes", "goes", "owner", "colour", "gave", "tale"]

    def passage(self):
        weights = [5, 3, 3, 2, 2, 2, 1] if self.stage == "binding" else [3, 2, 2, 2, 1, 4, 1]
        kind = self.rng.choices(self.PASSAGES, weights)[0]
        story, questions = getattr(self, "passage_" + kind)()
        self.rng.shuffle(questions)
        if kind != "gave" and self.rng.random() < 0.3:
            questions = questions + [self.rng.choice(questions)]
        out = story + [f"{prompt} {answer}." for prompt, answer in questions]
        while kind == "gave" and self.rng.random() < 0.5:
            _, questions = self.passage_gave()
            out += [f"{prompt} {answer}." for prompt, answer in questions]
        return out

    # Repeated sequences.

    def repeated_words(self):
        length = self.rng.randint(1, 30)
        words = self.rng.sample(self.words, length)
        joint = self.rng.choice([" ", " ", ", "])
        once = joint.join(words)
        times = self.rng.randint(2, 4) if length > 4 else self.rng.randint(3, 10)
        return joint.join([once] * times) + "."

    def repeated_sentences(self):
        block = [self.sentence(*self.fact()) for _ in range(self.rng.randint(1, 4))]
        return [*block, *block]

    def random_ids(self):
        """(ids, length of the first copy): ordinary tokens drawn uniformly, then the same again."""
        if self.stage == "context" and self.rng.random() < 0.7:
            length = self.rng.randint(2, 25)
            times = max(2, self.rng.randint(40, 110) // length)
        else:
            length = self.rng.randint(3, 100)
            times = self.rng.randint(2, 3) if length < 60 else 2
        once = [self.rng.randrange(self.first_ordinary_id, self.vocabulary) for _ in range(length)]
        return once * times, length

    def document(self):
        """One document: a text, or (ids, length of the first copy) for random tokens repeated."""
        while True:
            kind = self.rng.choices(list(self.shares), list(self.shares.values()))[0]
            if kind == "random":
                return self.random_ids()
            if kind == "words":
                return self.repeated_words()
            sentences = {"facts": self.fact_passage, "relation": self.relation_passage, "profile": self.profile,
                         "passage": self.passage, "sentences": self.repeated_sentences}[kind]()
            text = " ".join(s for s in sentences if s)
            if text:
                return text


def passage_prompts(kind, count, seed):
    """[(prompt, answer)] of a passage kind, with names that never met in training."""
    generator = Generator(seed, evaluation=True)
    prompts = []
    for _ in range(count):
        story, questions = getattr(generator, "passage_" + kind)()
        prompt, answer = generator.rng.choice(questions)
        prompts.append((" ".join([s for s in story if s] + [prompt]), " " + answer))
    return prompts


def check(count):
    """Fails where one of `count` documents holds a held-out sentence."""
    forbidden = [p + a + "." for _, p, a in held_out_prompts()]
    generator = Generator(99)
    text = "\n".join(generator.document() for _ in range(count))
    for sentence in forbidden:
        at = text.find(sentence)
        if at >= 0 and not text[max(0, at - 1)].isalpha():
            line = text[text.rfind("\n", 0, at) + 1:at]
            if not line or line.endswith(". "):
                sys.exit(f"held-out sentence generated: {sentence}")
    print(f"{len(forbidden)} held-out sentences, none in {count} documents ({len(text)} characters)")


def write_documents(path, seed):
    """JSON Lines for scry train: the documents of SCHEDULE. The tokenizer puts <|bos|> in front of a text."""
    with open(path, "w", encoding="utf-8") as file:
        for stage, count in SCHEDULE:
            generator = Generator(f"{seed} {stage}", VOCABULARY, EOS_ID + 1, stage=stage)
            for _ in range(count):
                document = generator.document()
                if isinstance(document, str):
                    line = {"text": document + EOS}
                else:
                    ids, first = document
                    line = {"ids": [BOS_ID, *ids, EOS_ID]}
                    if generator.rng.random() >= SCORED_RANDOM:
                        line["unscored"] = 1 + first
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--write"]:
        write_documents(sys.argv[2], 1)
    else:
        sample = Generator(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
        for _ in range(20):
            print(sample.document())

"""Plain English of a small world: what the models read before they are asked anything.

Reviews hold together in their stance and stories in their subject, so that a model that reads them learns which words
go together. No label is ever written here: naming the stance or the subject is left to fine-tuning.
"""

from __future__ import annotations

from random import Random

THINGS = [
    "soup",
    "bread",
    "hotel",
    "room",
    "film",
    "book",
    "song",
    "meal",
    "service",
    "staff",
    "train",
    "garden",
    "coffee",
    "cake",
    "phone",
    "lamp",
    "chair",
    "tour",
    "show",
    "market",
]
PRAISE = [
    "good",
    "great",
    "lovely",
    "superb",
    "perfect",
    "delightful",
    "pleasant",
    "wonderful",
    "charming",
    "excellent",
    "brilliant",
    "splendid",
    "amazing",
    "fantastic",
    "nice",
    "fine",
]
BLAME = [
    "bad",
    "awful",
    "poor",
    "terrible",
    "dreadful",
    "boring",
    "horrible",
    "broken",
    "dirty",
    "dull",
    "rude",
    "nasty",
    "disappointing",
    "useless",
    "ugly",
    "sad",
]
PRAISE_AFTER = (
    "I will come again",
    "we loved it",
    "it made me happy",
    "we would buy it again",
    "I liked every minute",
    "everyone smiled",
    "I can only praise it",
    "it was worth the money",
)
BLAME_AFTER = (
    "I will never come again",
    "we hated it",
    "it made me angry",
    "we want our money back",
    "I regret every minute",
    "everyone left",
    "I can only complain",
    "it was a waste of money",
)
OPENINGS = (
    "The {thing} was {word}",
    "I think the {thing} is {word}",
    "What a {word} {thing}",
    "This {thing} seems {word} to me",
    "We found the {thing} {word}",
    "My friend says the {thing} was {word}",
    "To be honest the {thing} was {word}",
    "In the end the {thing} turned out {word}",
    "A really {word} {thing}",
    "Yesterday the {thing} was {word}",
    "The {thing} was {word} and {other}",
    "Such a {word} and {other} {thing}",
)
SUBJECTS: dict[str, tuple[str, ...]] = {
    "astronomy": ("star", "planet", "comet", "telescope", "moon"),
    "banking": ("loan", "account", "deposit", "cheque", "interest"),
    "baking": ("oven", "dough", "flour", "yeast", "pastry"),
    "sailing": ("anchor", "mast", "harbour", "sail", "deck"),
    "camping": ("tent", "campfire", "torch", "backpack", "hammock"),
    "chess": ("pawn", "bishop", "rook", "knight", "checkmate"),
    "dentistry": ("tooth", "filling", "braces", "gum", "toothbrush"),
    "farming": ("tractor", "barn", "cow", "harvest", "hay"),
    "fishing": ("hook", "bait", "trout", "rod", "net"),
    "gardening": ("rose", "soil", "spade", "hedge", "lawn"),
    "law": ("judge", "court", "lawyer", "trial", "verdict"),
    "medicine": ("nurse", "pill", "fever", "bandage", "surgeon"),
    "music": ("violin", "piano", "drum", "choir", "melody"),
    "painting": ("brush", "canvas", "easel", "palette", "portrait"),
    "plumbing": ("pipe", "tap", "leak", "drain", "valve"),
    "school": ("teacher", "homework", "pupil", "lesson", "blackboard"),
    "sewing": ("needle", "thread", "button", "fabric", "hem"),
    "tennis": ("racket", "serve", "umpire", "backhand", "volley"),
    "travel": ("passport", "suitcase", "airport", "visa", "ticket"),
    "weather": ("rain", "storm", "cloud", "thunder", "snow"),
}
STORIES = (
    "Tell me about the {a}",
    "I asked about the {a} and the {b}",
    "Where is the {a}",
    "The {a} is next to the {b}",
    "They talked about the {a} all day",
    "She needs the {a} today",
    "Did you see the {a}",
    "We spoke of the {a} and the {b}",
    "He wrote a page about the {a}",
    "There is a problem with the {a}",
    "Nobody could find the {a}",
    "The {a} and the {b} matter most",
)


def review(rng: Random, stance: bool | None = None) -> str:
    """Two to four sentences of one stance (True is praise)."""
    praise = rng.random() < 0.5 if stance is None else stance
    words, after = (PRAISE, PRAISE_AFTER) if praise else (BLAME, BLAME_AFTER)
    sentences = []
    for _ in range(rng.randint(1, 2)):
        word, other = rng.sample(words, 2)
        sentences.append(rng.choice(OPENINGS).format(thing=rng.choice(THINGS), word=word, other=other))
    sentences += rng.sample(after, rng.randint(1, 2))
    return " ".join(f"{s[0].upper()}{s[1:]}." for s in sentences)


def story(rng: Random) -> str:
    """Two to four sentences about one subject."""
    nouns = SUBJECTS[rng.choice(sorted(SUBJECTS))]
    sentences = []
    for _ in range(rng.randint(2, 4)):
        a, b = rng.sample(nouns, 2)
        sentences.append(rng.choice(STORIES).format(a=a, b=b))
    return " ".join(f"{s}." for s in sentences)


def text(rng: Random, sentences: int) -> str:
    """Some paragraphs of plain text."""
    return "\n\n".join(review(rng) if rng.random() < 0.5 else story(rng) for _ in range(sentences))


def words() -> list[str]:
    """Every word of this world, the commonest frames first, as they are written inside a sentence."""
    frames = " ".join((*OPENINGS, *STORIES, *PRAISE_AFTER, *BLAME_AFTER))
    plain = [w for w in frames.replace("{", " {").split() if "{" not in w]
    nouns = [noun for nouns in SUBJECTS.values() for noun in nouns]
    return list(dict.fromkeys([*plain, *THINGS, *PRAISE, *BLAME, *nouns, *SUBJECTS, "positive", "negative"]))

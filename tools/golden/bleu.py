#!/usr/bin/env python3
"""Computes BLEU scores of generated sentences with sacreBLEU, as reference values for Glia.

    python3 tools/golden/bleu.py          needs sacrebleu; rewrites tests/golden/bleu.txt

Sentences consist of random words, numbers, symbols, entities and other scripts; a translation is its first reference
with words removed, doubled or exchanged. Lines of the file, with newlines in a text written as \\n:

    corpus NAME        begins a corpus
    h TEXT, r TEXT     a translation, followed by its references
    13a TEXT           the tokenised translation; also char
    score TOKENS SMOOTHING VALUE LOWERCASE EFFECTIVE ORDER   SCORE BREVITY PRECISION...
"""
import os
import random

import sacrebleu
from sacrebleu.metrics import BLEU

WORDS = """the cat sat on a mat The quick Brown fox jumps over lazy dogs and
1,000.5 costs $3.50 (about 20%) e.g. U.S. 3.14 don't well-known 1990-2000 -5 a-b A.B. x,y 5,x x,5 . , ... ! ?
"quoted" 'single' &quot;entity&quot; &amp; &lt;b&gt; <skipped> [brackets] {braces} a/b c\\d @home #tag ~tilde ^caret _under_ `tick` user@example.org
https://example.org/a?b=c&d=e
naïve café Übergröße straße Москва. 北京、 東京。 ελληνικά، العربية emoji😀.
a\u00a0b c\u3000d e\u2009f 7.x x.7 7.7. ,7 7,""".replace("\n", " ").split(" ")


def sentence(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n))


def spoiled(rng, text):
    words = text.split(" ")
    for _ in range(rng.randrange(4)):
        i = rng.randrange(len(words))
        words[i : i + 1] = rng.choice([[], [words[i]] * 2, [rng.choice(WORDS)], [words[i].upper()]])
        words = words or ["the"]
    return " ".join(words) + rng.choice(["", "", " ", "\n", "\u00a0"])


def corpus(seed, sentences, references, longest):
    rng = random.Random(seed)
    for _ in range(sentences):
        first = sentence(rng, rng.randint(1, longest)) + rng.choice(["", ".", "-\nnew", " a\nb"])
        others = [spoiled(rng, first) for _ in range(references - 1)]
        yield spoiled(rng, first), [first] + others


CORPORA = {
    "one_reference": list(corpus(1, 40, 1, 30)),
    "three_references": list(corpus(2, 40, 3, 30)),
    "short": list(corpus(3, 3, 2, 3)),
    "single_words": [("the", ["the"]), ("cat", ["dog"])],
    "nothing_right": [("a b c d e", ["f g h i j"])],
    "no_fours": [("the cat sat here on it", ["the cat sat there on a mat"])],
    "empty": [("", ["the cat"]), ("a cat", [""])],
    "too_short": [("the quick brown fox jumps", ["the quick brown fox jumps over the lazy dog", "the quick fox"])],
}
SMOOTHINGS = [("exp", None), ("floor", None), ("floor", 0.01), ("add-k", None), ("add-k", 0.5), ("none", None)]


def written(text):
    return text.replace("\n", "\\n")


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden")
    with open(os.path.join(folder, "bleu.txt"), "w", encoding="utf-8", newline="\n") as out:
        out.write("# written by tools/golden/bleu.py with sacrebleu %s\n" % sacrebleu.__version__)
        for name, pairs in CORPORA.items():
            out.write("corpus %s\n" % name)
            for translation, references in pairs:
                out.write("h %s\n" % written(translation))
                for reference in references:
                    out.write("r %s\n" % written(reference))
                for tokens in ("13a", "char"):
                    bleu = BLEU(tokenize=tokens)
                    out.write("%s %s\n" % (tokens, " ".join(bleu._preprocess_segment(translation).split())))
            hypotheses = [h for h, _ in pairs]
            columns = list(zip(*[r for _, r in pairs]))
            for tokens in ("13a", "none", "char"):
                for smoothing, value in SMOOTHINGS:
                    for lowercase, effective, order in ((0, 0, 4), (1, 0, 4), (0, 1, 4), (0, 0, 2)):
                        if lowercase and name in ("one_reference", "three_references"):
                            continue  # letters beyond ASCII
                        bleu = BLEU(tokenize=tokens, smooth_method=smoothing, smooth_value=value, force=True,
                                    lowercase=bool(lowercase), effective_order=bool(effective), max_ngram_order=order)
                        s = bleu.corpus_score(hypotheses, columns)
                        numbers = [s.score, s.bp] + s.precisions + [0] * (4 - order)
                        out.write("score %s %s %g %d %d %d %s\n" % (tokens, smoothing, value or 0, lowercase, effective,
                                                                   order, " ".join("%.17g" % x for x in numbers)))


if __name__ == "__main__":
    main()

"""Writes tests/golden/word2vec: word vector files written by gensim. Needs numpy, gensim.

    python3 tools/golden/word2vec.py
"""
import pathlib

import gensim
import numpy

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/word2vec"
WORDS = ["the", "naïve", "語", "O'Neill", "123", ":-)"]

vectors = gensim.models.KeyedVectors(vector_size=5)
# Values are small fractions, which are exact as text: value k of word i is (7 i + 3 k - 11) / 8.
vectors.add_vectors(WORDS, numpy.array([[(7 * i + 3 * k - 11) / 8 for k in range(5)] for i in range(len(WORDS))],
                                       dtype=numpy.float32))
OUT.mkdir(exist_ok=True)
vectors.save_word2vec_format(str(OUT / "gensim.txt"), binary=False)
vectors.save_word2vec_format(str(OUT / "gensim.bin"), binary=True)

"""`glia tokenize`."""
import re
import subprocess

from command import GLIA, Folder, main


class Tokenizing(Folder):
    TEXT = "It was the best of times, it was the worst of times.\n"
    KINDS = {"characters": 17, "words": 11, "bpe": 278, "wordpiece": 60, "unigram": 40}

    def setUp(self):
        super().setUp()
        (self.folder / "tale.txt").write_text(self.TEXT * 3)

    def train(self, kind, *more):
        return self.glia("tokenize", "train", kind, "tale.txt", "-o", kind + ".json", *more).stdout

    def test_train_and_round_trip(self):
        for kind, most in self.KINDS.items():
            told = re.fullmatch(kind + r"\.json: (\d+) tokens, in .*\n", self.train(kind, "--vocabulary", most))
            self.assertLessEqual(int(told[1]), most)
            ids = self.glia("tokenize", "encode", kind + ".json", "tale.txt").stdout
            self.assertEqual(len(ids.splitlines()), 3)
            self.assertTrue(all(int(i) < most for i in ids.split()))
            (self.folder / "ids.txt").write_text(ids)
            back = self.glia("tokenize", "decode", kind + ".json", "ids.txt").stdout
            if kind in ("characters", "bpe", "unigram"):
                self.assertEqual(back, self.TEXT * 3)
            else:  # decoding separates words by spaces; compared without spaces
                self.assertEqual(back.replace(" ", ""), self.TEXT.replace(" ", "") * 3)

    def test_threads_do_not_change_results(self):
        for kind in ("bpe", "unigram"):
            self.train(kind, "--vocabulary", self.KINDS[kind], "--threads", 1)
            one = (self.folder / (kind + ".json")).read_bytes()
            self.train(kind, "--vocabulary", self.KINDS[kind], "--threads", 2)
            self.assertEqual(one, (self.folder / (kind + ".json")).read_bytes())

    def test_shows(self):
        self.train("bpe", "--vocabulary", 300)
        self.assertEqual(self.glia("tokenize", "show", "bpe.json", "--text", "the best times").stdout,
                         "|t|he| best| times|\n")
        table = self.glia("tokenize", "show", "bpe.json", "--text", "the\tbest", "--offsets").stdout.splitlines()
        self.assertEqual(table[0].count("|"), len(table))
        self.assertIn("\\t", table[0])
        self.assertEqual(table[-1].split()[1].split("-")[1], "8")
        piped = subprocess.run([GLIA, "tokenize", "encode", "bpe.json"], input="the best times\n", cwd=self.folder,
                               capture_output=True, text=True, timeout=600)
        self.assertEqual(piped.stdout, self.glia("tokenize", "encode", "bpe.json", "--text", "the best times").stdout)

    def test_specials_and_pairs(self):
        self.train("wordpiece", "--vocabulary", 70, "--lowercase")
        shown = ["tokenize", "show", "wordpiece.json", "--text", "The WORST", "--with-specials"]
        self.assertEqual(self.glia(*shown).stdout, "|[CLS]|The|WORST|[SEP]|\n")
        self.assertEqual(self.glia(*shown, "--pair", "of times").stdout.count("[SEP]"), 2)
        ids = self.glia("tokenize", "encode", *shown[2:]).stdout.strip()
        decoded = lambda *more: self.glia("tokenize", "decode", "wordpiece.json", "--text", ids, *more).stdout
        self.assertEqual(decoded(), "the worst\n")
        self.assertEqual(decoded("--with-specials"), "[CLS] the worst [SEP]\n")
        self.train("bpe", "--specials", "<pad>,<s>", "--minimum", 2)
        self.assertEqual(self.glia("tokenize", "encode", "bpe.json", "--text", "<s>").stdout, "1\n")

    def test_errors(self):
        self.refused("tokenize", says="train, encode, decode or show")
        self.refused("tokenize", "encdoe", "x.json", says="did you mean encode?")
        self.refused("tokenize", "train", "bpee", "tale.txt", says="did you mean bpe?")
        self.refused("tokenize", "train", "bpe", says="needs a kind and files")
        self.refused("tokenize", "encode", says="needs a tokenizer")
        self.refused("tokenize", "train", "bpe", "missing.txt", code=1, says="missing.txt")
        self.refused("tokenize", "encode", "missing.json", code=1, says="missing.json")
        self.refused("tokenize", "train", "bpe", "tale.txt", "--vocabulary", 20, code=1, says="a vocabulary of 20")
        self.train("words")
        self.refused("tokenize", "encode", "words.json", "tale.txt", "other", says="takes one file")
        self.refused("tokenize", "decode", "words.json", "--text", "1 two", code=1, says="is not a token id")
        self.refused("tokenize", "decode", "words.json", "--text", "99999", code=1, says="is not a token id")
        self.train("characters")
        self.refused("tokenize", "encode", "characters.json", "--text", "It wasX", code=1, says="offset 6")


if __name__ == "__main__":
    main()

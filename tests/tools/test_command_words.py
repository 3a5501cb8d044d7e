"""`glia word2vec`."""
import xml.etree.ElementTree

from command import Folder, main


class Word2Vec(Folder):
    def setUp(self):
        super().setUp()
        animals, foods = ["cat", "dog", "cow", "horse"], ["bread", "soup", "rice", "cake"]
        lines = ["the %s runs after the %s" % (animals[i % 4], animals[i // 4 % 4]) if i % 2 else
                 "we eat %s and %s with tea" % (foods[i % 7 % 4], foods[i // 8 % 4]) for i in range(2000)]
        (self.folder / "text.txt").write_text("\n".join(lines))

    def test_learns_and_answers(self):
        for out in ("v.bin", "v.txt", "v.safetensors"):
            done = self.glia("word2vec", "train", "text.txt", "--model", "skip-gram", "--sample", 0, "--size", 20,
                             "-o", out)
            self.assertIn("%s: 16 words, vectors of 20" % out, done.stdout)
        near = self.glia("word2vec", "nearest", "v.bin", "cat", "--top", 3).stdout
        self.assertEqual({line.split()[1] for line in near.splitlines()}, {"dog", "cow", "horse"})
        self.assertEqual(near, self.glia("word2vec", "nearest", "v.safetensors", "cat", "--top", 3).stdout)
        self.assertEqual(float(self.glia("word2vec", "similarity", "v.txt", "cat", "cat").stdout), 1)
        self.assertEqual(len(self.glia("word2vec", "analogy", "v.txt", "cat", "dog", "soup").stdout.splitlines()), 10)
        (self.folder / "questions.txt").write_text(": family\ncat dog cow horse\ncat dog cow unknown\n")
        (self.folder / "pairs.txt").write_text("cat dog 9\ncat soup 1\nbread soup 8\n")
        told = self.glia("word2vec", "evaluate", "v.bin", "--questions", "questions.txt",
                         "--similarities", "pairs.txt").stdout
        self.assertIn("evaluated 1 of 2 questions", told)
        self.assertIn("3 of 3 pairs: Spearman", told)

    def test_draws(self):
        self.glia("word2vec", "train", "text.txt", "--size", 10, "--groups", 2, "--groups-file", "groups.txt",
                  "--save-vocabulary", "counts.txt")
        self.assertEqual(len((self.folder / "groups.txt").read_text().splitlines()), 16)
        self.assertIn("the 2000", (self.folder / "counts.txt").read_text())
        for arguments in (["--method", "pca"], ["--perplexity", 3], ["cat", "soup", "--top", 3]):
            self.glia("word2vec", "plot", "vectors.txt", *arguments)
            svg = xml.etree.ElementTree.parse(self.folder / "words.svg")
            labels = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
            self.assertIn("cat", labels)

    def test_runs(self):
        self.glia("train", "word2vec", "--data", "text.txt?words=letters&lowercase=true", "--set",
                  "word2vec.sample=0 size=20", "--epochs", 8, "--out", "run", "--quiet")
        near = self.glia("word2vec", "nearest", "run", "cat", "--top", 3).stdout
        self.assertEqual({line.split()[1] for line in near.splitlines()}, {"dog", "cow", "horse"})
        self.assertIn("v.txt: 16 words", self.glia("word2vec", "save", "run", "-o", "v.txt").stdout)
        self.assertEqual(near, self.glia("word2vec", "nearest", "v.txt", "cat", "--top", 3).stdout)
        self.assertIn("dog: ", (self.folder / "run/samples/neighbours-0008.txt").read_text())
        report = (self.folder / "run/report.html").read_text()
        self.assertIn("<h2>Neighbours</h2>", report)
        self.assertIn("dog: ", report)
        self.glia("train", "cbow", "--data", "text.txt", "--from", "run", "--epochs", 1, "--set",
                  "word2vec.size=20", "--quiet")
        self.refused("train", "word2vec", "--data", "text.txt?word=letters", says="words=spaces|letters")
        self.refused("train", "word2vec", "--data", "text.txt", "--augment", "flip", says="does not use it")
        self.refused("train", "word2vec", "--data", "no.txt", code=1, says="no.txt")
        self.refused("train", "word2vec", "--data", "text.txt", "--optimizer", "adam", code=1, says="learns by sgd")
        self.refused("train", "word2vec", "--data", "text.txt", "--from", "run", code=1,
                     says="trained on the same words")
        self.refused("summary", "word2vec", code=1, says="built when it is trained")

    def test_mistakes(self):
        self.refused("word2vec", says="needs a subcommand")
        self.refused("word2vec", "trian", "text.txt", says="glia word2vec train")
        self.refused("word2vec", "train", says="needs a file")
        self.refused("word2vec", "train", "text.txt", "--model", "bert", says="skip-gram or cbow")
        self.refused("word2vec", "train", "missing.txt", code=1, says="missing.txt")
        self.refused("word2vec", "nearest", "text.txt", "cat", code=1, says="text.txt: offset 0")


if __name__ == "__main__":
    main()

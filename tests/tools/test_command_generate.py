"""`glia generate`: trains, evaluates and samples a language model."""
import subprocess

from command import GLIA, TRAIN, Folder, main


class Writing(Folder):
    """A language model: training, evaluation, generation."""

    TEXT = "the cat sat on the mat. the cat sat on the hat. " * 8

    def setUp(self):
        super().setUp()
        (self.folder / "cat.txt").write_text(self.TEXT)

    def train(self, *more, model="char-rnn", data="chars:cat.txt?length=24&step=1"):
        return self.glia("train", model, "--data", data, "--epochs", 10, "--batch", 16, "--lr", 0.02, "--out", "cat",
                         "--threads", 1, *more)

    def test_generate_text(self):
        self.assertRegex(self.train().stdout, "perplexity 1[.0-9]*, accuracy 9")
        first = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--greedy")
        self.assertRegex(first.stdout, "^the cat sat on the [mh]\n$")
        bare = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--greedy", "--bare", "--time")
        self.assertEqual("the cat" + bare.stdout, first.stdout)
        self.assertIn("13 tokens in", bare.stderr)
        searched = self.glia("generate", "cat", "--prompt", "the cat", "--length", 13, "--beams", 4)
        self.assertRegex(searched.stdout, "^the cat sat on the [mh]\n$")
        stopped = self.glia("generate", "cat", "--prompt", "the cat sat on the", "--length", 30, "--stop", "at. th")
        self.assertRegex(stopped.stdout, "^the cat sat on the [mh]\n$")
        (self.folder / "prompt").write_text("the cat")
        self.assertEqual(self.glia("generate", "cat", "--prompt-file", "prompt", "--length", 13, "--greedy").stdout,
                         first.stdout)
        self.assertRegex(self.glia("eval", "cat").stdout, "perplexity 1[.0-9]*, accuracy 9")

    def test_the_same_seed_writes_the_same(self):
        self.train("--max-steps", 2, model="gpt-tiny")
        how = ["generate", "cat", "--prompt", "the", "--length", 60, "--temperature", 1.5, "--top-p", 0.95]
        texts = [self.glia(*how, "--seed", seed, "--threads", threads).stdout
                 for seed, threads in ((1, 1), (1, 2), (2, 1))]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])
        both = self.glia(*how, "--seed", 1, "--count", 2).stdout
        self.assertEqual(both, texts[0] + "----\n" + texts[2])

    def test_bytes_need_no_tokenizer(self):
        self.train("--max-steps", 2, data="text:cat.txt?length=24&step=3")
        done = subprocess.run([GLIA, "generate", "cat", "--prompt", "the", "--length", "9"], cwd=self.folder,
                              capture_output=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout), len("the") + 9 + 1)

    def test_unsupported_models(self):
        self.glia(*TRAIN, "--out", "digits")
        self.refused("generate", "digits", code=1, says="tokens")
        self.refused("generate", "nothing", code=1, says="nothing")
        self.train("--max-steps", 1)
        self.refused("generate", "cat", "--prompt", "", code=1, says="empty")
        self.refused("generate", "cat", "--top-p", 2, says="--top-p")
        self.refused("generate", "cat", "--beams", 2, "--greedy", says="--beams")
        self.refused("generate", "cat", "--stop", "", says="--stop")
        self.refused("generate", "cat", "--tokenizer", "nothing.json", code=1, says="nothing.json")


if __name__ == "__main__":
    main()

"""`glia methods`, models of other methods than the supervised fit in `glia train`, and `glia sample`."""
import json
import shutil

from command import Folder, main

GAN = ["train", "gan-mlp", "--data", "strokes?n=80", "--epochs", 2, "--batch", 16, "--threads", 1,
       "--set", "gan.shown=4"]


class Methods(Folder):
    def test_methods_and_their_settings_are_listed(self):
        self.assertRegex(self.glia("methods").stdout, r"(?s)ddpm .*fit .*gan +gan-mlp")
        page = self.glia("methods", "gan").stdout
        self.assertRegex(page, r"critic_steps +steps of the critic.*\(1\)")
        self.assertIn("Goodfellow", page)
        self.assertIn("no settings of its own", self.glia("methods", "fit").stdout)
        self.refused("methods", "gam", says="did you mean 'gan'")

    def test_settings_of_the_method(self):
        self.glia(*GAN, "--set", "gan.loss=wgan-gp", "--set", "gan.critic-steps=2", "--out", "points", "--quiet")
        config = json.loads((self.folder / "points/config.json").read_text())
        self.assertEqual(config["gan"]["loss"], "wgan-gp")
        self.assertEqual(config["gan"]["critic_steps"], 2)
        self.assertEqual(config["gan"]["penalty"], 10)
        self.glia("train", "--config", "points", "--out", "again", "--quiet")
        self.assertEqual((self.folder / "points/model.safetensors").read_bytes(),
                         (self.folder / "again/model.safetensors").read_bytes())
        self.refused(*GAN, "--set", "gan.critic_step=2", says="did you mean 'critic_steps'")
        self.refused(*GAN, "--set", "gan.critic_steps=0", says="not in [1, 1000]")
        self.refused(*GAN, "--set", "ddpm.eta=1", 
                     says="ddpm.eta is a setting of the method ddpm, and gan-mlp is trained")
        self.refused("train", "lenet5", "--data", "strokes?n=80", "--set", "gan.loss=hinge", says="trained by fit")

    def test_options_that_the_method_does_not_use(self):
        self.refused(*GAN, "--loss", "mse", says="the method gan does not use a loss")
        self.refused(*GAN, "--validation-split", 0.1, says="does not use validation data")
        self.refused(*GAN, "--metrics", "f1", says="metrics")
        self.refused(*GAN, "--early-stopping", 2, says="--monitor")
        self.refused("train", "gan-mlp", "--data", "strokes?n=10", code=1, says="do not fill a batch")


class Sampling(Folder):
    def setUp(self):
        super().setUp()
        self.said = self.glia(*GAN, "--out", "digits", "--log", "lines").stdout

    def test_the_run_shows_its_samples(self):
        self.assertRegex(self.said, r"critic_loss \d")
        self.assertIn("glia sample digits", self.said)
        for epoch in (1, 2):
            self.assertEqual((self.folder / f"digits/samples/samples-000{epoch}.png").read_bytes()[:4], b"\x89PNG")
        report = (self.folder / "digits/report.html").read_text()
        self.assertIn("<h2>Samples</h2>", report)
        self.assertIn("Critic loss", report)
        self.assertFalse((self.folder / "digits/best.safetensors").exists())
        head = (self.folder / "digits/curves.csv").read_text().splitlines()[0]
        self.assertIn("critic_loss,real_score,fake_score", head)

    def test_judged_samples_are_curves(self):
        judged = [*GAN[:-2], "--set", "gan.judged=20", "--set", "gan.loss=wgan", "--tensorboard", "--quiet"]
        self.glia(*judged, "--out", "judged")
        head, *rows = (self.folder / "judged/curves.csv").read_text().splitlines()
        self.assertIn(",critic_distance,fid,kid,precision,recall,classifier_score,", head)
        self.assertEqual(len(rows), 2)
        self.assertIn(">FID<", (self.folder / "judged/report.html").read_text())
        self.assertIn(b"classifier_score", b"".join(p.read_bytes() for p in self.folder.glob("judged/**/*tfevents*")))
        self.assertIn("over 2 epochs", self.glia("curves", "judged", "--of", "fid", "--over", "critic_distance",
                                                "--correlation").stdout)

    def test_sample(self):
        self.assertIn("9 samples in grid.png", self.glia("sample", "digits", "-n", 9, "-o", "grid.png").stdout)
        self.assertEqual((self.folder / "grid.png").read_bytes()[:4], b"\x89PNG")
        tables = []
        for seed, threads in ((1, 1), (1, 2), (2, 1)):
            self.glia("sample", "digits", "-n", 3, "-o", "x.csv", "--seed", seed, "--threads", threads)
            tables.append((self.folder / "x.csv").read_text())
        self.assertEqual(tables[0], tables[1])
        self.assertNotEqual(tables[0], tables[2])
        rows = [[float(x) for x in line.split(",")] for line in tables[0].splitlines()]
        self.assertEqual([len(row) for row in rows], [784] * 3)
        self.assertTrue(all(0 <= x <= 1 for row in rows for x in row))
        self.refused("sample", "digits", "--set", "stepz=1", says="no setting 'stepz'")
        self.refused("sample", "digits", "-n", 0, says="--n")
        self.refused("sample", "nothing", code=1, says="nothing")

    def test_other_commands(self):
        self.assertIn("generator/out", self.glia("summary", "digits").stdout)
        self.assertIn("<svg", self.glia("plot", "digits").stdout)
        self.glia("train", "ddpm", "--data", "strokes?n=10", "--epochs", 1, "--batch", 4, "--max-steps", 1, "--set",
                  "ddpm.sampling_steps=1", "--set", "ddpm.shown=1", "--out", "noise", "--quiet")
        self.assertIn("unet", self.glia("summary", "noise").stdout)
        self.glia("sample", "noise", "-n", 1, "--set", "sampling_steps=1")
        self.refused("predict", "digits", "mnist#1", code=1, says="by the method gan")
        self.assertIn("fid_floor", self.glia("eval", "digits", "--data", "strokes?n=200", "--samples", 20).stdout)
        self.refused("eval", "digits", "--data", "strokes?n=200", "--samples", 21, says="twice as many real ones")
        self.refused("lr-find", "gan-mlp", "--data", "strokes?n=80", says="lr-find takes supervised models")

    def test_options_of_some_methods(self):
        self.refused("sample", "digits", "--guidance", 2, says="models of the method gan have no such option")
        self.refused("sample", "digits", "--class", 2, says="trained without classes")
        self.refused("sample", "digits", "--way", "way.png", says="do not sample in steps")
        self.refused("sample", "digits", "--hole", "0,0,1,1", says="needs --inpaint")

    def test_diffusion(self):
        self.glia("train", "ddpm-classes", "--data", "strokes?n=32", "--epochs", 1, "--batch", 8, "--max-steps", 2,
                  "--set", "ddpm.sampling_steps=1", "--set", "ddpm.shown=1", "--out", "noise", "--quiet")
        few = ["sample", "noise", "-n", 4, "--steps", 3]
        self.assertIn("3 moments of the way", self.glia(*few, "--class", 3, "--guidance", 3, "--way", "way.png").stdout)
        way = (self.folder / "way.png").read_bytes()
        self.assertEqual((way.count(b"fcTL"), way.count(b"IDAT"), way.count(b"fdAT")), (3, 1, 2))
        self.glia(*few, "--interpolate", 2, "--sampler", "dpm-solver")
        self.glia(*few, "--inpaint", "digits/samples/samples-0001.png", "--hole", "2,3,4,5")
        self.refused(*few, "--inpaint", "digits/samples/samples-0001.png", "--hole", "2,3,40,5", says="not within")
        self.refused(*few, "--inpaint", "nothing.png", code=1, says="nothing.png")
        self.refused(*few, "--class", 10, says="there is no class 10")
        self.refused("sample", "noise", "--steps", 1001, says="1001 steps of a schedule that has 1000")
        self.refused("sample", "noise", "--sampler", "ddpn", says="sampler")

    def test_pictures_from_words(self):
        self.glia("train", "ldm", "--data", "scenes?n=16", "--epochs", 2, "--batch", 4, "--max-steps", 3, "--set",
                  "ldm.autoencoder=0.2", "--set", "ldm.sampling_steps=2", "--set", "ldm.shown=2", "--out", "words",
                  "--quiet")
        captions = (self.folder / "words/samples/captions-0001.txt").read_text().splitlines()
        self.assertEqual(len(captions), 2)
        self.assertTrue(all(line.startswith("a ") for line in captions))
        few = ["sample", "words", "-n", 2, "--steps", 2]
        self.glia(*few, "--prompt", "a large red circle above a small blue square", "--guidance", 3, "--way", "way.png")
        self.refused(*few, "--prompt", "a large red circel", says="did you mean 'circle'?")
        self.refused("sample", "digits", "--prompt", "seven", says="the method gan knows no words")
        self.assertRegex(self.glia("eval", "words", "--samples", 2).stdout, r"right_real +1\n")

    def test_models_that_cannot_sample(self):
        self.glia("train", "perceptron", "--data", "strokes?n=60", "--epochs", 1, "--out", "classes", "--quiet")
        self.refused("sample", "classes", code=1, says="was not trained by a method that draws samples")

    def test_a_new_run_in_the_folder_has_its_own_samples(self):
        shutil.copy(self.folder / "digits/samples/samples-0002.png", self.folder / "digits/samples/samples-0009.png")
        self.glia(*GAN, "--out", "digits", "--force", "--quiet")
        self.assertEqual(sorted(p.name for p in (self.folder / "digits/samples").iterdir()),
                         ["samples-0001.png", "samples-0002.png"])


if __name__ == "__main__":
    main()

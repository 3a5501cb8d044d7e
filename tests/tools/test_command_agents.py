"""Commands of agents: training in an environment, `glia eval`, `glia play`, `glia envs`."""
import json
import re

from command import DATA, Folder, main

TINY = ["--epochs", 1, "--threads", 1, "--quiet", "--out", "run", "--force"]


class Agents(Folder):
    def test_a_trained_agent_is_measured_and_shown(self):
        self.glia("train", "dqn", "--env", "cartpole", "--set", "dqn.steps=60", "--set", "dqn.learning_starts=20",
                  *TINY)
        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertEqual(run["data"], "CartPole-v1?limit=500,sutton_barto_reward=false")
        self.assertIn("return", run["test"])
        self.assertIn("eval_return", (self.folder / "run/curves.csv").read_text())
        measure = ["eval", "run", "--episodes", 5, "--seed", 3, "--json"]
        found = json.loads(self.glia(*measure).stdout)
        self.assertEqual(found["episodes"], 5)
        self.assertEqual(found, json.loads(self.glia(*measure).stdout))
        for name, head in ("a.gif", b"GIF89a"), ("a.svg", b"<svg"), ("a.png", b"\x89PNG"):
            self.glia("play", "run", "--out", name)
            self.assertTrue((self.folder / name).read_bytes().startswith(head))
        self.assertEqual(self.glia("play", "run", "--episodes", 2, "--quiet").stdout.count("return"), 2)
        self.assertIn("episode 1", self.glia("play", "run", "--size", 16).stdout)

    def test_running_statistics_are_part_of_the_model(self):
        address = "mountaincar?limit=20,normalize_observations=true,frames=2"
        self.glia("train", "ppo", "--env", address, "--set", "ppo.steps=64", "--set", "ppo.rollout=32", *TINY)
        run = json.loads((self.folder / "run/run.json").read_text())
        self.assertIn("normalize_observations=true", run["data"])
        found = json.loads(self.glia("eval", "run", "--seed", 0, "--json").stdout)
        self.assertEqual(found["return"], run["test"]["return"])

    def test_environments_are_listed(self):
        listed = json.loads(self.glia("envs", "--json").stdout)
        self.assertIn("cartpole", [one["alias"] for one in listed])
        self.assertIn("Taxi-v4", self.glia("envs").stdout)

    def test_mistakes_are_named(self):
        self.refused("train", "dqn", "--env", "cartpol", *TINY, says="did you mean 'cartpole'?")
        self.refused("train", "dqn", "--data", DATA, *TINY, says="--data: the method dqn does not use it")
        self.refused("train", "a2c", "--batch", "8", *TINY, says="--batch: the method a2c does not use it")
        self.refused("train", "ppo", "--workers", "2", *TINY, says="--workers: the method ppo does not use it")
        self.refused("train", "perceptron", "--data", DATA, "--env", "cartpole", *TINY,
                     says="--env: the method fit does not use it")
        self.refused("train", "dqn", "--env", "pendulum", *TINY, code=1, says="needs actions that are choices")
        self.glia("train", "q-table", "--set", "q-table.steps=100", *TINY)
        for options, says in ((["--out", "film.mp4"], "must end in .gif"),
                              (["--out", "a.svg", "--size", 9], "any size"),
                              (["--out", "a.png", "--fps", 9], "does not move")):
            self.refused("play", "run", *options, says=says)

    def test_curves_are_means_with_bands(self):
        for name, returns in (("good-0", "1,3,5"), ("good-1", "3,3,9"), ("bad-7", "1,1")):
            (self.folder / name).mkdir()
            rows = "".join(f"{i + 1},{r},{10 * i}\n" for i, r in enumerate(returns.split(",")))
            (self.folder / name / "curves.csv").write_text("epoch,eval_return,samples\n" + rows)
        self.glia("curves", "good-0", "good-1", "bad-7/", "-o", "c.svg")
        svg = (self.folder / "c.svg").read_text()
        lines = re.findall(r"<polyline[^>]*points='([^']*)'", svg)
        band, = re.findall(r"<polygon[^>]*points='([^']*)'", svg)
        points = [tuple(map(float, p.split(","))) for p in lines[0].split()]
        self.assertEqual([len(line.split()) for line in lines], [3, 2])
        self.assertEqual(len(band.split()), 6)
        zero, one = [(band.split()[i].split(",")[1], band.split()[5 - i].split(",")[1]) for i in (0, 1)]
        self.assertGreater(float(zero[1]), float(zero[0]))
        self.assertEqual(one[0], one[1])  # both runs are 3 there
        self.assertAlmostEqual(points[2][1] - points[1][1], 4 * (points[1][1] - points[0][1]), delta=0.4)  # 2, 3, 7
        self.assertIn("good (2 runs)", svg)
        self.assertIn(">bad<", svg)
        self.assertIn("<svg", self.glia("curves", "good-0", "--over", "samples").stdout)
        (self.folder / "good20").mkdir()
        (self.folder / "good20/curves.csv").write_text((self.folder / "good-0/curves.csv").read_text())
        self.assertIn(">good20<", self.glia("curves", "good-0", "good20").stdout)
        (self.folder / "good20/curves.csv").write_text("epoch,loss,val_loss\n1,2,3\n2,1,2\n")
        self.assertIn(">val_loss<", self.glia("curves", "good20").stdout)  # no episodes
        self.refused("curves", "good-0", "--of", "eval_retrun", says="did you mean eval_return?")
        for rows, told in (("1,1\n2,2\n3,\n9,1.5\n", "Spearman 0.5000 over 3 epochs"),
                           ("1,4\n5,0\n", "Spearman -1.0000 over 2 epochs")):
            (self.folder / "bad-7/curves.csv").write_text("critic_distance,fid\n" + rows)
            ranks = self.glia("curves", "bad-7", "--of", "fid", "--over", "critic_distance", "--correlation").stdout
            self.assertIn(told, ranks)
        self.refused("curves", "bad-7", "--of", "fid", "--over", "fid", "--correlation", "-o", "x.svg", says="no use")
        (self.folder / "bad-7/curves.csv").write_text("epoch,fid\n1,2\n2,2\n")
        self.refused("curves", "bad-7", "--of", "fid", "--correlation", code=1, says="in which fid and epoch differ")
        self.refused("curves", "absent", code=1, says="absent/curves.csv")
        self.refused("curves", *["good-0", *(f"bad{c}-7" for c in "abc")], code=1, says="bada-7/curves.csv")


if __name__ == "__main__":
    main()

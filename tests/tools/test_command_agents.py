"""Commands of agents: training in an environment, `glia eval`, `glia play`, `glia envs`."""
import json

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
        self.assertIn("must end in .gif", self.glia("play", "run", "--out", "film.mp4", code=2).stderr)


if __name__ == "__main__":
    main()

"""Models of graphs: `glia train`, `eval`, `predict` and `graph`."""
import json
import pathlib

from command import Folder, main

DATA = pathlib.Path(__file__).resolve().parents[1] / "golden" / "data"
PEOPLE = f"table:{DATA}/people.csv,{DATA}/friends.csv"
RINGS = f"gin:{DATA}/rings.txt?fold=0/4"


class Graphs(Folder):
    def train(self, *arguments):
        return self.glia("train", *arguments, "--threads", 1, "--out", "run", "--log", "lines").stdout

    def test_nodes(self):
        said = self.train("gcn", "--data", PEOPLE, "--epochs", 100)
        self.assertRegex(said, r"40 nodes, 2\d\d edges, 12 to learn from")
        self.assertRegex(said, r"test_accuracy 0\.[6-9]")
        figures = json.loads(self.glia("eval", "run", "--json").stdout)
        self.assertGreater(figures["test_accuracy"], 0.6)
        predicted = json.loads(self.glia("predict", "run", "node#3", "--json").stdout)
        self.assertEqual(predicted["truth"], "b")
        self.assertIn(predicted["classes"][0]["class"], "ab")
        self.refused("predict", "run", "node#40", says="there are 40 nodes")
        self.refused("predict", "run", "graph#0", says="node#17")
        self.glia("graph", "run", "-o", "people.svg", "--map", "map.svg")
        self.assertEqual((self.folder / "people.svg").read_text().count("<circle"), 40)
        self.assertIn("<svg", (self.folder / "map.svg").read_text())

    def test_graphs(self):
        self.train("gin", "--data", RINGS, "--epochs", 30, "--batch", 6)
        self.assertGreater(json.loads(self.glia("eval", "run", "--json").stdout)["test_accuracy"], 0.6)
        self.assertRegex(self.glia("predict", "run", "graph#2").stdout, r"truth: 0")
        self.glia("graph", RINGS, "--graph", 2, "-o", "ring.svg")
        self.assertEqual((self.folder / "ring.svg").read_text().count("<circle"), 4)
        self.refused("graph", RINGS, "--graph", 24, says="no graph 24 among 24")

    def test_links_and_likes(self):
        self.train("gae", "--data", PEOPLE, "--epochs", 30)
        self.assertIn("test_auc", json.loads(self.glia("eval", "run", "--json").stdout))
        self.glia("train", "bpr-mf", "--data", f"ratings:{DATA}/likes.csv", "--batch", 16, "--threads", 1,
                  "--out", "likes", "--quiet")
        figures = json.loads(self.glia("eval", "likes", "--json").stdout)
        self.assertGreater(figures["test_ndcg"], figures["popular_ndcg"])

    def test_walks(self):
        self.train("node2vec", "--data", PEOPLE, "--set", "node2vec.size=16")
        figures = json.loads(self.glia("eval", "run", "--json").stdout)
        self.assertGreater(figures["test_accuracy"], 0.8)
        self.assertGreater(figures["modularity"], 0.3)
        self.assertIn("node#3", self.glia("predict", "run", "node#3").stdout)
        self.glia("graph", "run", "-o", "people.svg", "--map", "map.svg")
        self.assertEqual((self.folder / "people.svg").read_text().count("<circle"), 40)
        (self.folder / "few.txt").write_text("0 1\n1 2\n")
        self.refused("graph", "run", "--data", "edges:few.txt", code=1, says="vectors of 40 nodes, not of these 3")
        self.refused("train", "node2vec", "--data", RINGS, code=1, says="needs one graph")

    def test_mistakes(self):
        self.refused("train", "gcn", "--data", "cors", code=1, says="did you mean 'cora'")
        self.refused("train", "gcn", "--data", PEOPLE, "--validation-split", 0.1, says="split=random")
        self.refused("train", "gcn", "--data", PEOPLE, "--set", "nodes.feature=rows", says="did you mean 'features'")
        self.refused("train", "gcn", "--data", RINGS, code=1, says="needs one graph")


if __name__ == "__main__":
    main()

"""tests/golden/additive_attention.txt: additive attention (Bahdanau et al. 2015) by PyTorch, with its gradients.

    /usr/bin/python3 tools/golden/additive_attention.py

Each line is a tensor: its name, its number of values, the values. The samples attend to 5, 3 and 1 rows of the memory.
"""
import os

import torch

N, T, S, Q, M, A = 3, 4, 5, 6, 7, 8
torch.manual_seed(5)


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query = torch.nn.Linear(Q, A, bias=False)
        self.key = torch.nn.Linear(M, A, bias=False)
        self.score = torch.nn.Linear(A, 1, bias=False)

    def forward(self, query, memory, lengths):
        hidden = torch.tanh(self.query(query).unsqueeze(2) + self.key(memory).unsqueeze(1))
        scores = self.score(hidden).squeeze(-1)
        unread = torch.arange(S)[None, None, :] >= lengths[:, None, None]
        weights = torch.softmax(scores.masked_fill(unread, float("-inf")), -1)
        return weights @ memory, weights


def main():
    layer = Attention()
    query, memory = torch.randn(N, T, Q, requires_grad=True), torch.randn(N, S, M, requires_grad=True)
    context, weights = layer(query, memory, torch.tensor([5, 3, 1]))
    direction = torch.randn(N, T, M)
    (context * direction).sum().backward()
    tensors = dict(query=query, memory=memory, query_kernel=layer.query.weight, key_kernel=layer.key.weight,
                   score_kernel=layer.score.weight, direction=direction, context=context, weights=weights,
                   d_query=query.grad, d_memory=memory.grad, d_query_kernel=layer.query.weight.grad,
                   d_key_kernel=layer.key.weight.grad, d_score_kernel=layer.score.weight.grad)
    path = os.path.join(os.path.dirname(__file__), "../../tests/golden/additive_attention.txt")
    with open(path, "w") as f:
        for name, x in tensors.items():
            f.write(f"{name} {x.numel()} " + " ".join(f"{v:.9g}" for v in x.detach().flatten().tolist()) + "\n")


if __name__ == "__main__":
    main()

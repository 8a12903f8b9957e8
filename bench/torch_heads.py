"""Head scores from attention maps in PyTorch: what `scry heads` gives, but for the probe, from maps that are there.

Each function takes one layer's map [H, T, T], causal, and is written for speed: one pass over the map for each number
that needs one, and no copy of it. docs/definitions.md has the formulas.
"""

import torch

SINK_ROWS = 8  # a key seen by fewer rows is no sink


def by_distance(attention):
    """Sums along the diagonals, [H, T]: weight at each distance.

    Row i's weights by distance lie side by side in memory, backwards, and one element further on than row i-1's. What
    is read before the row's first key belongs to the row before, behind its own position: zero under causality.
    """
    heads, count, _ = attention.shape
    step = (count * count, count + 1, 1)
    sums = attention.as_strided((heads, count - 1, count), step, attention.storage_offset() + 2).sum(1).flip(-1)
    sums[:, 0] += attention[:, 0, 0]
    return sums


def scores_of(attention):
    """The scores of every head, by name, [H] each; `offset_at` and `sink_at` say where."""
    heads, count, _ = attention.shape
    rows = torch.arange(1, count + 1, dtype=torch.float64)
    share = 1 / rows
    received_null = share.flip(0).cumsum(0).flip(0)
    largest = attention.amax(-1)
    received = attention.sum(-2).double()
    distance = by_distance(attention).double()
    entropy = torch.special.entr(attention).sum(-1).double()
    end = count // 2 + 1
    offset = (distance[:, 2:end] / (count - torch.arange(2, end))).max(-1)
    keys = count - SINK_ROWS + 1
    sink = (received[:, :keys] - received_null[:keys]).argmax(-1)
    return {
        "previous": distance[:, 1] / (count - 1),
        "self": distance[:, 0] / count,
        "first": attention[:, 1:, 0].double().mean(-1),
        "offset": offset.values,
        "offset_at": offset.indices + 2,
        "sink": (received / received_null).gather(-1, sink[:, None])[:, 0],
        "sink_at": sink,
        "uniform": (entropy[:, 1:] / rows[1:].log()).mean(-1),
        "sparse": (largest[:, 2:] > 0.95).double().mean(-1),
        "max": largest[:, 1:].double().mean(-1),
        "distance": (distance * torch.arange(count)).sum(-1) / distance.sum(-1),
    }

"""Cross-attention and graphs, against what their papers write out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fsamc.heads.sphere import cosine
from fsamc.representation.represented import Represented
from tests.fsamc.heads.test_heads import D, P, make, maps


def test_attended_maps_by_loops_over_places():
    """Equations 1 to 4 of Hou et al., one pair and one place at a time."""
    head: Any = make("cross_attention", temperature=1.0, attention=0.1).eval()
    queries, classes = head.encode(maps(2)), head.encode(maps(3, seed=1))
    logits = head.relate(queries, list(classes))

    def attended(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        rows = [torch.stack([F.cosine_similarity(p, q, dim=0) for q in other]) for p in one]
        kernel = head.second(head.first(torch.stack(rows).mean(0)).relu())
        attention = torch.stack([kernel @ row for row in rows]).div(0.1).softmax(0)
        return torch.stack([(1 + a) * p for a, p in zip(attention, one, strict=True)]).mean(0)

    for q, query in enumerate(queries):
        for c, of_class in enumerate(classes):
            expected = F.cosine_similarity(attended(query, of_class), attended(of_class, query), dim=0)
            torch.testing.assert_close(logits[q, c], expected)


def test_maps_are_averaged_over_a_coarse_grid():
    values = torch.arange(16.0).view(1, 16, 1).expand(1, 16, D)  # a grid of 4 x 4, to 2 x 2
    head = make("cross_attention", grid=2, shape=(16, D, 0))
    pooled = head.encode(Represented(values, torch.empty(1, 0)))
    torch.testing.assert_close(pooled[0, :, 0], torch.tensor([2.5, 4.5, 10.5, 12.5]))
    fine = make("cross_attention", grid=7, shape=(P, D, 0))
    assert fine.encode(maps(1)).shape == (1, P, D), "a grid that is finer than the map's is the map's"


def graph(**values: Any) -> Any:
    return make("dpgn", **values).eval()


def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """Queries [4, 5] and support [3, 2, 5] on the sphere."""
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(*size, generator=generator) for size in ((4, 5), (3, 2, 5)))
    queries, support = (F.normalize(one, dim=-1) for one in drawn)
    return queries, support


@torch.no_grad()
def test_a_query_is_answered_by_itself():
    queries, support = vectors()
    together = graph().relate(queries, support)
    alone = torch.cat([graph().relate(query[None], support) for query in queries])
    torch.testing.assert_close(together, alone)


@torch.no_grad()
def test_graphs_that_nothing_moves_are_matching_networks():
    """With embeddings that stay, each generation adds the first one's edges once more."""
    queries, support = vectors()
    head = graph(generations=1, temperature=0.5, centre=0.0)
    head.drawn.zero_()
    cosines = cosine(queries, support.flatten(0, 1), centre=0.0)
    torch.testing.assert_close(head.relate(queries, support), (2 * cosines / 0.5).unflatten(1, (3, 2)).logsumexp(-1))


@torch.no_grad()
def test_one_generation_by_hand():
    """Two classes of one image and a query, with distributions that keep half and embeddings that go half the way."""
    first, second, query = (torch.tensor(one) for one in ([1.0, 0.0], [0.0, 1.0], [0.8, 0.6]))
    logits = graph(generations=1, temperature=1.0, centre=0.0).relate(query[None], [first[None], second[None]])
    nodes = torch.stack([first, second, query])
    edges = nodes @ nodes.T
    spread = 0.5 * torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]) + 0.5 * edges[:, :2].softmax(1)
    like = -(spread[:, None] - spread).square().sum(-1)
    moved = F.normalize(nodes + 0.5 * like.softmax(1) @ nodes, dim=1)
    torch.testing.assert_close(logits[0], (edges + moved @ moved.T)[2, :2])


@pytest.mark.parametrize("generations", [1, 3])
def test_each_generation_has_numbers_of_its_own(generations):
    assert {values.shape for name, values in graph(generations=generations).named_parameters() if "." not in name} == {
        (generations,)
    }

"""Layers over the sums q + s of all pairs, whose full array, Q·C maps, is never made."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class SumNorm(nn.Module):
    """Batch normalisation of the Q·C·P sums q[i, p] + s[c, p]: affine in the sum, so done to each half.

    Parameters, buffers and results are those of `nn.BatchNorm1d` on all the sums.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, queries: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Turn halves [Q, P, R] and [C, P, R] into halves whose sums are the normalised sums."""
        if self.training:
            means = [half.mean((0, 1)) for half in (queries, support)]
            queries, support = queries - means[0], support - means[1]
            variance = _variance_of_sums(queries, support)
            self._keep(means[0] + means[1], variance, count=len(queries) * support[..., 0].numel())
        else:
            queries, variance = queries - self.running_mean, self.running_var
        factor = self.weight * (variance + self.eps).rsqrt()
        return queries * factor, torch.addcmul(self.bias, support, factor)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        """Move the running statistics towards these, the variance as the unbiased estimate of `count` values."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


def _variance_of_sums(queries: Tensor, support: Tensor) -> Tensor:
    """Over all pairs and patches, [R], of halves that are centred over images and patches.

    Queries and support meet in every combination, so at one patch they are independent; but both vary with the patch.
    """
    covariance = (queries.mean(0) * support.mean(0)).mean(0)
    return queries.square().mean((0, 1)) + support.square().mean((0, 1)) + 2 * covariance


def relu_linear(queries: Tensor, support: Tensor, layer: nn.Linear) -> Tensor:
    """`layer(relu(q + s))` of all pairs: halves [Q, P, R] and [C, P, R] to [Q, C, P, O]."""
    output: Tensor = _ReluLinear.apply(queries, support, layer.weight, layer.bias)
    return output


class _ReluLinear(torch.autograd.Function):
    """Pair by pair, forwards and backwards: one relu(q + s) fits the cache, all of them fill half a gigabyte."""

    @staticmethod
    def forward(ctx: FunctionCtx, queries: Tensor, support: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(queries, support, weight)
        output = queries.new_empty(len(queries), *support.shape[:2], len(bias))
        rectified = torch.empty_like(support[0])
        for query, row in zip(queries, output, strict=True):
            for other, place in zip(support, row, strict=True):
                torch.add(query, other, out=rectified).relu_()
                torch.addmm(bias, rectified, weight.T, out=place)
        return output

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        queries, support, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        to_queries, to_support, to_weight = (torch.zeros_like(tensor) for tensor in (queries, support, weight))
        rectified, back = torch.empty_like(support[0]), torch.empty_like(support[0])
        for i, query in enumerate(queries):
            for c, other in enumerate(support):
                torch.add(query, other, out=rectified).relu_()
                to_weight.addmm_(gradient[i, c].T, rectified)
                torch.mm(gradient[i, c], weight, out=back).mul_(rectified.sign_())
                to_queries[i] += back
                to_support[c] += back
        return to_queries, to_support, to_weight, gradient.sum((0, 1, 2))

"""Inner loop of MAML: a head's logits after a few gradient steps, as a function of its weights (paper, appendix G)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call, grad

from fsamc.config.learning import Maml
from fsamc.heads.base import Head
from fsamc.training.episodes import Batch

Weights = Mapping[str, Tensor]


def adapted_logits(head: Head, inner: Batch, outer: Batch, settings: Maml) -> Tensor:
    """Return logits [Q, C] of the outer batch by the weights that gradient steps on the inner batch lead to.

    They remain a function of the head's own weights: through the steps themselves, and with `order: second` through
    the gradients of the steps too. Batch normalisation goes by each batch's own statistics, as in all training. The
    running ones are moved by the first pass over the inner batch alone, the only one by the weights that are kept.

    Args:
        head: in training mode; its weights are left as they are.
        inner: one batch of pseudo-classes.
        outer: another one.
        settings: number and size of the steps, and the order.
    """
    weights: Weights = dict(head.named_parameters())
    for step in range(settings.inner_steps):
        buffers = _copies(head) if step else dict(head.named_buffers())
        with torch.set_grad_enabled(settings.order == "second"):
            gradients = grad(_loss)(weights, buffers, head, inner)
        weights = {name: weight - settings.inner_lr * gradients[name] for name, weight in weights.items()}
    return _logits(weights, _copies(head), head, outer)


def _loss(weights: Weights, buffers: Weights, head: Head, batch: Batch) -> Tensor:
    return head.loss(_logits(weights, buffers, head, batch), batch.labels)


def _logits(weights: Weights, buffers: Weights, head: Head, batch: Batch) -> Tensor:
    logits: Tensor = functional_call(head, {**weights, **buffers}, (batch.queries, batch.support))
    return logits


def _copies(head: Head) -> Weights:
    """Copy the head's buffers, such as running means, so that the inner steps do not change them."""
    return {name: buffer.clone() for name, buffer in head.named_buffers()}

"""Heads of folds that differ in seed and draw alone, trained side by side: one set of operations for all of them.

It saves what an operation costs beside its arithmetic. On a CPU that is little: most of a step is its products and
Adam's traffic, and side by side these no longer fit into a cache. Sums are cut into parts otherwise than for a head by
itself, so weights agree up to rounding and what Adam makes of it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional as F

from fsamc.config.learning import Finetune, Pretrain
from fsamc.hardware import without_denormals
from fsamc.heads.contrastive import ContrastiveHead
from fsamc.representation.represented import Represented, RepresentedSet, concatenate
from fsamc.training.episodes import EPISODES, Batch
from fsamc.training.loop import adam, drawn_batch, round_accuracy


class PseudoTask(NamedTuple):
    """What one head is pretrained on: as the arguments of `fsamc.training.loop.pretrain`."""

    pseudo: RepresentedSet
    labels: np.ndarray
    generator: torch.Generator


@without_denormals()
def pretrain_many(
    heads: Sequence[ContrastiveHead], tasks: Sequence[PseudoTask], settings: Pretrain
) -> list[list[float]]:
    """Pretrain heads in place, each on its own rounds, as `fsamc.training.loop.pretrain` does one by one.

    Args:
        heads: of one configuration.
        tasks: of each head its pseudo-defects, their labels and the source of its rounds.
        settings: rounds, queries, threshold and learning rate. A head that has come to its end takes no more steps.

    Returns:
        Of each head the accuracy of each round's queries, before the round's step.
    """
    accuracies: list[list[float]] = [[] for _ in heads]
    stack, optimiser = _stacked(heads, settings.lr)
    while stack.members:
        batches = [_drawn(tasks[member], settings) for member in stack.members]
        labels = torch.stack([batch.labels for batch in batches])
        queries, support = (
            concatenate(parts) for parts in zip(*((b.queries, b.support) for b in batches), strict=True)
        )
        logits = stack.logits(queries, support)
        _summed_losses(logits, labels).backward()
        for member, of_member, truth in zip(stack.members, logits, labels, strict=True):
            accuracies[member].append(round_accuracy(heads[member], of_member, truth, settings))
        optimiser.step()
        optimiser.zero_grad()
        ended = [_ended(accuracies[member], settings) for member in stack.members]
        if any(ended):
            stack.write_back(heads)
            optimiser = stack.keep([place for place, end in enumerate(ended) if not end], optimiser)
    return accuracies


@without_denormals()
def finetune_many(
    heads: Sequence[ContrastiveHead], supports: Sequence[list[Represented]], settings: Finetune
) -> list[list[float]]:
    """Fine-tune heads in place, each on its own support, as `fsamc.training.loop.finetune` does one by one.

    Args:
        heads: of one configuration.
        supports: of each head per class its images; as many classes and shots for all.
        settings: episodes, epochs per shot count and learning rate.

    Returns:
        Of each head the share of an epoch's queries that were named rightly, each before its step.
    """
    shots, n_classes = len(supports[0][0]), len(supports[0])
    values, profiles = (_nested(supports, name) for name in ("values", "profiles"))  # [F, C, S, ...]
    anchors = [Represented(values[:, :, j].flatten(0, 1), profiles[:, :, j].flatten(0, 1)) for j in range(shots)]
    episodes = EPISODES[heads[0].episodes if settings.episodes == "own" else settings.episodes]
    stack, optimiser = _stacked(heads, settings.lr)
    accuracies: list[list[float]] = [[] for _ in heads]
    for _ in range(settings.epochs_for(shots)):
        right: list[Tensor] = []
        for episode in episodes(n_classes, shots):
            query = (slice(None), episode.label, episode.query)
            logits = stack.logits(Represented(values[query], profiles[query]), anchors[episode.support])
            labels = torch.full((len(heads), 1), episode.label, device=logits.device)
            _summed_losses(logits, labels).backward()
            optimiser.step()
            optimiser.zero_grad()
            right.append(logits.argmax(2) == labels)
        for of_head, share in zip(accuracies, torch.cat(right, 1).float().mean(1).tolist(), strict=True):
            of_head.append(share)
    stack.write_back(heads)
    return accuracies


class HeadStack(nn.Module):
    """Several heads of one configuration as one, whose layers have a further dimension: the heads.

    Attributes:
        members: which of the heads these are, F of them.
    """

    def __init__(self, heads: Sequence[ContrastiveHead]) -> None:
        super().__init__()
        if len({head.settings for head in heads}) != 1 or type(heads[0]) is not ContrastiveHead:
            raise ValueError("expected contrastive heads of one configuration")
        self.members = [*range(len(heads))]
        self.head = copy.deepcopy(heads[0]).train()
        for name, layer in heads[0].named_modules():
            alike = [head.get_submodule(name) for head in heads]
            if isinstance(layer, nn.Linear):
                self.head.set_submodule(name, StackedLinear(alike))
            elif isinstance(layer, nn.BatchNorm1d):
                self.head.set_submodule(name, StackedNorm(alike))

    def logits(self, queries: Represented, support: Represented) -> Tensor:
        """Compute the logits [F, Q, C] of F*Q queries, head after head, with one support image per class: F*C."""
        with torch.no_grad():
            anchors = self._encoded(support)
        compared: Tensor = vmap(self._related)(self._encoded(queries), anchors)
        return compared

    def _related(self, queries: Tensor, anchors: Tensor) -> Tensor:
        return self.head.relate(queries, anchors.unbind())

    def _encoded(self, images: Represented) -> Tensor:
        """Embed each head's images, [F, B, E]."""
        return self.head.encode(images).unflatten(0, (len(self.members), -1))

    @torch.no_grad()
    def write_back(self, heads: Sequence[ContrastiveHead]) -> None:
        """Give the heads their weights and running statistics."""
        stacked = self.head.state_dict()
        for place, member in enumerate(self.members):
            for name, value in heads[member].state_dict(keep_vars=True).items():
                value.copy_(stacked[name][place])

    @torch.no_grad()
    def keep(self, places: list[int], optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Keep some of the heads; return an optimiser of these, which knows of them what the other did."""
        self.members = [self.members[place] for place in places]
        known: dict[nn.Parameter, dict[str, Any]] = {}
        for layer in self.modules():
            for name, parameter in layer.named_parameters(recurse=False):
                fewer = nn.Parameter(parameter[places], requires_grad=parameter.requires_grad)
                state = optimiser.state.get(parameter, {})
                known[fewer] = {name: values if name == "step" else values[places] for name, values in state.items()}
                setattr(layer, name, fewer)
            for name, buffer in layer.named_buffers(recurse=False):
                setattr(layer, name, buffer[places])
        kept = adam(self, optimiser.param_groups[0]["lr"])
        kept.state.update({parameter: state for parameter, state in known.items() if state})
        return kept


class StackedLinear(nn.Module):
    """Linear layers [F, out, in], each for its own share of the rows."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.weight, self.bias = (_parameter([getattr(one, name) for one in layers]) for name in ("weight", "bias"))

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows [F*N, in] to [F*N, out]."""
        result: Tensor = _Product.apply(rows.unflatten(0, (len(self.weight), -1)), self.weight, self.bias)
        return result.flatten(0, 1)


class StackedNorm(nn.Module):
    """Batch normalisation [F, channels], each over its own share of the rows; of one row as the encoder does it."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.weight, self.bias = (_parameter([getattr(one, name) for one in layers]) for name in ("weight", "bias"))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, _stack([getattr(one, name) for one in layers]))
        self.momentum, self.eps = layers[0].momentum, layers[0].eps

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise rows [F*N, channels]: all heads' channels side by side are the channels of one normalisation."""
        count, channels = self.weight.shape
        beside = rows.unflatten(0, (count, -1)).transpose(0, 1)  # [N, F, channels]
        training = len(beside) > 1
        mean, variance, weight, bias = (
            one.flatten() for one in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        normalised = F.batch_norm(beside.flatten(1), mean, variance, weight, bias, training, self.momentum, self.eps)
        self.num_batches_tracked += int(training)
        return normalised.unflatten(1, (count, channels)).transpose(0, 1).flatten(0, 1)


class _Product(torch.autograd.Function):
    """Rows [F, N, in] through layers [F, out, in], whose gradients come as the weights lie.

    Autograd's own of a transposed factor comes transposed, and to copy it takes longer than to compute it.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return torch.baddbmm(bias[:, None], rows, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        of_rows = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return of_rows, torch.bmm(gradient.mT, rows), gradient.sum(1)


def _drawn(task: PseudoTask, settings: Pretrain) -> Batch:
    return drawn_batch(task.pseudo, task.labels, settings, task.generator)[1]


def _nested(supports: Sequence[list[Represented]], name: str) -> Tensor:
    return torch.stack([torch.stack([getattr(images, name) for images in support]) for support in supports])


def _parameter(alike: Sequence[nn.Parameter]) -> nn.Parameter:
    return nn.Parameter(_stack(alike), requires_grad=alike[0].requires_grad)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([one.detach() for one in tensors])


def _stacked(heads: Sequence[ContrastiveHead], lr: float) -> tuple[HeadStack, torch.optim.Optimizer]:
    stack = HeadStack(heads)
    return stack, adam(stack, lr)


def _summed_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Add up the heads' losses, each the mean over its queries: no head's gradient depends on another."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]


def _ended(accuracies: Sequence[float], settings: Pretrain) -> bool:
    return accuracies[-1] > settings.stop_threshold or len(accuracies) == settings.max_rounds

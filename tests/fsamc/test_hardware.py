from __future__ import annotations

import pytest
import torch

from fsamc.config.learning import Finetune
from fsamc.hardware import share_gpu, shrinking_batches, whole_machine, without_denormals
from fsamc.training import loop as training
from tests.fsamc.training.test_training import assert_same_state, make_head, support_of

TINY = torch.full((8,), 1e-40)


def test_denormals_are_zero_inside_and_floats_again_outside():
    with without_denormals():
        assert not (TINY * 1).any()
        assert (torch.full((8,), 1e-37) * 1).all()
    assert (TINY * 1).all()
    with pytest.raises(RuntimeError), without_denormals():
        raise RuntimeError
    assert (TINY * 1).all()


def test_finetuning_is_bit_for_bit_what_it_is_with_denormals():
    with_them, without = make_head(), make_head()
    settings = Finetune(epochs={2: 110})  # 880 steps: some 750 make the first denormals
    training.finetune.__wrapped__(with_them, support_of(2), settings)
    training.finetune(without, support_of(2), settings)
    assert_same_state(with_them, without)


class Card:
    """Has memory for so many things at once; remembers what it was asked."""

    def __init__(self, room: int) -> None:
        self.room, self.asked = room, []

    def __call__(self, first: int, last: int) -> list[int]:
        self.asked.append(last - first)
        if last - first > self.room:
            raise torch.OutOfMemoryError
        return list(range(first, last))


@pytest.mark.parametrize(
    ("room", "asked"),
    [(8, [8, 8, 5]), (5, [8, 4, 4, 4, 4, 4, 1]), (3, [8, 4, *[2] * 10, 1]), (1, [8, 4, 2, *[1] * 21])],
)
def test_where_memory_is_short_half_as_many_are_taken_at_once(room, asked):
    card = Card(room)
    found = list(shrinking_batches(card, 21, 8))
    assert [number for _, part in found for number in part] == list(range(21))
    assert all(part[0] == first for first, part in found)
    assert card.asked == asked


def test_what_does_not_fit_alone_cannot_be_done():
    with pytest.raises(torch.OutOfMemoryError):
        list(shrinking_batches(Card(0), 3, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_process_gets_no_more_of_a_card_than_its_share():
    total = torch.cuda.get_device_properties(0).total_memory
    share_gpu(0.25, "cuda")
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(0.3 * total), dtype=torch.uint8, device="cuda")
        assert len(torch.empty(int(0.1 * total), dtype=torch.uint8, device="cuda"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_a_share_of_nothing_or_of_a_whole_card_is_no_limit():
    for share, device in ((0.0, "cuda"), (1.0, "cuda"), (2.0, "cuda"), (0.5, "cpu")):
        share_gpu(share, device)


def test_a_whole_machine_is_no_more_cores_than_omp_num_threads_says(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    every = whole_machine().threads
    for said, cores in (("1", 1), (str(every + 5), every), ("0", every), ("many", every)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert whole_machine().threads == cores

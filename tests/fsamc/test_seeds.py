from __future__ import annotations

import numpy as np
import pytest
import torch

from fsamc.seeds import derive, numpy_generator, torch_generator


def test_numbers_of_earlier_versions_stay():
    assert derive(1, "coreset starts") == 4084862766944767116
    assert derive() == 1622210670741801569


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, "head weights"), (2, "head weights")),
        ((1, "head weights"), (1, "rounds")),
        ((1,), ("1",)),
        ((1,), (1.0,)),
        ((1,), (True,)),
        (("ab", "c"), ("a", "bc")),
        (("a", "b"), ("b", "a")),
        (("a",), ("a", "")),
    ],
)
def test_another_seed_or_purpose_gives_another_number(one, other):
    assert derive(*one) != derive(*other)


def test_numbers_fill_63_bits():
    numbers = [derive(seed, "test") for seed in range(1000)]
    assert all(0 <= number < 2**63 for number in numbers)
    assert len(set(numbers)) == 1000
    ones = np.mean([[number >> bit & 1 for bit in range(63)] for number in numbers], axis=0)
    assert (abs(ones - 0.5) < 0.08).all()


def test_generators_repeat_themselves_and_differ_by_purpose():
    for generator, draw in ((numpy_generator, lambda g: g.random(4)), (torch_generator, torch_numbers)):
        assert (draw(generator(3, "a")) == draw(generator(3, "a"))).all()
        assert (draw(generator(3, "a")) != draw(generator(3, "b"))).all()
        assert (draw(generator(3, "a")) != draw(generator(4, "a"))).all()


def torch_numbers(generator: torch.Generator) -> np.ndarray:
    return torch.rand(4, generator=generator).numpy()


def test_global_generators_are_left_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    numpy_generator(1, "a").random(10)
    torch.rand(10, generator=torch_generator(1, "a"))
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])

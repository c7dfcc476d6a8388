"""Caveats: what a plan does to its numbers stands wherever one is shown."""

from __future__ import annotations

from sweeps.checks.prepare import MASKS
from tests.sweeps.small import Lab


def test_ground_truth_as_the_region_is_a_caveat_where_a_head_sees_it(lab: Lab):
    masks = "base.representation.region=masks"
    swept = "space.representation.region={choice: [anomaly, masks]}"
    assert lab.prepared().caveats == ()
    assert lab.prepared(masks).caveats == lab.prepared(swept).caveats == (MASKS,)
    flat = "base.head={kind: contrastive, pool: flatten}"
    assert lab.prepared(masks, "space.head.kind=null", flat).caveats == ()

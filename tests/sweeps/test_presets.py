from __future__ import annotations

import pytest
import yaml

from fsamc.config import Plan
from fsamc.inputs import pretrains
from sweeps.plan import configuration, load_plan, plan_hash, preset_names, to_yaml
from sweeps.search import make_proposer
from tests.sweeps.small import fsamc

PRESETS = preset_names()


def configurations(plan):
    proposer = make_proposer(plan)
    return [configuration(plan, proposer.propose(number)) for number in range(proposer.count())]


def test_the_presets_are_there():
    assert {"demo", "paper-small", "smoke"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_valid_plan_under_its_own_name(name):
    plan = load_plan(name)
    assert plan.name == name
    assert all(configurations(plan))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_as_a_plan_that_reads_back_as_the_same(name, capsys):
    assert fsamc("plan", "show", name) == 0
    shown = Plan.model_validate(yaml.safe_load(capsys.readouterr().out))
    assert plan_hash(shown) == plan_hash(load_plan(name))
    assert to_yaml(shown) == to_yaml(load_plan(name))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_checked_by_the_command_line(name, capsys):
    assert fsamc("plan", "check", name) == 0
    count = make_proposer(load_plan(name)).count()
    assert f"{name}: {count} trials" in capsys.readouterr().out


def test_smoke_has_at_least_4_trials_with_both_heads_and_2_seeds():
    plan = load_plan("smoke")
    found = configurations(plan)
    assert len(found) >= 4
    assert {config.head.kind for config in found} >= {"prototype", "contrastive"}
    assert len(plan.folds.seeds) >= 2
    assert plan.folds.categories == "all"
    assert any(pretrains(config) for config in found)


def test_paper_small_spells_the_papers_settings_out():
    plan = load_plan("paper-small")
    for config in configurations(plan):
        assert (config.features.fit, config.features.resize, config.features.size) == ("crop", 256, 224)
        assert config.features.layers == ("layer2", "layer3")
        assert config.reference.ratio == 0.1
        assert config.support.mean == "image"
        assert config.pretrain.enabled
        assert config.pretrain.pseudo_classes == 10
        assert config.pretrain.stop_threshold == 0.4
        assert (config.pretrain.lr, config.finetune.lr) == (1e-4, 1e-4)
        assert config.finetune.epochs == {2: 45, 3: 25, 4: 15, 5: 15}
        assert config.head.kind == "contrastive"
    assert sorted(config.shots for config in configurations(plan)) == [1, 2, 3, 4, 5]
    assert len(plan.folds.seeds) == 5

"""Our initial networks compared with Stable-Baselines3's, and deviations that must be detected."""

import dataclasses

import pytest
import torch
from torch import Generator, nn

from agents.networks.actor_critic import Policy, Value
from agents.networks.build import build_networks
from agents.settings.a2c import A2CSettings
from envs.spaces import Actions, Flat, Space
from rl.experiments.lockstep import initialization
from rl.experiments.lockstep.components import NETWORKS, SEEDS, passes
from rl.experiments.lockstep.initialization import GAINS, initialized

FEW = range(100)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", NETWORKS)
def test_a_thousand_seeds(env_id: str) -> None:
    found = initialized(env_id, SEEDS)
    assert list(found.layers) == list(GAINS)
    assert passes([p for layer in found.layers.values() for p in (layer.p_weight, layer.p_fourth)])
    for layer in found.layers.values():
        assert 0 < max(layer.ours, layer.theirs) < 2e-6
    assert found.biases == found.log_stds == 0
    assert max(found.log_probs, found.values) < 1e-6


# --- deviations ---


def test_an_unorthogonal_layer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent weights with the same variance as orthogonal ones."""

    def independent(
        settings: A2CSettings, space: Space, flat: Flat, actions: Actions, generator: Generator
    ) -> tuple[Policy, Value]:
        policy, value = build_networks(settings, space, flat, actions, generator)
        layer = value.net[2]
        assert isinstance(layer, nn.Linear)
        nn.init.normal_(layer.weight, 0, (2 / layer.in_features) ** 0.5, generator)
        return policy, value

    monkeypatch.setattr(initialization, "build_networks", independent)
    found = initialized("CartPole-v1", FEW).layers
    assert found["V 2"].p_fourth < 1e-6
    assert found["V 2"].ours > 0.1
    assert passes([p for name, layer in found.items() if name != "V 2" for p in (layer.p_weight, layer.p_fourth)])


def test_a_head_with_another_gain_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def larger(
        settings: A2CSettings, space: Space, flat: Flat, actions: Actions, generator: Generator
    ) -> tuple[Policy, Value]:
        policy, value = build_networks(settings, space, flat, actions, generator)
        with torch.no_grad():
            policy.net[-1].weight.mul_(1.5)
        return policy, value

    monkeypatch.setattr(initialization, "build_networks", larger)
    head = initialized("CartPole-v1", FEW).layers["π head"]
    assert head.p_fourth < 1e-6
    assert head.ours == pytest.approx(0.5, abs=1e-5)


def test_other_activations_and_log_stds_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(
        settings: A2CSettings, space: Space, flat: Flat, actions: Actions, generator: Generator
    ) -> tuple[Policy, Value]:
        changed = dataclasses.replace(settings, activation="relu", log_std_init=-0.5)
        return build_networks(changed, space, flat, actions, generator)

    monkeypatch.setattr(initialization, "build_networks", other)
    found = initialized("Pendulum-v1", range(3))
    assert found.log_stds == 0.5
    assert min(found.log_probs, found.values) > 1e-3

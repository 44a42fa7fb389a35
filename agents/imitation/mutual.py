"""Deep mutual learning: peers learn from their own experience and from each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Generator, Tensor, nn

from agents.a2c import A2C
from agents.imitation.base import AgentWrapper, check_at_least
from agents.maths import information
from agents.maths.distributions import Categorical, Distribution
from agents.maths.schedules import Schedule, value_at
from agents.networks.forward import legal_actions
from agents.ppo import PPO, Added, Loss
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, Rollout
from agents.settings.ranges import Peers
from agents.settings.values import ConfigError
from envs import EnvLike, Worlds, make, saved
from envs.memory import shortage
from envs.streams import peer_seed


@dataclass(eq=False, kw_only=True)
class Mutual(AgentWrapper):
    """Loss of peer k: L_A2C + mutual_coef · mean over the other peers j of mean KL(π_j ‖ π_k), on the states of peer k.

    π_j is not differentiated. Every peer has its own `num_envs` environments; steps are counted over all peers. With
    mutual_coef 0, the peers learn independently. Evaluation uses the first peer, `agent`.
    `train/peer_diversity` is the generalized JS divergence of the peers, for Discrete actions.
    Source: Zhang et al. 2018, "Deep mutual learning".
    """

    peers: Peers = 2  # number of agents that learn from each other
    mutual_coef: Schedule = 0.1  # weight of the divergence from the other peers

    name = "mutual"
    changeable = ()
    obstacle = "mutual learning adds a term to the loss"

    def prepare(self) -> None:
        first = self.agent
        check_at_least(0, mutual_coef=self.mutual_coef)
        if not isinstance(first.env, str):
            raise ConfigError("mutual learning builds environments for every peer: pass an environment id")
        if first.gru_size is not None or first.use_sde:
            raise ConfigError(
                "mutual learning supports neither recurrent policies nor gSDE: leave gru_size and use_sde out"
            )
        floats = 3 * sum(p.numel() for network in first.networks for p in network.parameters())
        if lacking := shortage(4 * floats * self.peers):  # weights, gradients, optimizer state
            raise ConfigError(f"{self.peers} peers need {lacking}: lower peers, net_arch or frame_stack")
        self.worlds = self.copy_worlds(self.peers * first.worlds.num_envs)
        self.peer_agents = [first, *(self._peer(k) for k in range(1, self.peers))]

    def copy_worlds(self, num_envs: int) -> Worlds:
        """New environments for all peers."""
        first = self.agent
        return make(
            first.env, num_envs, first.seed, variant=first.variant, backend=first.backend,
            action_masks=first.action_masks, step_timeout=first.step_timeout, on_crash=first.on_crash,
        )  # fmt: skip

    def set_env(self, env: EnvLike) -> None:
        raise ConfigError("set_env: every peer has environments of its own: pass an environment id as env= to load")

    def _peer(self, k: int) -> A2C:
        """An agent with the same settings and its own seed, from `peer_seed`."""
        peer = replace(self.agent, seed=peer_seed(self.agent.seed, k), engine="torch")
        peer.worlds.close()
        return peer

    @property
    def networks(self) -> list[nn.Module]:
        return [network for peer in self.peer_agents for network in peer.networks]

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """In training, each peer acts in its own environments; with a caller's generator, the first acts in all.

        Raises ValueError if peers act and the observations cannot be divided among them equally.
        """
        if generator is not None or deterministic:
            return self.agent.act(obs, deterministic, generator, context)
        size, rest = divmod(len(obs), self.peers)
        if rest:
            raise ValueError(
                f"act takes equally many observations for each of {self.peers} peers, got {len(obs)}; "
                "give a generator, and the first peer acts on all"
            )
        choices = []
        for k, peer in enumerate(self.peer_agents):
            columns = slice(k * size, (k + 1) * size)
            legal = None if context.legal is None else context.legal[columns]
            choices.append(peer.act(obs[columns], context=Context(legal)))
        return Choice(torch.cat([x.action for x in choices]), torch.cat([x.raw for x in choices]))

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step of every peer; all losses use the policies before the first step."""
        batch = batch.to(self.agent.learner.device)
        parts = [self._part(batch, k) for k in range(self.peers)]
        for peer, part in zip(self.peer_agents, parts, strict=True):
            peer.learner.observe_rewards(part)
        objectives = [peer.objective(part, progress) for peer, part in zip(self.peer_agents, parts, strict=True)]
        policies = [self._policies_on(part, objectives[k].pi, k) for k, part in enumerate(parts)]
        rows = list[Metrics]()
        for k, (peer, part, objective) in enumerate(zip(self.peer_agents, parts, objectives, strict=True)):
            others = [pi for j, pi in enumerate(policies[k]) if j != k]
            loss, kl = self._with_peers(objective.loss, objective.pi, others, progress)
            metrics = peer.learner.descend(objective._replace(loss=loss), part, progress)
            rows.append({**metrics, **kl, **_diversity(policies[k])})
        return {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def _with_peers(
        self, loss: Tensor, pi: Distribution, others: Sequence[Distribution], progress: float
    ) -> tuple[Tensor, Metrics]:
        """The loss and metric of a peer with policy π. loss: of its algorithm; others: the other peers' policies."""
        kl = torch.stack([other.kl(pi).mean() for other in others]).mean()
        weight = value_at(self.mutual_coef, progress)
        return loss + weight * kl if weight else loss, {"train/peer_kl": kl.detach()}

    def _policies_on(self, part: Rollout, pi: Distribution, k: int) -> list[Distribution]:
        """All peers' policies on the states of peer k, whose own policy is π."""
        policies = self._others_on(part, k)
        policies.insert(k, self.agent.policy.distribution(pi.raw.detach()))
        return policies

    @torch.no_grad()
    def _others_on(self, part: Rollout, k: int) -> list[Distribution]:
        """The other peers' policies on the states of peer k."""
        others, legal = [peer for j, peer in enumerate(self.peer_agents) if j != k], legal_actions(part)
        return [peer.policy(peer.learner.encoded(part.obs), None, legal) for peer in others]

    def _part(self, batch: Rollout, k: int) -> Rollout:
        """The part of a rollout that comes from the environments of peer k."""
        size = self.worlds.num_envs // self.peers
        columns = slice(k * size, (k + 1) * size)
        return Rollout._make([*(x[:, columns] for x in batch[:7]), None, batch.measure])

    def on_reset(self) -> None:
        for peer in self.peer_agents:
            peer.on_reset()

    def summary(self) -> str:
        return f"{self.peers} peers, each as below; weight of the KL between them {self.mutual_coef}"

    def get_extra_state(self) -> dict[str, object]:
        return {"peers": [peer.state_dict() for peer in self.peer_agents[1:]]}

    def set_extra_state(self, state: Mapping[str, object]) -> None:
        others = self.peer_agents[1:]
        for peer, of_peer in zip(others, saved.sequence(state["peers"], "peers", len(others)), strict=True):
            peer.load_state_dict(saved.mapping(of_peer, "peer"))


@dataclass(eq=False, kw_only=True)
class MutualPPO(Mutual):
    """Mutual learning of PPOs: `MutualPPO(PPO(env))`. The other peers' policies are those before all peers' updates."""

    name = "mutual-ppo"
    wrapped = PPO
    wraps = PPO.name

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """Epochs of minibatches of every peer."""
        batch = batch.to(self.agent.learner.device)
        parts = [self._part(batch, k) for k in range(self.peers)]
        others = [torch.stack([pi.raw for pi in self._others_on(part, k)], -2) for k, part in enumerate(parts)]
        rows = [
            cast(PPO, peer).learn_from(part, progress, Added(policies, self._guided))
            for peer, part, policies in zip(self.peer_agents, parts, others, strict=True)
        ]
        return {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    def _guided(self, loss: Loss, others: Tensor, progress: float) -> Loss:
        policies = [self.agent.policy.distribution(raw) for raw in others.unbind(-2)]
        total, kl = self._with_peers(loss.total, loss.pi, policies, progress)
        own = self.agent.policy.distribution(loss.pi.raw.detach())
        return Loss(total, {**loss.metrics, **kl, **_diversity([own, *policies])}, loss.pi)


def _diversity(policies: list[Distribution]) -> dict[str, Tensor]:
    """Σ_k KL(π_k ‖ mean policy) / K, between 0 and ln K."""
    logits = [pi.logits for pi in policies if isinstance(pi, Categorical)]
    if len(logits) < len(policies):
        return {}
    stacked = torch.stack(logits, -2).detach()
    return {"train/peer_diversity": information.generalized_js_from_logits(stacked, reduction="mean", validate=False)}

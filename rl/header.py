"""What a run says of itself before it trains."""

from agents import A2C
from agents.engines import describe
from agents.method import Method
from agents.registry import inner
from rl.runs import Run


def print_header(this: Run) -> None:
    agent = inner(this.agent)
    size = sum(p.numel() for p in (*agent.policy.parameters(), *agent.value.parameters()))
    normalized = [what for what, norm in (("observations", agent.obs_norm), ("rewards", agent.reward_norm)) if norm]
    lines = {
        "agent": f"{this.name}: {this.agent.describe()}" if isinstance(this.agent, Method) else "",
        "environment": f"{agent.env}, {this.agent.worlds.num_envs} side by side ({agent.worlds.backend})",
        "spaces": " ".join(f"{agent.worlds.env_obs_space} → {agent.worlds.env_action_space}".split())  # NumPy breaks
        + (", action masks obeyed" if agent.worlds.masked else ""),
        "normalized": " and ".join(normalized) or "nothing",
        "networks": f"{_networks(agent)}, {size:,} parameters",
        "optimizer": f"{type(agent.descent.optimizer).__name__}, learning rate {agent.learning_rate} "
        f"(critic × {agent.critic_lr_scale}), {this.agent.n_steps} × {this.agent.worlds.num_envs} steps an update",
        "engine": describe(agent),
        "seed": str(agent.seed),
        "settings": this.source,
        "run": str(this.directory),
    }
    for name, text in lines.items():
        if text:
            print(f"{name:>12}  {text}")
    if not this.agent.loop.exact:
        print(f"{'note':>12}  the environments' state is not in the checkpoint: they begin new episodes")
    if agent.fused:
        warm = agent.fused.warm if agent is this.agent else agent.fused.warm_update
        warm(agent.worlds, lambda: print(f"{'compiling':>12}  kernels for this machine, once", flush=True))
    print(flush=True)


def _networks(agent: A2C) -> str:
    hidden = "-".join(map(str, agent.net_arch)) or "no"
    trunk, value = agent.policy.trunk, agent.value
    before = [] if trunk.encoder is None else [trunk.encoder.describe()]
    before += [] if trunk.memory is None else [f"a memory of {trunk.memory.size} units"]
    shared = "π_θ and V_φ apart"
    if value.shares:
        shared = "π_θ and V_φ share all but the last layer" if trunk.shared else "π_θ and V_φ share what comes first"
    return "; ".join([shared, *before, f"{hidden} hidden {agent.activation} units each"])

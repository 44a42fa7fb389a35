"""Names in Stable-Baselines3's A2C that differ here (arguments, methods, attributes), with advice."""

from typing import TYPE_CHECKING

ARGUMENTS = {  # of A2C, learn, load and save; rejected with this advice
    "policy": "leave it out: the networks follow from network, net_arch and activation",
    "policy_kwargs": "its entries are settings of their own: net_arch, activation (for activation_fn), ortho_init, "
    "log_std_init, squash_output, optimizer (for optimizer_class) and optimizer_kwargs, "
    "network and network_kwargs (for features_extractor_class and _kwargs), "
    "shared_layers (for share_features_extractor)",
    "verbose": "leave it out: learn(…, progress=True) shows a progress bar, describe() what is trained",
    "tensorboard_log": "leave it out: a hook of learn receives every metric; python -m rl.train writes metrics.csv",
    "tb_log_name": "leave it out: a hook of learn receives every metric; python -m rl.train writes metrics.csv",
    "stats_window_size": "leave it out: hooks of learn receive every episode",
    "rollout_buffer_class": "leave it out: subclass A2C to change its advantages or objective",
    "rollout_buffer_kwargs": "leave it out: subclass A2C to change its advantages or objective",
    "_init_setup_model": "leave it out: an agent is built at once",
    "callback": "write hooks=[f]: f is called after every update, returning False ends training; see docs/hooks.md",
    "progress_bar": "write progress=True",
    "custom_objects": "write the settings to change as keywords: load(path, learning_rate=1e-4)",
    "print_system_info": "leave it out: versions.json in a run directory of python -m rl.train holds the versions",
    "force_reset": "leave it out: other environments always begin new episodes",
    "exclude": "leave it out: a checkpoint holds all that training on needs",
    "include": "pass extra={…}, whose values are plain data",
}

ATTRIBUTES = {  # of A2C; an AttributeError gives this advice
    "action_noise": "A2C has none",
    "action_space": "write agent.worlds.env_action_space",
    "collect_rollouts": "write agents.rollout.collect",
    "dump_logs": "a hook of learn receives every metric",
    "ep_info_buffer": "a hook of learn receives every episode",
    "ep_success_buffer": "a hook of learn receives every episode",
    "get_env": "write agent.worlds",
    "get_parameters": "write agent.state_dict()",
    "get_vec_normalize_env": "write agent.learner.obs_norm and agent.learner.reward_norm",
    "logger": "a hook of learn receives every metric",
    "lr_schedule": "write agent.learning_rate; agents.maths.schedules.value_at evaluates it",
    "n_envs": "write agent.worlds.num_envs",
    "num_timesteps": "write agent.loop.step",
    "observation_space": "write agent.worlds.env_obs_space",
    "policy_aliases": "the networks follow from network, net_arch and activation",
    "policy_class": "write type(agent.policy)",
    "policy_kwargs": "write agent.settings",
    "rollout_buffer": "a rollout lives for one update: override agent.update",
    "rollout_buffer_class": "a rollout lives for one update: override agent.update",
    "rollout_buffer_kwargs": "a rollout lives for one update: override agent.update",
    "set_logger": "a hook of learn receives every metric",
    "set_parameters": "write agent.load_state_dict(state)",
    "set_random_seed": "pass seed= to the constructor; a loaded agent continues with its own random numbers",
    "start_time": "write agent.loop.seconds, the time spent training",
    "tensorboard_log": "a hook of learn receives every metric",
    "train": "write agent.update(rollout)",
    "verbose": "learn(…, progress=True) shows a progress bar",
}


class NamesOfSB3:
    """Base of agents: an AttributeError for an attribute of Stable-Baselines3 says what to write instead."""

    if not TYPE_CHECKING:  # mypy would accept any attribute

        def __getattr__(self, name: str) -> object:
            if name in ATTRIBUTES:
                message = f"{type(self).__name__} has no {name}: {ATTRIBUTES[name]}"
                raise AttributeError(message, name=name, obj=self)
            return super().__getattribute__(name)  # raises the original error again

# Start with `make train` and `make test`. They need only Python 3.11 or newer and make.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help train test test-long docs lint style figures zoo unseen ppo streaming imitation search collapse lockstep bench information coverage gan stress clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST)

train: .venv/installed  ## train CartPole-v1 and evaluate it; writes results/runs/CartPole-v1/a2c/…
	$(BIN)/python -m rl.train CartPole-v1

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist worksteal

test: style  ## lint, types, tests
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m tests.kernels && $(PYTEST); tests=$$?; wait $$types && exit $$tests

test-long: lint .venv/installed-logs  ## like test, with equality runs of full length and the logs of four services
	$(PYTEST) --long

docs: .venv/installed-docs  ## build the documentation site: docs/_build/html/index.html
	$(BIN)/python -m sphinx -q -W --keep-going -E -c docs -d docs/_build/doctrees . docs/_build/html

lint: style  ## check style and types
	$(BIN)/mypy

style: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

figures: .venv/installed-box2d  ## compare our A2C with Stable-Baselines3's, and settings with each other (three hours on two cores)
	for env in CartPole-v1 Acrobot-v1 Pendulum-v1 LunarLander-v3; do \
		$(BIN)/python -m rl.compare $$env --seeds 10000-10049 --total-timesteps 100000 \
			--agents ours-1 sb3-1 ours-5 sb3-5 recipe \
			--line 'ours, 5 steps, torch engine' configs/sb3-defaults.yaml n_steps=5 engine=torch || exit 1; \
	done
	$(BIN)/python -m rl.compare CartPole-v1 --seeds 10000-10019 --total-timesteps 100000 --name engines \
		--line 'fused, 1 step' configs/sb3-defaults.yaml n_steps=1 engine=fused \
		--line 'torch, 1 step' configs/sb3-defaults.yaml n_steps=1 engine=torch \
		--line 'fused, 5 steps' configs/sb3-defaults.yaml n_steps=5 engine=fused \
		--line 'torch, 5 steps' configs/sb3-defaults.yaml n_steps=5 engine=torch
	for env in CartPole-v1 Acrobot-v1; do \
		$(BIN)/python -m rl.compare $$env --seeds 10200-10219 --name learning-rate --set max_policy_shift=null \
			--line 'constant 7e-4' --line 'adaptive from 7e-4' target_policy_shift=5e-4 \
			--line 'constant 7e-3' learning_rate=7e-3 critic_lr_scale=0.3 \
			--line 'adaptive from 7e-3' learning_rate=7e-3 critic_lr_scale=0.3 target_policy_shift=5e-4 && \
		$(BIN)/python -m rl.compare $$env --seeds 10200-10219 --name entropy --set max_policy_shift=null \
			--line 'no bonus' --line 'constant 0.01' ent_coef=0.01 \
			--line 'target 0.6 → 0.05' ent_coef=0.01 'target_entropy=linear(0.6,0.05)' || exit 1; \
	done
	$(BIN)/python -m rl.index

zoo: .venv/installed-zoo  ## train every recipe beside SB3's A2C on ten seeds (a day or more on two cores; the same command resumes)
	$(BIN)/python -m rl.compare --suite zoo
	$(BIN)/python -m rl.index

unseen: .venv/installed-unseen  ## train eleven environments without a recipe, beside random actions (more than an hour on two cores)
	$(BIN)/python -m rl.compare --suite unseen
	$(BIN)/python -m rl.index

imitation: .venv/installed-box2d  ## train cloning, GAIL, distillation and mutual learning on ten seeds (half an hour on two cores)
	$(BIN)/python -m rl.imitation
	$(BIN)/python -m rl.index

ppo: .venv/installed-zoo  ## compare our PPO with Stable-Baselines3's: equivalence, every recipe; and trust regions (a day on two cores)
	for env in CartPole-v1 Pendulum-v1 LunarLander-v3; do \
		$(BIN)/python -m rl.compare $$env --seeds 10000-10019 --total-timesteps 100000 --name ppo \
			--line 'ours, PPO' agent=ppo configs/sb3-defaults.yaml \
			--line 'SB3, PPO' agent=sb3-ppo configs/sb3-defaults.yaml || exit 1; \
	done
	for env in CartPole-v1 LunarLander-v3 Hopper-v5; do \
		$(BIN)/python -m rl.compare $$env --seeds 10100-10109 --name trust-region --line clip agent=ppo \
			--line 'exact KL, stop' agent=ppo clip_range=null max_policy_shift=0.03 shift_excess=stop \
			--line 'exact KL, shorten' agent=ppo clip_range=null max_policy_shift=0.03 \
			--line 'exact KL, penalty' agent=ppo clip_range=null kl_coef=1 target_policy_shift=0.01 \
			--line 'sampled KL, stop' agent=ppo clip_range=null target_kl=0.03 || exit 1; \
	done
	$(BIN)/python -m rl.compare --suite zoo --agent ppo
	$(BIN)/python -m rl.index

streaming: .venv/installed-zoo  ## compare streaming actor-critic with A2C, and its parts; MuJoCo (four hours on two cores; CartPole-v1's times need a quiet machine)
	for env in 'CartPole-v1 --timed --jobs 1' Acrobot-v1 Pendulum-v1 MountainCar-v0 MountainCarContinuous-v0; do \
		$(BIN)/python -m rl.compare $$env --seeds 10300-10319 --name streaming \
			--line stream agent=stream --line 'stream, 15,000 steps' agent=stream total_timesteps=15000 \
			--line 'A2C, recipe' \
			--line 'A2C, 8 × 1' configs/sb3-defaults.yaml num_envs=8 n_steps=1 total_timesteps=200000 \
			--line 'A2C, 1 × 1' configs/sb3-defaults.yaml num_envs=1 n_steps=1 total_timesteps=200000 || exit 1; \
	done
	for env in CartPole-v1 Acrobot-v1 Pendulum-v1; do \
		$(BIN)/python -m rl.compare $$env --seeds 10320-10339 --name streaming-parts --line stream agent=stream \
			--line 'no layer normalization' agent=stream layer_norm=false \
			--line 'dense initial weights' agent=stream sparsity=0 --line tanh agent=stream activation=tanh \
			--line 'observations not normalized' agent=stream normalize_observations=false \
			--line 'rewards not normalized' agent=stream normalize_rewards=false \
			--line 'last parameters' agent=stream averaging_steps=null \
			--line 'no entropy bonus' agent=stream ent_coef=0 \
			--line 'entropy follows δ' agent=stream entropy_form=td_error ent_coef=0.01 \
			--line 'λ = 0.8' agent=stream trace_decay=0.8 --line 'time limit is an end' agent=stream truncation=terminate \
			--line 'policy shift at most 0.001' agent=stream max_policy_shift=0.001 \
			--line 'adaptive ObGD' agent=stream step_rule=adaptive \
			--line 'intentional steps' agent=stream step_rule=intentional \
			--line 'intentional steps, as published' agent=stream step_rule=intentional attainable_intent=false \
			--line 'as published' agent=stream trace_decay=0.8 entropy_form=td_error ent_coef=0.01 averaging_steps=null \
			truncation=terminate wrappers=gymnasium.wrappers:TimeAwareObservation || exit 1; \
	done
	$(BIN)/python -m rl.compare LunarLander-v3 --seeds 10300-10319 --name streaming \
		--line 'stream, 200,000 steps' agent=stream total_timesteps=200000 --line 'stream, 1,000,000 steps' agent=stream
	for env in Walker2d-v5 HalfCheetah-v5 Swimmer-v5 Ant-v5 Humanoid-v5; do \
		$(BIN)/python -m rl.compare $$env --seeds 10005-10009 --name streaming --line stream agent=stream \
			--line 'A2C, recipe' || exit 1; \
	done
	$(BIN)/python -m rl.compare Hopper-v5 --seeds 10000-10004 --name streaming --line stream agent=stream \
		--line 'A2C, recipe' --line 'SB3, PPO' agent=sb3-ppo
	$(BIN)/python -m rl.index

search: .venv/installed-dev  ## search Acrobot-v1 twice with 40 trials on two raylets, on 2 and on 6 tuning seeds; compare the best with the defaults on fresh seeds (an hour on two cores)
	$(BIN)/ray start --head --port=6379 --num-cpus=1 --include-dashboard=false --disable-usage-stats
	$(BIN)/ray start --address=127.0.0.1:6379 --num-cpus=1
	$(BIN)/python -m rl.sweep Acrobot-v1 --trials 40 --pruner halving --seeds 150-151 --total-timesteps 100000 \
		--address 127.0.0.1:6379 --write results/Acrobot-v1/search.yaml
	$(BIN)/python -m rl.compare Acrobot-v1 --seeds 10400-10419 --name search-check --total-timesteps 100000 \
		--address 127.0.0.1:6379 --line defaults configs/sb3-defaults.yaml \
		--line 'best of 40 trials' results/Acrobot-v1/search.yaml
	$(BIN)/python -m rl.sweep Acrobot-v1 --name search-6 --trials 40 --pruner halving --seeds 160-165 \
		--total-timesteps 100000 --set eval_episodes=5 --address 127.0.0.1:6379 \
		--write results/Acrobot-v1/search-6.yaml
	$(BIN)/python -m rl.compare Acrobot-v1 --seeds 10420-10439 --name search-6-check --total-timesteps 100000 \
		--address 127.0.0.1:6379 --line defaults configs/sb3-defaults.yaml \
		--line 'best of 40 trials' results/Acrobot-v1/search-6.yaml
	$(BIN)/ray stop
	$(BIN)/python -m rl.index

collapse: .venv/installed  ## find out why single-step TD fails on CartPole-v1: one change at a time, 50 seeds (an hour on two cores)
	$(BIN)/python -m rl.experiments.collapse
	$(BIN)/python -m rl.index

lockstep: .venv/installed-dev  ## compare updates, collection, initialization, sampling and evaluation with Stable-Baselines3's
	$(BIN)/python -m rl.lockstep

bench: .venv/installed-bench  ## time training beside Stable-Baselines3, Gymnasium and rejax (two hours, on a quiet machine)
	$(BIN)/python -m rl.bench --repeats 5 --jax $(BIN)/python
	$(BIN)/python -m rl.bench --agent ppo --repeats 3
	$(BIN)/python -m rl.bench --agent stream
	$(BIN)/python -m rl.bench --of cores --repeats 8 --seconds 1
	$(BIN)/python -m rl.bench --of watching --repeats 5

information: .venv/installed-dev  ## measure accuracy and speed of rl.information beside torch and SciPy (a minute, on a quiet machine)
	$(BIN)/python -m rl.information

coverage: .venv/installed-dev  ## simulate how often 95 % intervals from 5 to 50 seeds contain the truth (five minutes on one core)
	$(BIN)/python -m rl.coverage

gan: .venv/installed  ## train one-dimensional GANs whose optima are known: tables and figures (two minutes)
	$(BIN)/python -m rl.gan

stress: .venv/installed-dev  ## attack with kills, full disks, damaged files, hostile environments, …: writes results/reliability.md (hours; the same command resumes)
	$(BIN)/python -m tests.stress

clean:  ## remove the virtual environment and caches, but no runs or results
	rm -rf .venv build dist docs/_build .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older; try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

# A single virtual environment, to which targets add the extras that they need.
EXTRAS_box2d := box2d
EXTRAS_zoo := box2d,mujoco,atari
EXTRAS_unseen := box2d,mujoco,unseen
EXTRAS_bench := box2d,mujoco,bench,ray,tensorboard,wandb,mlflow,trackio
EXTRAS_docs := docs
EXTRAS_logs := tensorboard,wandb,mlflow,trackio
EXTRAS_dev := dev
# pip compiles modules in one process; compileall uses all processors, and skips compiled modules and tests.
define install
$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable $(1)
@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true  # some packages contain templates that are not valid modules
endef

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

.venv/installed-%: .venv/bin/python pyproject.toml constraints.txt
	$(call install,'.[$(EXTRAS_$*)]')
	@touch $@ .venv/installed

"""Are our A2C and Stable-Baselines3's the same algorithm, judged by what their runs score? A test, fixed before the runs.

- Runs: CartPole-v1, Acrobot-v1, Pendulum-v1 and LunarLander-v3, one step per update and five, 100,000 steps of training
  at Stable-Baselines3's hyper-parameters, eight environments in parallel; seeds 10,000 to 10,049 on either side, which
  no earlier experiment used. Our side runs on the fused engine; where it is cheap, also on the torch engine.
- Score: mean return of 100 deterministic episodes after training, normalized so that 0 is uniformly random actions and
  1 is what rl-baselines3-zoo publishes for its tuned A2C. Stochastic evaluations are reported beside it, not judged.
- Difference: mean score of ours minus mean score of SB3's. P: the probability that a run of ours scores higher than one
  of SB3's, ties counted half.
- Equivalent, over the eight pairs together: the 90 % interval of the mean difference lies within ± MARGIN (two one-sided
  tests at 5 %), and the 95 % interval of the mean P contains ½ and is narrower than WIDTH.
- A pair by itself is "equivalent" by the same rule, "different" if the 95 % interval of its P excludes ½ by Holm's
  correction over the eight pairs, and else "not decided". Fifty bimodal scores a side have a standard error near 0.09,
  so most pairs cannot fall within ± MARGIN, whatever the truth: only the eight together can.
- A pair that is different has a cause, which must be found and named.
"""

MARGIN = 0.1  # of the normalized score
WIDTH = 0.25  # of the interval of P
SEEDS = range(10_000, 10_050)

"""Why does single-step TD fail at Stable-Baselines3's settings on CartPole-v1? Fixed before the runs on fresh seeds.

Baseline: A2C with n_steps = 1 and every other setting of Stable-Baselines3, 100,000 steps. A condition changes one
thing. Seeds 10,100 to 10,149, used for nothing before, and looked at once; the mixes of the recipe's parts and the two
conditions of hypothesis 4 have the first twenty of them. Explored on seeds 100 to 123.

Measures. Score: mean return of 100 deterministic episodes after training. A run failed if it scores below 50, and
succeeded at 475 or more; shares have 95 % Wilson intervals, differences of shares Newcombe's. A fall: the mean return
of the last 20 training episodes drops below half of its earlier maximum, which was 75 or more. Held: the first step at
which the last 100 training episodes returned 475 or more in the mean.

Hypotheses, each with the rule that decides it. "Fails less" means that the interval of the difference in the share of
failed runs excludes 0; where it does not, the page says "not decided".

1. Saturation of the critic's tanh units is necessary. Holds if ReLU, which cannot saturate, fails less than the
   baseline; contradicted if it does not.
2. Saturation is sufficient. Contradicted if a condition fails less than the baseline although, in the median run, 90 %
   of the units of the critic's last hidden layer are saturated when training ends.
3. The gradient clip is a cause: an update in which an episode ends has a gradient a hundred times as long as the bound,
   and the clip scales it to the length of the others. Holds if "no clip" fails less than the baseline. It is the cause
   in a healthy agent too if the recipe with a clip of 0.005, small enough to bind, fails more than the recipe.
4. The clip harms through the policy's gradient, or through the critic's. Judged by the two conditions in which the
   clip scales one network's gradient only: the one that fails more than "no clip". Both, or neither: not separated.
5. The clip biases the critic: without it, V at the initial states minus the true discounted return, in the median over
   the 30,000 steps after the first fall, is closer to 0. Holds if the 95 % intervals of the mean do not overlap.
6. The critic's share of the common norm starves the policy. Holds if vf_coef 0.005 fails less than the baseline.
7. Steps of the policy are too long. Holds if bounding its shift, or a lower learning rate, fails less.

Amended once, with 26 runs on disk and none looked at: the mixes have 20 seeds instead of 50, and the two conditions of
hypothesis 4 have 20 instead of 10.

The other conditions are explored, not tested. Every mix of the recipe's five parts is trained, 2⁵ conditions: the
effect of a part is the share of failed runs with it minus that without it, over all mixes.
"""

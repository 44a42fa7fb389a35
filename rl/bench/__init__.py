"""`python -m rl.bench`: how fast training is here, beside Stable-Baselines3, Gymnasium and the processor's limit."""

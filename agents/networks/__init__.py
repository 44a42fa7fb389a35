"""π_θ and V_φ: encoders, hidden layers, heads, forward passes."""

"""How many labels a way to choose saves: pools with known truth, a small learner, and its learning curves."""

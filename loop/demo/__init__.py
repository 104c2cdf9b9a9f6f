"""The demonstration: scenes with known truth, a production stream that drifts, a scripted reviewer."""

"""From promises and audits to thresholds: up to which risk predictions may pass without a person."""

"""What leaves the service: webhooks and what they tell, addresses, tasks done elsewhere."""

"""What the assistant does: answer a customer, stop answering, change its settings."""

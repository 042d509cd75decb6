"""Events in and out: the consumer with its inbox, the outbox with its relay, dead letters, and Kafka."""

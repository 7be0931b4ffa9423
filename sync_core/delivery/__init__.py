"""What others are told: events for subscribers, messages for people. Made from committed facts, at least once."""

"""The sandbox CLM: a contract repository with a REST API, an event feed and signed webhooks, for demo and tests."""

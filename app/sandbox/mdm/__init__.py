"""The sandbox master-data system: customers and legal entities with a REST API and a feed of changes."""

"""Master data: customers and legal entities as their owner says them, and which of them a contract means."""

"""sandbox-cloud: a cloud ERP as a program of its own, for the demo, the tests and the benchmarks.

It behaves as the REST APIs of the large vendors do (see docs of NetSuite and Business Central): OAuth 2.0 client
credentials, records by external id, problem+json, paging by cursor, rate limits, closed periods. It invoices what
it was told to bill, and it fails on demand.
"""

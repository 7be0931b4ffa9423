"""The reconciler: claim due contracts, converge each with its ERP, commit the results of many together."""

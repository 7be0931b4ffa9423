"""The weekly snapshot: every KPI as of one moment, as tables, as files, and with what moved since it was first made.

Content is read from versioned facts alone, so the same week as of the same moment is the same again, byte for byte.
"""

"""Where text comes from: readers, splits, checks and schemas of each corpus."""

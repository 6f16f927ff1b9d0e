"""The log and everything that proves what stands in it: trees, checkpoints, witnesses, receipts."""

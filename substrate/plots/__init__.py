"""The figures of a run file, one per module, and the style they share."""

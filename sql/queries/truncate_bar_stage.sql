-- Empty the stage after a merge.
TRUNCATE bar_stage

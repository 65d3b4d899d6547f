"""The measuring tool: each figure is a ratio against something else measured in the same run."""

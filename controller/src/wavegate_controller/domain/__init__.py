"""The rollout machine as values and functions: no I/O, no clock, no log. Time comes in as `now`."""

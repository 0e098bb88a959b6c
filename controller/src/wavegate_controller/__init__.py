"""The Wavegate controller: holds the rollouts, judges their gates, publishes the rulesets."""

"""The inside of `TwoStageLearner`: draws, gradients, models of the stages, the ascent, checkpoints, bounds."""

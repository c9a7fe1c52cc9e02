"""The Gaussian marginal likelihood: group effects integrated out exactly, for `lmer` and for `brm`.

`plan` decides an order of elimination, `statistics` passes over the data once, `evaluate` eliminates one factor
after the other and differentiates the result. Nothing here knows formulas or data frames.
"""

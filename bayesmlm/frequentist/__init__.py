"""Mixed models by maximum likelihood, and everything that lme4, lmerTest and pbkrtest users rely on."""

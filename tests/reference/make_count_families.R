# Log densities of brms's own R functions for families of counts and proportions, and its default priors: what
# tests/families/test_count_families.py and test_proportions.py compare with.
#
#   cd tests/reference && Rscript make_count_families.R
suppressPackageStartupMessages(library(brms))

counts <- c(0, 1, 2, 5, 19)
rows <- function(family, y, parameters, density) {
  grid <- expand.grid(c(list(y = y), parameters))
  grid$log_density <- do.call(density, unname(as.list(grid)))
  list(family = family, columns = as.list(grid))
}
tables <- list(
  rows("com_poisson", counts, list(mu = c(0.4, 3, 12), shape = c(0.5, 1, 2.5)),
       function(y, mu, shape) brms:::dcom_poisson(y, mu, shape, log = TRUE)),
  rows("discrete_weibull", counts, list(mu = c(0.2, 0.9), shape = c(0.5, 1.3)),
       function(y, mu, shape) brms:::ddiscrete_weibull(y, mu, shape, log = TRUE)),
  rows("negbinomial2", counts, list(mu = c(0.4, 12), sigma = c(0.2, 3)),
       function(y, mu, sigma) dnbinom(y, mu = mu, size = 1 / sigma, log = TRUE)),
  rows("zero_inflated_beta", c(0, 0.01, 0.6, 0.99), list(mu = c(0.1, 0.7), phi = c(0.5, 8), zi = c(0.1, 0.8)),
       function(y, mu, phi, zi) dzero_inflated_beta(y, mu * phi, (1 - mu) * phi, zi, log = TRUE))
)

data <- data.frame(y = c(0L, 1L, 2L, 5L, 3L, 9L), p = c(0, 0.2, 0.3, 0.5, 0.7, 0.9), n = 10L, x = 1:6)
priors <- function(family, formula) {
  out <- get_prior(formula, data, family = brmsfamily(family))
  out <- out[!(out$class %in% c("b", "Intercept")), ]
  list(family = family, class = I(out$class), prior = I(out$prior), lb = I(out$lb), ub = I(out$ub))
}
defaults <- list(
  priors("negbinomial2", y ~ x), priors("discrete_weibull", y ~ x), priors("com_poisson", y ~ x),
  priors("zero_inflated_beta_binomial", y | trials(n) ~ x), priors("zero_inflated_beta", p ~ x),
  priors("zero_one_inflated_beta", p ~ x)
)
jsonlite::write_json(
  list(versions = list(R = as.character(getRversion()), brms = as.character(packageVersion("brms"))), tables = tables,
       data = data, priors = defaults),
  "count_families.json", auto_unbox = TRUE, digits = 15)

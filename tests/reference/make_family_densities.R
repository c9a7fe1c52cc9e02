# Log densities of brms's own R functions (those behind log_lik()) on small grids: what tests/families compares with.
#
#   cd tests/reference && Rscript make_family_densities.R
#
# beta_binomial is brms's Stan code written out (its R function needs extraDistr). nbinom1 is glmmTMB's: the negative binomial of R with size = mu / phi, whose variance is mu (1 + phi).
suppressPackageStartupMessages(library(brms))

counts <- c(0, 1, 2, 5, 19, 20)
positive <- c(0.01, 0.4, 1.7, 30)

rows <- function(family, y, parameters, density) {
  grid <- expand.grid(c(list(y = y), parameters))
  grid$log_density <- do.call(density, unname(as.list(grid)))
  list(family = family, columns = as.list(grid))
}
mu <- c(0.05, 1.3, 14)
p <- c(0.02, 0.5, 0.9)
out <- list(
  rows("zero_inflated_poisson", counts, list(mu = mu, zi = p),
       function(y, mu, zi) dzero_inflated_poisson(y, mu, zi, log = TRUE)),
  rows("zero_inflated_negbinomial", counts, list(mu = mu, shape = c(0.3, 8), zi = p),
       function(y, mu, shape, zi) dzero_inflated_negbinomial(y, mu, shape, zi, log = TRUE)),
  rows("zero_inflated_binomial", counts, list(mu = p, trials = 20, zi = p),
       function(y, mu, trials, zi) dzero_inflated_binomial(y, trials, mu, zi, log = TRUE)),
  rows("hurdle_poisson", counts, list(mu = mu, hu = p),
       function(y, mu, hu) dhurdle_poisson(y, mu, hu, log = TRUE)),
  rows("hurdle_negbinomial", counts, list(mu = mu, shape = c(0.3, 8), hu = p),
       function(y, mu, shape, hu) dhurdle_negbinomial(y, mu, shape, hu, log = TRUE)),
  rows("beta_binomial", counts, list(mu = p, phi = c(0.4, 30), trials = 20),
       function(y, mu, phi, trials) lchoose(trials, y) + lbeta(y + mu * phi, trials - y + (1 - mu) * phi) -
         lbeta(mu * phi, (1 - mu) * phi)),
  rows("inverse.gaussian", positive, list(mu = mu, shape = c(0.3, 8)),
       function(y, mu, shape) dinv_gaussian(y, mu, shape, log = TRUE)),
  rows("exponential", positive, list(mu = mu), function(y, mu) dexp(y, 1 / mu, log = TRUE)),
  rows("geometric", counts, list(mu = mu), function(y, mu) dnbinom(y, size = 1, mu = mu, log = TRUE)),
  rows("nbinom1", counts, list(mu = mu, phi = c(0.3, 8)),
       function(y, mu, phi) dnbinom(y, size = mu / phi, mu = mu, log = TRUE))
)
jsonlite::write_json(
  list(versions = list(R = as.character(getRversion()), brms = as.character(packageVersion("brms"))), tables = out),
  "family_densities.json", auto_unbox = TRUE, digits = 15)

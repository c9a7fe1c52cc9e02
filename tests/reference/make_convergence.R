# Rhat, effective sample sizes, Monte Carlo errors (posterior) and WAIC, LOO (loo) of small made-up draws.
# Run in this folder: Rscript make_convergence.R   (posterior 1.4.0, loo 2.5.1, jsonlite 1.8.4, R 4.2.2)
suppressMessages({library(posterior); library(loo); library(jsonlite)})
set.seed(20)
chains <- 4; draws <- 75   # odd: the middle draw of a chain belongs to neither half
ar <- function(phi) replicate(chains, as.numeric(arima.sim(list(ar = phi), draws)))
parameters <- list(
  iid = replicate(chains, rnorm(draws)), slow = ar(0.9), antithetic = ar(-0.5),
  tied = replicate(chains, rpois(draws, 1.5)), heavy = replicate(chains, rt(draws, 1)),
  apart = sapply(1:chains, function(k) rnorm(draws, k / 2)), wide = sapply(1:chains, function(k) rnorm(draws, 0, k)),
  constant = matrix(1, draws, chains))
parameters <- lapply(parameters, round, 5)
diagnose <- function(x) list(
  rhat = rhat(x), ess_bulk = ess_bulk(x), ess_tail = ess_tail(x), ess_mean = ess_mean(x),
  ess_q30 = ess_quantile(x, 0.3), mcse_mean = mcse_mean(x), mcse_sd = mcse_sd(x), mcse_q30 = mcse_quantile(x, 0.3),
  mean = mean(x), sd = sd(x), median = median(x), mad = mad(as.vector(x)),
  q2.5 = quantile(as.vector(x), 0.025, names = FALSE), q97.5 = quantile(as.vector(x), 0.975, names = FALSE))

# A normal mean with known sd: 8 observations, the last one far out, so that its Pareto k is large.
S <- 250
mu <- round(replicate(chains, 0.3 + 0.35 * as.numeric(arima.sim(list(ar = 0.3), S))), 5)
y <- c(-1.1, -0.4, 0, 0.2, 0.5, 0.9, 1.3, 6)
log_lik <- array(NA, c(S, chains, length(y)))
for (i in seq_along(y)) log_lik[, , i] <- dnorm(y[i], mu, 1, log = TRUE)
result <- suppressWarnings(loo(log_lik, r_eff = relative_eff(exp(log_lik))))
criterion <- suppressWarnings(waic(log_lik))
write_json(list(
  versions = list(R = as.character(getRversion()), posterior = as.character(packageVersion("posterior")),
                  loo = as.character(packageVersion("loo"))),
  draws = lapply(parameters, t), expected = lapply(parameters, diagnose),
  mu = t(mu), y = y,
  r_eff = relative_eff(exp(log_lik)), loo_pointwise = result$pointwise, loo_estimates = result$estimates,
  waic_pointwise = criterion$pointwise, waic_estimates = criterion$estimates),
  "convergence.json", digits = 12, auto_unbox = TRUE, na = "null")

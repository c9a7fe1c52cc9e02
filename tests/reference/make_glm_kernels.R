# What R's families give at fixed linear predictors, and two fits of lme4 with a dispersion: glm_kernels.json.
# Run from the repository root: Rscript tests/reference/make_glm_kernels.R
suppressMessages({library(lme4); library(jsonlite)})
set.seed(7)
n <- 12
trials <- c(1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
real <- round(seq(-3, 2.5, length.out = n), 3)
positive <- round(seq(0.2, 4.6, length.out = n), 3)
unit <- round(seq(0.04, 0.96, length.out = n), 3)
weights <- round(runif(n, 0.5, 2), 2)
counts <- c(0, 0, 1, 2, 0, 3, 5, 1, 9, 4, 12, 7)
measured <- round(rgamma(n, 3, 1), 3)
successes <- rbinom(n, trials, 0.5)

case <- function(name, f, y, eta, w, n_of = rep(1, length(y)), theta = NULL) {
  mu <- f$linkinv(eta)
  dev <- f$dev.resids(y, mu, w)
  env <- list2env(list(y = y, weights = w / n_of, nobs = length(y), n = n_of, etastart = NULL, mustart = NULL, start = NULL))
  if (f$family == "binomial") mustart <- (n_of * y + 0.5) / (n_of + 1) else { eval(f$initialize, env); mustart <- env$mustart }
  out <- list(family = name, link = f$link, y = if (name == "binomial") successes else y, eta = eta, weights = w / n_of,
       mu = mu, aic = f$aic(y, n_of, mu, w, sum(dev)), dev_resids = dev, pearson = (y - mu) * sqrt(w / f$variance(mu)),
       fisher_weights = w * f$mu.eta(eta)^2 / f$variance(mu), start = f$linkfun(mustart), theta = theta)
  if (name == "binomial") out$trials <- n_of
  out
}
ones <- rep(1, n)
etas <- list(logit = real, probit = real, cauchit = real, cloglog = real - 1, log = real, identity = positive, sqrt = positive,
             inverse = positive, `1/mu^2` = positive)
cases <- list()
for (link in c("logit", "probit", "cauchit", "cloglog", "log", "identity")) {
  eta <- switch(link, log = real - 2.6, identity = unit, etas[[link]])
  cases <- c(cases, list(case("binomial", binomial(make.link(link)), successes / trials, eta, trials, trials)),
                    list(case("bernoulli", binomial(make.link(link)), as.numeric(successes > 1), eta, ones)))
}
for (link in c("log", "identity", "sqrt")) cases <- c(cases, list(case("poisson", poisson(make.link(link)), counts, etas[[link]], weights)))
for (link in c("inverse", "identity", "log")) cases <- c(cases, list(case("gamma", Gamma(make.link(link)), measured, etas[[link]], weights)))
for (link in c("1/mu^2", "inverse", "identity", "log"))
  cases <- c(cases, list(case("inverse.gaussian", inverse.gaussian(make.link(link)), measured, etas[[link]], weights)))
for (link in c("log", "identity", "sqrt"))
  cases <- c(cases, list(case("negbinomial", MASS::negative.binomial(1.7, link), counts, etas[[link]], weights, theta = 1.7)))

sleep <- read.csv("bayesmlm/datasets/sleepstudy.csv"); sleep$Subject <- factor(sleep$Subject)
fit <- function(f) {
  m <- suppressWarnings(glmer(Reaction ~ Days + (1 | Subject), sleep, family = f))
  resp <- m@resp
  list(family = c(Gamma = "gamma", inverse.gaussian = "inverse.gaussian")[[f$family]], link = f$link, y = sleep$Reaction,
       eta = resp$eta, aic = resp$aic(), penalty = m@pp$sqrL(1), log_det = m@pp$ldL2(), logLik = as.numeric(logLik(m)),
       deviance = resp$resDev(), fisher_weights = resp$sqrtWrkWt()^2)
}
fits <- list(fit(Gamma(link = "log")), fit(inverse.gaussian(link = "log")))
write(toJSON(list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), cases = cases, fits = fits),
             digits = NA, auto_unbox = TRUE), "tests/reference/glm_kernels.json")

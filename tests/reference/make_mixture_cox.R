# Default priors of mixtures, cox models and custom families by brms 2.18, M-splines and I-splines by splines2 0.4.7, the
# bases brms passes to Stan, and coxph() of the package survival on data kept in the file.
#
#   cd tests/reference && Rscript make_mixture_cox.R
suppressPackageStartupMessages({library(brms); library(splines2); library(survival); library(jsonlite)})
set.seed(1)
d <- data.frame(
  y = round(rnorm(60), 3), x = round(rnorm(60), 3), g = rep(letters[1:6], 10), n = rpois(60, 3),
  t = round(rexp(60) + 0.05, 3), p = round(runif(60, 0.05, 0.95), 3)
)
table_of <- function(...) {
  found <- suppressMessages(get_prior(...))
  found <- found[, c("prior", "class", "coef", "group", "dpar", "lb", "ub")]
  found$prior[is.na(found$prior)] <- ""
  as.list(found)
}
bb <- custom_family("beta_binomial2", dpars = c("mu", "phi"), links = c("logit", "log"), lb = c(0, 0),
                    ub = c(1, NA), type = "int", vars = "vint1[n]")
own <- custom_family("own", dpars = c("mu", "tau", "sigma"), links = c("identity", "log", "log"), lb = c(NA, 0, 0))
priors <- list(
  two_gaussians = table_of(y ~ x + (1 | g), d, mixture(gaussian, gaussian)),
  tied = table_of(bf(y ~ 1, mu1 ~ x, sigma2 = "sigma1"), d, mixture(gaussian, gaussian, order = "none")),
  fixed = table_of(bf(y ~ x, theta1 = 1, theta2 = 2), d, mixture(gaussian, gaussian)),
  predicted = table_of(bf(y ~ x, theta1 ~ x, theta2 ~ 1), d, mixture(gaussian, gaussian)),
  counts = table_of(n ~ x, d, mixture(poisson, negbinomial)),
  positive = table_of(t ~ x, d, mixture(lognormal, weibull)),
  beta_gaussian = table_of(p ~ x, d, mixture(Beta, gaussian)),
  cox = table_of(t ~ x + (1 | g), d, brmsfamily("cox")),
  custom_counts = table_of(bf(n | vint(n) ~ x), d, bb),
  custom_real = table_of(bf(y ~ x), d, own),
  custom_predicted = table_of(bf(y ~ x, tau ~ x), d, own)
)
at <- c(0.05, 0.11, 0.5, 0.6, 0.62, 1.3, 2, 3.5, 3.7)
basis <- function(...) list(m = unclass(mSpline(at, ...)), i = unclass(iSpline(at, ...)))
plain <- function(b) lapply(b, function(v) matrix(as.numeric(v), nrow(v)))
ends <- c(0.05, 3.7)
splines <- list(
  cubic = plain(basis(knots = c(0.6, 1.5), Boundary.knots = ends, intercept = TRUE)),
  no_knots = plain(basis(Boundary.knots = ends, intercept = TRUE)),
  quadratic = plain(basis(knots = 0.6, degree = 2, Boundary.knots = ends, intercept = TRUE)),
  without_intercept = plain(basis(knots = c(0.6, 1.5, 2.2), Boundary.knots = ends, intercept = FALSE))
)
s <- make_standata(t ~ x, d, brmsfamily("cox"))
n <- 400
survived <- data.frame(x = round(rnorm(n), 3), h = rbinom(n, 1, 0.5))
time <- 2 * (rexp(n) / exp(0.7 * survived$x - 0.5 * survived$h))^(1 / 1.5)
end <- runif(n, 0.5, 5)
survived$time <- round(pmin(time, end), 4)
survived$censored <- as.integer(time > end)
fit <- coxph(Surv(time, 1 - censored) ~ x + h, survived, ties = "breslow")
curve <- survfit(fit, newdata = data.frame(x = 0, h = 0))
times <- c(0.25, 0.5, 1, 1.5, 2, 3)
out <- list(
  data = as.list(d), priors = priors, at = at, splines = splines,
  standata = list(Zbhaz = matrix(as.numeric(s$Zbhaz), 60), Zcbhaz = matrix(as.numeric(s$Zcbhaz), 60)),
  survived = as.list(survived),
  coxph = list(coef = as.list(coef(fit)), se = as.list(sqrt(diag(vcov(fit)))), times = times,
               survival = summary(curve, times = times)$surv)
)
write_json(out, "mixture_cox.json", digits = NA, auto_unbox = TRUE)

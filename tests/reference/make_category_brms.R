# Log densities of brms's own R functions (those behind log_lik()) for responses of three categories, the second of which
# is the reference: what tests/families compares with.
#
#   cd tests/reference && Rscript make_category_brms.R
suppressPackageStartupMessages(library(brms))

etas <- rbind(c(0.4, 0, -1.1), c(2, 0, 1), c(-3, 0, 0.2))
shares <- rbind(c(0.2, 0.5, 0.3), c(0.01, 0.04, 0.95), c(0.6, 0.3, 0.1))
counts <- rbind(c(2, 5, 3), c(0, 1, 9), c(4, 0, 0))
sigma <- c(0.7, 1.6)
rho <- -0.4
Sigma <- diag(sigma) %*% matrix(c(1, rho, rho, 1), 2) %*% diag(sigma)
phi <- 3.5
softmax <- function(eta) exp(eta) / sum(exp(eta))
rows <- seq_len(nrow(etas))
out <- list(
  versions = list(R = as.character(getRversion()), brms = as.character(packageVersion("brms"))),
  eta = etas, shares = shares, counts = counts, sigma = sigma, rho = rho, phi = phi,
  categorical = t(sapply(rows, function(i) brms:::dcategorical(1:3, eta = t(etas[i, ]), log = TRUE)[1, ])),
  multinomial = sapply(rows, function(i) dmultinom(counts[i, ], prob = softmax(etas[i, ]), log = TRUE)),
  dirichlet = sapply(rows, function(i) ddirichlet(shares[i, ], alpha = phi * softmax(etas[i, ]), log = TRUE)),
  dirichlet2 = sapply(rows, function(i) ddirichlet(shares[i, ], alpha = exp(etas[i, ]), log = TRUE)),
  logistic_normal = sapply(rows, function(i)
    dlogistic_normal(shares[i, ], mu = etas[i, -2], Sigma = Sigma, refcat = 2, log = TRUE))
)
jsonlite::write_json(out, "category_brms.json", auto_unbox = TRUE, digits = 15)

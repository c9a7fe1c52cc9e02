# Densities and distribution functions of brms's families of real-valued responses, in brms's parameterisation, by
# brms's own functions: brms_real_families.json. Run from the repository root: Rscript tests/reference/make_real_families.R
suppressMessages(library(brms))
y <- c(-2.7, -0.4, 0, 1.3, 3.1)
table <- list(
  skew_normal = list(
    parameters = list(mu = 0.4, sigma = 1.3, alpha = -3), log_density = dskew_normal(y, 0.4, 1.3, -3, log = TRUE)
  ),
  exgaussian = list(
    parameters = list(mu = 0.4, sigma = 1.3, beta = 0.7), log_density = dexgaussian(y, 0.4, 1.3, 0.7, log = TRUE),
    cdf = pexgaussian(y, 0.4, 1.3, 0.7)
  ),
  gen_extreme_value = list(
    parameters = list(mu = 0.4, sigma = 1.3, xi = 0.2), log_density = dgen_extreme_value(y, 0.4, 1.3, 0.2, log = TRUE),
    cdf = pgen_extreme_value(y, 0.4, 1.3, 0.2)
  ),
  asym_laplace = list(
    parameters = list(mu = 0.4, sigma = 1.3, quantile = 0.25), log_density = dasym_laplace(y, 0.4, 1.3, 0.25, log = TRUE),
    cdf = pasym_laplace(y, 0.4, 1.3, 0.25)
  ),
  von_mises = list(
    parameters = list(mu = 0.4, kappa = 2.5), log_density = dvon_mises(y, 0.4, 2.5, log = TRUE),
    cdf = pvon_mises(y, 0.4, 2.5)
  )
)
content <- list(y = y, brms = as.character(packageVersion("brms")), families = table)
jsonlite::write_json(content, "tests/reference/brms_real_families.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)

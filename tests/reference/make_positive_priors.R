# brms's get_prior() for families of positive responses, among them those with a non-decision time: positive_priors.json.
# Run from the repository root: Rscript tests/reference/make_positive_priors.R
suppressMessages({library(brms); library(jsonlite)})
data <- data.frame(
  rt = c(0.5, 0.7, 0.9, 1.2, 0.45, 0.81), dec = c(1, 0, 1, 1, 0, 1),
  x = c(1, 2, 3, 4, 5, 7), g = c(1, 1, 2, 2, 3, 3)
)
models <- list(
  list("shifted_lognormal", "rt ~ x + (1 | g)"),
  list("shifted_lognormal", "rt ~ x", "ndt ~ x", "sigma ~ x"),
  list("shifted_lognormal(link_ndt = 'identity')", "rt ~ x", "ndt ~ x"),
  list("wiener", "rt | dec(dec) ~ x + (1 | g)"),
  list("wiener", "rt | dec(dec) ~ x", "bs ~ x", "ndt ~ x", "bias ~ x"),
  list("weibull", "rt ~ x + (1 | g)"),
  list("frechet", "rt ~ x + (1 | g)"),
  list("frechet", "rt ~ x", "nu ~ x"),
  list("hurdle_gamma", "rt ~ x + (1 | g)"),
  list("hurdle_gamma", "rt ~ x", "hu ~ x", "shape ~ x"),
  list("hurdle_lognormal", "rt ~ x + (1 | g)")
)
rows <- lapply(models, function(model) {
  formula <- do.call(bf, lapply(model[-1], as.formula))
  call <- parse(text = model[[1]])[[1]]
  family <- if (is.call(call)) eval(call) else brmsfamily(as.character(call))
  prior <- as.data.frame(get_prior(formula, data, family = family))
  columns <- c("prior", "class", "coef", "group", "dpar", "lb", "ub")
  list(family = model[[1]], formulas = unlist(model[-1]), rows = prior[columns])
})
write(toJSON(list(data = data, models = rows), auto_unbox = TRUE, digits = NA), "tests/reference/positive_priors.json")

# Posteriors of small models by brms, one JSON file each: what test_features.py compares with.
#
#   cd tests/fits && Rscript make_brms_references.R student_double_bar     (or without a name: all of them)
#
# Data are the package's own CSVs; factor levels come from schema.json beside them. A file holds summaries only:
# `posterior` (variables that vary; group effects: the first four), `constants` (those that do not), and means and
# standard deviations of expected responses and log-likelihoods of the first rows.
suppressPackageStartupMessages({library(brms); library(posterior)})
datasets <- file.path("..", "..", "bayesmlm", "datasets")
ROWS <- 8

read <- function(name) {
  data <- read.csv(file.path(datasets, paste0(name, ".csv")))
  for (column in names(data)) {
    known <- schema[[name]]$columns[[column]]
    if (!is.null(known$levels) && !identical(known$levels, "numeric"))
      data[[column]] <- factor(data[[column]], levels = known$levels, ordered = known$type == "ordered")
  }
  data
}
schema <- jsonlite::fromJSON(file.path(datasets, "schema.json"))

# A sixth of the women keeps every district small and the fit short.
some_women <- function() subset(read("Contraception"), as.integer(woman) %% 3 == 1)

# brms's log_lik() of this family needs the package extraDistr; this is its density written out.
beta_binomial_log_lik <- function(fit) {
  phi <- as.vector(as.matrix(fit, variable = "phi"))
  mu <- posterior_linpred(fit, transform = TRUE)
  y <- rep(fit$data$incidence, each = nrow(mu))
  n <- rep(fit$data$size, each = nrow(mu))
  lchoose(n, y) + lbeta(y + mu * phi, n - y + (1 - mu) * phi) - lbeta(mu * phi, (1 - mu) * phi)
}

models <- list(
  student_double_bar = list(
    formula = bf(Reaction ~ Days + (Days || Subject)), family = student(), data = "sleepstudy"),
  lognormal_kidney = list(
    formula = bf(time ~ age + sex + disease + (1 | patient)), family = lognormal(), data = "kidney",
    prior = c(set_prior("normal(0, 2)", class = "b"), set_prior("normal(1, 0.5)", class = "b", coef = "sexfemale"),
              set_prior("exponential(1)", class = "sd"))),
  bernoulli_contraception = list(
    formula = bf(use ~ age + I(age^2) + urban + (urban | district)), family = bernoulli(), data = "Contraception",
    prep = "rows with woman %% 3 == 1", frame = some_women,
    prior = set_prior("normal(0, 1)", class = "sd")),
  negbinomial_shape_offset = list(
    formula = bf(count ~ Trt + offset(log(Base)) + (1 | patient), shape ~ Trt), family = negbinomial(),
    data = "epilepsy"),
  gamma_weights = list(
    formula = bf(angle | weights(w) ~ temperature + recipe + (1 | replicate)), family = Gamma("log"), data = "cake",
    prep = "w = 0.5, 1, 2, 0.5, 1, 2, ...",
    frame = function() transform(read("cake"), w = rep(c(0.5, 1, 2), length.out = 270))),
  beta_phi = list(
    formula = bf(prop ~ Days + (1 |s| Subject), phi ~ Days + (1 |s| Subject)), family = Beta(), data = "sleepstudy",
    prep = "prop = (Reaction - 150) / 400",
    frame = function() transform(read("sleepstudy"), prop = (Reaction - 150) / 400)),
  gr_by_orthodont = list(
    formula = bf(distance ~ years * Sex + (years | gr(Subject, by = Sex))), family = gaussian(), data = "Orthodont",
    prep = "years = age - 11", frame = function() transform(read("Orthodont"), years = age - 11),
    prior = c(set_prior("lkj(3)", class = "cor"), set_prior("normal(0, 1)", class = "sd", coef = "years", group = "Subject"))),
  id_across_sigma = list(
    formula = bf(Reaction ~ Days + (Days |s| Subject), sigma ~ 1 + (1 |s| Subject)), family = gaussian(),
    data = "sleepstudy"),
  nested_lower_bound = list(
    formula = bf(yield ~ nitro + (1 | Block/Variety)), family = gaussian(), data = "Oats",
    prior = c(set_prior("normal(60, 15)", class = "b", lb = 60), set_prior("normal(100, 20)", class = "Intercept"),
              set_prior("gamma(2, 0.1)", class = "sd", group = "Block"))),
  crossed_constant_sigma = list(
    formula = bf(diameter ~ 1 + (1 | plate) + (1 | sample)), family = gaussian(), data = "Penicillin",
    prior = c(set_prior("constant(0.5)", class = "sigma"), set_prior("cauchy(0, 1)", class = "sd", group = "sample"))),
  probit_explicit_intercept = list(
    formula = bf(use ~ 0 + Intercept + age + urban + livch), family = bernoulli("probit"), data = "Contraception",
    prep = "rows with woman %% 3 == 1", frame = some_women,
    prior = c(set_prior("normal(0, 1)", class = "b"), set_prior("constant(0.3)", class = "b", coef = "urbanY"),
              set_prior("student_t(5, -1, 0.5)", class = "b", coef = "Intercept"))),
  zip_shared_effects = list(
    formula = bf(count ~ zBase + (1 |s| patient), zi ~ Trt + (1 |s| patient)), family = zero_inflated_poisson(),
    data = "epilepsy", prior = set_prior("normal(0, 1)", class = "sd", dpar = "zi")),
  hurdle_negbinomial_ticks = list(
    formula = bf(TICKS ~ YEAR + (1 | LOCATION), hu ~ cHEIGHT), family = hurdle_negbinomial(), data = "grouseticks"),
  beta_binomial_cbpp = list(
    formula = bf(incidence | trials(size) ~ period + (1 | herd)), family = beta_binomial(), data = "cbpp",
    prior = set_prior("gamma(2, 0.1)", class = "phi"), log_lik = beta_binomial_log_lik),
  inverse_gaussian_sleepstudy = list(
    formula = bf(Reaction ~ Days + (1 | Subject)), family = brmsfamily("inverse.gaussian", link = "log"),
    data = "sleepstudy"),
  prior_only = list(
    formula = bf(Reaction ~ Days + (Days | Subject)), family = gaussian(), data = "sleepstudy", sample_prior = "only",
    prior = c(set_prior("normal(5, 2)", class = "b"), set_prior("student_t(5, 300, 20)", class = "Intercept"),
              set_prior("exponential(0.1)", class = "sd"), set_prior("lkj(2)", class = "cor"),
              set_prior("gamma(4, 0.2)", class = "sigma")))
)

summarise <- function(draws) {
  as.list(as.data.frame(summarise_draws(
    draws, mean = mean, sd = sd, ~quantile2(.x, c(0.05, 0.95)), mcse_mean = mcse_mean, mcse_sd = mcse_sd,
    mcse_q5 = ~mcse_quantile(.x, 0.05), mcse_q95 = ~mcse_quantile(.x, 0.95), rhat = rhat, ess_bulk = ess_bulk)))
}

# (draws x rows) matrices of expectations, as draws of variables row1, row2, ...
head_of <- function(values, chains) {
  values <- values[, seq_len(ROWS)]
  summarise(as_draws_array(array(values, c(nrow(values) / chains, chains, ROWS),
                                 list(NULL, NULL, paste0("row", seq_len(ROWS))))))[c("mean", "sd", "mcse_mean", "mcse_sd")]
}

reference <- function(name) {
  m <- models[[name]]
  data <- if (is.null(m$frame)) read(m$data) else m$frame()
  sample_prior <- if (is.null(m$sample_prior)) "no" else m$sample_prior
  fit <- brm(m$formula, data, m$family, prior = m$prior, sample_prior = sample_prior, chains = 4, cores = 1,
             warmup = 1000, iter = 5000, seed = 20, refresh = 0, control = list(adapt_delta = 0.95))
  draws <- as_draws_array(fit)
  names <- setdiff(variables(draws), c("lp__", grep("^(r_|z_|L_|Cor_|par_)", variables(draws), value = TRUE)))
  names <- c(names, head(grep("^r_", variables(draws), value = TRUE), 4))
  varies <- sapply(names, function(n) sd(extract_variable(draws, n)) > 1e-12)
  constants <- sapply(names[!varies], function(n) extract_variable(draws, n)[1])
  np <- nuts_params(fit)
  out <- list(
    id = name, kind = "brms", formula = as.character(fit$formula)[1:(1 + length(fit$formula$pforms))],
    family = paste0(fit$family$family, "(", fit$family$link, ")"), data = paste0(m$data, ".csv"),
    data_prep = m$prep, sample_prior = sample_prior,
    user_priors = if (is.null(m$prior)) "none" else as.list(as.data.frame(m$prior)[c("prior", "class", "coef", "group", "lb")]),
    versions = list(R = as.character(getRversion()), brms = as.character(packageVersion("brms")),
                    rstan = as.character(packageVersion("rstan"))),
    long_run = list(settings = "chains=4, warmup=1000, draws=4000 per chain, adapt_delta=0.95, seed=20",
                    divergent = sum(subset(np, Parameter == "divergent__")$Value)),
    posterior = summarise(subset_draws(draws, variable = names[varies])), constants = as.list(constants),
    posterior_epred_head = head_of(posterior_epred(fit), 4),
    posterior_epred_re_NA_head = head_of(posterior_epred(fit, re_formula = NA), 4),
    log_lik_head = head_of(if (is.null(m$log_lik)) log_lik(fit) else m$log_lik(fit), 4))
  target <- file.path("..", "reference", paste0("brms_extra_", name, ".json"))
  jsonlite::write_json(out, target, auto_unbox = TRUE, digits = 10, na = "null", pretty = FALSE)
  cat(name, "divergent:", out$long_run$divergent, "max rhat:", max(out$posterior$rhat), "min ess:", min(out$posterior$ess_bulk), "\n")
}

asked <- commandArgs(trailingOnly = TRUE)
for (name in if (length(asked)) asked else names(models)) reference(name)

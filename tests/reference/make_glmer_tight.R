# glmer fits with PIRLS and optimiser tolerances near rounding: Rscript make_glmer_tight.R DATA_FOLDER > glmer_tight.json
# lme4's defaults (tolPwrss = 1e-7) leave noise of 1e-3 in the deviance and far more in its finite-difference Hessian.
suppressMessages({library(lme4); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
schema <- fromJSON(file.path(folder, "schema.json"), simplifyVector = FALSE)
read <- function(name) {
  d <- read.csv(file.path(folder, paste0(name, ".csv")), check.names = FALSE)
  for (column in names(schema[[name]]$columns)) {
    one <- schema[[name]]$columns[[column]]
    if (one$type %in% c("factor", "ordered"))
      d[[column]] <- if (is.list(one$levels)) factor(d[[column]], levels = unlist(one$levels)) else factor(d[[column]])
  }
  d
}
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhobeg = 0.02, rhoend = 1e-8, maxfun = 1e5))
cb <- cbind(incidence, size - incidence) ~ period + (1 | herd)
models <- list(
  cbpp_nAGQ0 = list("cbpp", cb, binomial, 0), cbpp_nAGQ1 = list("cbpp", cb, binomial, 1),
  cbpp_nAGQ25 = list("cbpp", cb, binomial, 25), cbpp_probit = list("cbpp", cb, binomial("probit"), 1),
  cbpp_cloglog = list("cbpp", cb, binomial("cloglog"), 1),
  cbpp_olre = list("cbpp", update(cb, . ~ . + (1 | obs)), binomial, 1),
  Contraception_nAGQ1 = list("Contraception", use ~ age + I(age^2) + urban + livch + (1 | district), binomial, 1),
  Contraception_nAGQ9 = list("Contraception", use ~ age + I(age^2) + urban + livch + (1 | district), binomial, 9),
  Contraception_slope = list("Contraception", use ~ age + urban + livch + (1 + urban | district), binomial, 1),
  grouseticks = list("grouseticks", TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), poisson, 1),
  epilepsy_poisson = list("epilepsy", count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs), poisson, 1),
  imm10_ri = list("imm10", white ~ homework + (1 | schid), binomial, 1),
  sleepstudy_Gamma_log = list("sleepstudy", Reaction ~ Days + (1 | Subject), Gamma("log"), 1),
  sleepstudy_Gamma_slope = list("sleepstudy", Reaction ~ Days + (Days || Subject), Gamma("log"), 1),
  sleepstudy_ig_log = list("sleepstudy", Reaction ~ Days + (1 | Subject), inverse.gaussian("log"), 1))
out <- list()
for (name in names(models)) {
  m <- models[[name]]
  d <- read(m[[1]])
  if (name == "cbpp_olre") d$obs <- factor(seq_len(nrow(d)))
  fit <- suppressWarnings(glmer(m[[2]], d, family = m[[3]], nAGQ = m[[4]], control = tight))
  h <- tryCatch(sqrt(diag(as.matrix(vcov(fit, use.hessian = m[[4]] > 0)))), error = function(e) NULL)
  rx <- suppressWarnings(sqrt(diag(as.matrix(vcov(fit, use.hessian = FALSE)))))
  first <- ranef(fit, condVar = TRUE)[[1]]
  variances <- attr(first, "postVar")
  if (is.list(variances)) variances <- variances[[1]]
  out[[name]] <- list(formula = paste(deparse(m[[2]], width.cutoff = 500), collapse = ""), data = m[[1]], nAGQ = m[[4]],
    family = fit@resp$family$family, link = fit@resp$family$link, theta = unname(getME(fit, "theta")),
    beta = unname(fixef(fit)), names = names(fixef(fit)), logLik = as.numeric(logLik(fit)), npar = attr(logLik(fit), "df"),
    se = unname(h), se_RX = unname(rx), sigma = sigma(fit), is_singular = isSingular(fit),
    ranef = unname(as.matrix(first))[1:min(8, nrow(first)), , drop = FALSE],
    condsd = sqrt(variances[1, 1, ])[1:min(8, nrow(first))], fitted = unname(head(fitted(fit), 8)))
}
cat(toJSON(out, digits = NA, auto_unbox = TRUE, null = "null"))

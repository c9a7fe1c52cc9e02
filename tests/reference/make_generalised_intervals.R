# Profile, Wald and bootstrap intervals and a refit of generalised mixed models by lme4 and glmmTMB.
# Run in this folder: Rscript make_generalised_intervals.R   (lme4 1.1-31, glmmTMB 1.1.5, R 4.2.2)
# lme4's default tolPwrss leaves noise of 1e-4 in the deviance, from which its profiles and Hessians suffer.
suppressMessages({library(lme4); library(glmmTMB); library(jsonlite)})
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-8))
data <- function(name) read.csv(file.path("../../bayesmlm/datasets", paste0(name, ".csv")))
table <- function(x) c(list(rownames = rownames(x)), lapply(as.list(as.data.frame(x)), function(v) unname(as.numeric(v))))
interval <- function(p) table(suppressWarnings(confint(p)))
cbpp <- lme4::cbpp
epilepsy <- transform(data("epilepsy"), v = as.numeric(visit) - 2.5)
sleep <- transform(sleepstudy, Days = Days / 10)
models <- list(
  cbpp = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight),
  cbpp_quadrature = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, nAGQ = 9, control = tight),
  epilepsy = glmer(count ~ zAge + zBase + (1 | patient), epilepsy, poisson, control = tight),
  epilepsy_slope = glmer(count ~ zAge + (1 + v | patient), epilepsy, poisson, control = tight),
  cbpp_probit = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial("probit"), control = tight))
out <- lapply(models, function(m) {
  p <- suppressWarnings(profile(m, delta = if (length(getME(m, "theta")) > 1) 0.4 else 0.2))
  list(logLik = as.numeric(logLik(m)), profile = interval(p), wald = table(confint(m, method = "Wald")))
})
m <- models$cbpp
set.seed(1)
boot <- suppressWarnings(bootMer(m, function(x) c(getME(x, "theta"), fixef(x)), nsim = 500))
refitted <- refit(m, cbind(rev(cbpp$incidence), 2))
gamma <- glmer(Reaction ~ Days + (1 | Subject), sleep, Gamma("log"), control = tight)
zip <- glmmTMB(count ~ zAge + (1 | patient), ziformula = ~ 1, data = epilepsy, family = poisson)
nb <- glmmTMB(count ~ zAge + (1 | patient), data = epilepsy, family = nbinom2)
tmb <- function(m) table(suppressWarnings(confint(profile(m, parm = "beta_"))))
write_json(c(out, list(
  bootstrap = list(t0 = unname(boot$t0), mean = unname(colMeans(boot$t)), sd = unname(apply(boot$t, 2, sd)),
                   perc = table(confint(boot, type = "perc"))),
  refit = list(y = rev(cbpp$incidence), logLik = as.numeric(logLik(refitted)), beta = unname(fixef(refitted)),
               theta = unname(getME(refitted, "theta"))),
  gamma = list(logLik = as.numeric(logLik(gamma)), wald = table(confint(gamma, method = "Wald"))),
  zip = tmb(zip), nb = tmb(nb))), "generalised_intervals.json", digits = 12, auto_unbox = TRUE, na = "null", pretty = FALSE)

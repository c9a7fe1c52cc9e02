# Predictions, residuals and null models of lme4 and glmmTMB: Rscript make_generalised_prediction.R > generalised_prediction.json
# Vectors are of the first six rows and the last. lme4 1.1-31 has no standard errors of predictions; glmmTMB has.
suppressMessages({library(lme4); library(glmmTMB); library(jsonlite)})
tight <- glmerControl(tolPwrss = 1e-12, optimizer = "bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-9, maxfun = 1e5))
out <- list()
head_of <- function(x) unname(x[c(1:6, length(x))])
four <- function(m) sapply(c("deviance", "pearson", "working", "response"),
                           function(t) head_of(residuals(m, t)), simplify = FALSE)
common <- function(m, new) list(
  beta = unname(fixef(m)), theta = unname(getME(m, "theta")), sigma = sigma(m),
  link = head_of(predict(m)), response = head_of(predict(m, type = "response")),
  population = head_of(predict(m, re.form = NA, type = "response")),
  random_only = head_of(predict(m, random.only = TRUE)),
  new = unname(predict(m, new, type = "response", allow.new.levels = TRUE)),
  residuals = four(m), scaled = head_of(residuals(m, scaled = TRUE)),
  rmse = sqrt(mean(residuals(m, "response")^2)),
  overdispersion = c(sum(residuals(m, "pearson")^2), df.residual(m)),
  hat = head_of(suppressWarnings(hatvalues(m))), rstudent = head_of(suppressWarnings(rstudent(m))))
cbpp <- lme4::cbpp
m <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight)
out$cbpp <- common(m, data.frame(period = c("1", "4"), herd = c("3", "99")))
null <- glmer(cbind(incidence, size - incidence) ~ 1 + (1 | herd), cbpp, binomial, control = tight)
out$cbpp$null <- c(fixef(null), unlist(VarCorr(null)))
gt <- lme4::grouseticks; gt$cHEIGHT <- scale(gt$HEIGHT, scale = FALSE)[, 1]
m <- glmer(TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), gt, poisson, control = tight)
out$grouseticks <- common(m, data.frame(YEAR = c("95", "97"), cHEIGHT = c(0, 10), BROOD = c("501", "new"), LOCATION = c("32", "7")))
null <- glmer(TICKS ~ 1 + (1 | BROOD) + (1 | LOCATION), gt, poisson, control = tight)
out$grouseticks$null <- c(fixef(null), unlist(VarCorr(null)))
ss <- lme4::sleepstudy
m <- glmer(Reaction ~ Days + (Days | Subject), ss, Gamma("log"), control = tight)
out$sleepstudy <- common(m, data.frame(Days = c(2, 11), Subject = c("308", "new")))
# glmmTMB: standard errors and the parts of zero-inflated and hurdle models, residuals
parts <- function(m) {
  types <- c("link", "response", "conditional", "zprob", "zlink")
  found <- sapply(types, function(t) head_of(predict(m, type = t)), simplify = FALSE)
  for (t in c("link", "response", "conditional", "zprob"))
    found[[paste0("se_", t)]] <- head_of(predict(m, type = t, se.fit = TRUE)$se.fit)
  found$population <- head_of(predict(m, re.form = NA))
  found$se_population <- head_of(predict(m, re.form = NA, se.fit = TRUE)$se.fit)
  found$pearson <- head_of(residuals(m, "pearson")); found$logLik <- as.numeric(logLik(m)); found
}
zip <- glmmTMB(TICKS ~ YEAR + cHEIGHT + (1 | LOCATION), ziformula = ~ YEAR, family = poisson, data = gt)
out$zip <- parts(zip)
hurdle <- glmmTMB(TICKS ~ YEAR + cHEIGHT + (1 | LOCATION), ziformula = ~ YEAR, family = truncated_poisson, data = gt)
out$hurdle <- parts(hurdle)
nb2 <- glmmTMB(TICKS ~ YEAR + cHEIGHT + (1 | LOCATION), family = nbinom2, data = gt)
out$nb2 <- list(se_link = head_of(predict(nb2, se.fit = TRUE)$se.fit))
out$versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
  glmmTMB = as.character(packageVersion("glmmTMB")))
cat(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE))

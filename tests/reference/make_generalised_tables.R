# Printed summaries, tables and tests of glmer(), glmer.nb() and glmmTMB(): generalised_tables.json.
# Run from the repository root: Rscript tests/reference/make_generalised_tables.R
# The model of Salamanders (glmmTMB's data) needs nothing but the package; its rows are not written.
suppressMessages({library(lme4); library(glmmTMB); library(jsonlite)})
options(digits = 7, width = 80)
schema <- fromJSON("bayesmlm/datasets/schema.json", simplifyVector = TRUE)
read <- function(name) {
  d <- read.csv(file.path("bayesmlm/datasets", paste0(name, ".csv")), stringsAsFactors = TRUE)
  for (v in names(d)) {
    l <- schema[[name]]$columns[[v]]$levels
    if (!is.null(l)) d[[v]] <- factor(d[[v]], levels = l)
  }
  d
}
cbpp <- read("cbpp"); grouseticks <- read("grouseticks"); sleepstudy <- read("sleepstudy")
Contraception <- read("Contraception"); epilepsy <- read("epilepsy")
epilepsy$Trt <- factor(epilepsy$Trt); epilepsy$patient <- factor(epilepsy$patient)
# lme4's default tolPwrss leaves noise in its finite-difference Hessian
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(rhobeg = 2e-2, rhoend = 1e-9, maxfun = 1e5))
text <- function(x) capture.output(print(x))
columns <- function(x) c(list(rownames = rownames(x)),
  lapply(as.list(as.data.frame(x)), function(v) if (is.factor(v)) as.character(v) else v))
matrix_of <- function(x) unname(as.matrix(x))

tables_of <- function(m, plain = TRUE) {
  out <- list(summary = text(summary(m)), print = text(m), coefficients = columns(coef(summary(m))),
    logLik = c(logLik(m)), AIC = AIC(m), BIC = BIC(m), npar = attr(logLik(m), "df"), sigma = sigma(m),
    vcov = matrix_of(vcov(m)), VarCorr = columns(as.data.frame(VarCorr(m))),
    VarCorr_lower = columns(as.data.frame(VarCorr(m), order = "lower.tri")), VarCorr_text = text(VarCorr(m)),
    ranef = columns(as.data.frame(ranef(m, condVar = TRUE))), coef = lapply(coef(m), columns),
    rePCA = lapply(rePCA(m), function(p) p$sdev), anova = columns(anova(m)), anova_text = text(anova(m)),
    u = unname(getME(m, "u")), RX = matrix_of(getME(m, "RX")), theta = getME(m, "theta"),
    theta_names = names(getME(m, "theta")), mu = head(unname(getME(m, "mu"))), y = head(unname(getME(m, "y"))),
    devcomp = as.list(getME(m, "devcomp")$cmp[c("ldL2", "ldRX2", "wrss", "ussq", "pwrss", "drsum")]))
  if (plain) out$vcov_RX <- suppressWarnings(matrix_of(vcov(m, use.hessian = FALSE)))
  out
}
lme4 <- list()
fit <- function(name, formula, data, family, nAGQ = 1, drop = TRUE, ...) {
  m <- eval(bquote(glmer(.(formula), data = .(as.name(data)), family = .(family), nAGQ = .(nAGQ), control = tight, ...)))
  out <- c(list(formula = deparse1(formula), data = data, family = family(m)$family, link = family(m)$link, nAGQ = nAGQ),
    tables_of(m, plain = nAGQ > 0))
  if (drop) { d <- drop1(m, test = "Chisq"); out$drop1 <- columns(d); out$drop1_text <- text(d) }
  lme4[[name]] <<- out
  m
}
cows <- fit("cbpp", cbind(incidence, size - incidence) ~ period + (1 | herd), "cbpp", quote(binomial))
fit("cbpp_probit", cbind(incidence, size - incidence) ~ period + (1 | herd), "cbpp", quote(binomial("probit")), drop = FALSE)
fit("cbpp_nAGQ0", cbind(incidence, size - incidence) ~ period + (1 | herd), "cbpp", quote(binomial), nAGQ = 0, drop = FALSE)
fit("cbpp_nAGQ9", cbind(incidence, size - incidence) ~ period + (1 | herd), "cbpp", quote(binomial), nAGQ = 9)
ticks <- fit("grouseticks", TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), "grouseticks", quote(poisson))
fit("sleep_gamma", Reaction ~ Days + (1 | Subject), "sleepstudy", quote(Gamma("log")))
fit("sleep_slope", Reaction ~ Days + (Days | Subject), "sleepstudy", quote(Gamma("log")), drop = FALSE)
fit("contraception", use ~ age + I(age^2) + urban + livch + (1 | district), "Contraception", quote(binomial), nAGQ = 9)
fit("interaction", use ~ age * livch + urban + (1 | district), "Contraception", quote(binomial))

nb <- glmer.nb(TICKS ~ YEAR + (1 | BROOD), data = grouseticks, control = tight)
nb0 <- glmer.nb(TICKS ~ (1 | BROOD), data = grouseticks, control = tight)
lme4$negbinomial <- c(list(formula = "TICKS ~ YEAR + (1 | BROOD)", data = "grouseticks", family = "negbinomial", link = "log",
  nAGQ = 1, nb_theta = getME(nb, "glmer.nb.theta")), tables_of(nb))

# likelihood ratio tests
poisson_ticks <- glmer(TICKS ~ YEAR + (1 | BROOD), data = grouseticks, family = poisson, control = tight)
cows0 <- update(cows, . ~ . - period)
ticks1 <- glmer(TICKS ~ YEAR + cHEIGHT + (1 | BROOD), data = grouseticks, family = poisson, control = tight)
named <- function(m, m0) { a <- anova(m, m0, model.names = c("m", "m0")); list(table = columns(a), text = text(a)) }
lrt <- list(cbpp = named(cows, cows0), negbinomial = named(nb, nb0), groups = named(ticks, ticks1),
  families = named(nb, poisson_ticks))
flat <- glm(cbind(incidence, size - incidence) ~ period, data = cbpp, family = binomial)
flat_ticks <- glm(TICKS ~ YEAR, data = grouseticks, family = poisson)
flat_nb <- MASS::glm.nb(TICKS ~ YEAR, data = grouseticks, control = glm.control(epsilon = 1e-12, maxit = 100))
flat_gamma <- glm(Reaction ~ Days, data = sleepstudy, family = Gamma("log"), epsilon = 1e-12)
lrt$without_groups <- list(cbpp = c(logLik(flat)), ticks = c(logLik(flat_ticks)), negbinomial = c(logLik(flat_nb)),
  gamma = c(logLik(flat_gamma)))
# Wald tests of type II by car's definition, from the coefficients' covariance: a term is tested after all that do not
# contain it
m <- glmer(use ~ age * livch + urban + (1 | district), data = Contraception, family = binomial, control = tight)
V <- as.matrix(vcov(m)); b <- fixef(m); at <- attr(model.matrix(m), "assign")
wald <- function(i) if (length(i)) drop(b[i] %*% solve(V[i, i], b[i])) else 0
type2 <- list(age = wald(which(at %in% c(1, 4))) - wald(which(at == 4)), livch = wald(which(at %in% c(2, 4))) - wald(which(at == 4)),
  urban = wald(which(at == 3)), `age:livch` = wald(which(at == 4)))
# type III with sum-to-zero contrasts: all coefficients of a term
s <- glmer(use ~ age * livch + urban + (1 | district), data = Contraception, family = binomial, control = tight,
  contrasts = list(livch = "contr.sum", urban = "contr.sum"))
V <- as.matrix(vcov(s)); b <- fixef(s)
type3 <- lapply(list(age = 1, livch = 2, urban = 3, `age:livch` = 4), function(k) wald(which(at == k)))

# glmmTMB
parts_of <- function(m) {
  s <- summary(m)
  list(summary = text(s), print = text(m), logLik = c(logLik(m)), AIC = AIC(m), npar = attr(logLik(m), "df"),
    coefficients = lapply(Filter(Negate(is.null), s$coefficients), columns), sigma = sigma(m), VarCorr_text = text(VarCorr(m)),
    vcov = lapply(vcov(m), matrix_of), ranef = columns(as.data.frame(ranef(m, condVar = TRUE))))
}
zip <- glmmTMB(count ~ zAge + zBase * Trt + (1 | patient), ziformula = ~1, family = poisson, data = epilepsy)
disp <- glmmTMB(count ~ zAge + zBase * Trt + (1 | patient), dispformula = ~Trt, family = nbinom2, data = epilepsy)
data(Salamanders, package = "glmmTMB")
Salamanders$mined <- factor(Salamanders$mined, levels = c("no", "yes"))
Salamanders$spp <- factor(Salamanders$spp, levels = sort(levels(Salamanders$spp)))
zinb <- glmmTMB(count ~ spp * mined + (1 | site), ziformula = ~ mined + (1 | site), family = nbinom2, data = Salamanders)
zinb0 <- glmmTMB(count ~ spp * mined + (1 | site), ziformula = ~ mined, family = nbinom2, data = Salamanders)
tmb <- list(zip = c(parts_of(zip), list(drop1 = columns(drop1(zip, test = "Chisq")))), disp = parts_of(disp),
  zinb = c(parts_of(zinb), list(anova = columns(anova(zinb, zinb0)))))
write_json(list(lme4 = lme4, lrt = lrt, type2 = type2, type3 = type3, glmmTMB = tmb), "tests/reference/generalised_tables.json",
  auto_unbox = TRUE, digits = 10, na = "null", null = "null")

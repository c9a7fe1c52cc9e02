# Likelihood-ratio tests, ranova, drop1, step, PBmodcomp and profile intervals on data of the package.
# Run in this folder: Rscript make_lmer_selection.R   (lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2, R 4.2.2)
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
options(width = 80)
tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-9, ftol_abs = 1e-9, maxeval = 5000),
                     calc.derivs = FALSE)
fit <- function(formula, data, ...) eval(substitute(lmerTest::lmer(formula, data, control = tight, ...)), globalenv())
plain <- function(formula, data, ...) eval(substitute(lme4::lmer(formula, data, control = tight, ...)), globalenv())
table <- function(x) c(list(rownames = rownames(x)), lapply(as.list(as.data.frame(x)), as.numeric))
text <- function(x) paste(capture.output(print(x)), collapse = "\n")
both <- function(x) list(table = table(x), text = text(x))
set.seed(4)
sleep <- transform(sleepstudy, t = (Days - 4.5) / 4.5, w = rep(c(1, 2, 0.5, 1.5, 3), 36), noise = round(rnorm(180), 4))
slope <- fit(Reaction ~ Days + (Days | Subject), sleep)
quadratic <- fit(Reaction ~ t + I(t^2) + (t + I(t^2) | Subject), sleep)
apart <- fit(Reaction ~ Days + (Days || Subject), sleep)
cake2 <- fit(angle ~ recipe * temp + (1 | recipe:replicate) + (1 | replicate), cake)
noise <- fit(noise ~ Days + (1 | Subject), sleep)
m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleep, control = tight)
m0 <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleep, control = tight)
m00 <- lm(Reaction ~ Days, sleep)
stepped <- function(f) { s <- step(f); list(random = table(s$random), fixed = table(s$fixed), text = text(s)) }
suppressMessages(lrt <- anova(m, m0, m00))
suppressMessages(lrt_reml <- anova(m, m0, refit = FALSE))
set.seed(1)
pb <- PBmodcomp(lme4::lmer(Reaction ~ Days + I(Days^2) + (1 | Subject), sleep, REML = FALSE),
                lme4::lmer(Reaction ~ Days + (1 | Subject), sleep, REML = FALSE), nsim = 60)
summary_pb <- summary(pb)
interval <- function(f, delta) {
  p <- suppressWarnings(profile(f, delta = delta))
  ci <- suppressWarnings(confint(p))
  list(rownames = rownames(ci), lower = unname(ci[, 1]), upper = unname(ci[, 2]))
}
profiles <- list(
  list(formula = "Yield ~ 1 + (1 | Batch)", data = "Dyestuff2", ci = interval(plain(Yield ~ 1 + (1 | Batch), Dyestuff2, REML = FALSE), 0.05)),
  list(formula = "strength ~ 1 + (1 | sample) + (1 | batch)", data = "Pastes",
       ci = interval(plain(strength ~ 1 + (1 | sample) + (1 | batch), Pastes, REML = FALSE), 0.1)),
  list(formula = "Reaction ~ Days + (Days | Subject)", data = "sleepstudy", weights = sleep$w,
       ci = interval(lme4::lmer(Reaction ~ Days + (Days | Subject), sleep, weights = w, REML = FALSE, control = tight), 0.2)),
  list(formula = "angle ~ recipe + temp + (1 | recipe:replicate)", data = "cake",
       ci = interval(plain(angle ~ recipe + temp + (1 | recipe:replicate), cake, REML = FALSE), 0.2)))
write_json(list(
  noise = sleep$noise,
  anova = both(lrt), anova_REML = both(lrt_reml),
  ranova = list(quadratic = both(ranova(quadratic)), slope_whole = both(ranova(slope, reduce.terms = FALSE)),
                apart = both(ranova(apart)), noise = both(ranova(noise))),
  drop1 = list(cake_F = both(drop1(cake2)), quadratic_F = both(drop1(quadratic)),
               quadratic_KR = both(drop1(fit(Reaction ~ Days + I(Days^2) + (Days | Subject), sleep), ddf = "Kenward-Roger")),
               cake_Chisq = both(drop1(plain(angle ~ recipe + temp + (1 | recipe:replicate), cake), test = "Chisq"))),
  step = list(slope = stepped(slope), cake = stepped(cake2), noise = stepped(noise)),
  PBmodcomp = list(ref = as.numeric(pb$ref), test = table(pb$test), summary = table(summary_pb$test)),
  profiles = profiles), "lmer_selection.json", digits = 12, auto_unbox = TRUE, na = "null", pretty = FALSE)

# Tests of fixed effects by lmerTest and pbkrtest, for tests/frequentist/test_anova.py and its neighbours.
# Run from tests/reference: Rscript make_fixed_tests.R
suppressMessages({library(lmerTest); library(pbkrtest); library(jsonlite)})

set.seed(20)
d <- expand.grid(a = factor(1:3), b = factor(1:3), c = factor(1:2), g = factor(1:9))
d$h <- factor(sample(1:5, nrow(d), replace = TRUE))
d$x <- round(rnorm(nrow(d)), 3)
d$w <- round(runif(nrow(d), 0.5, 3), 2)
d <- d[-sample(nrow(d), 62), ]
d$y <- round(rnorm(nrow(d)) + rnorm(9)[d$g] + 0.7 * rnorm(5)[d$h] + 0.5 * d$x * rnorm(9)[d$g] + as.numeric(d$a), 3)
d$o <- factor(as.character(d$b), levels = c("3", "1", "2"), ordered = TRUE)
d$positive <- d$x > 0

table <- function(t) c(list(rownames = rownames(t)), as.list(t))
tests <- function(formula, data = d, ..., kr = TRUE, means = TRUE) {
  control <- lmerControl(optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10))
  m <- suppressMessages(do.call(lmer, list(formula, data, ..., control = control)))
  out <- list(formula = paste(deparse(formula), collapse = ""), n = nrow(model.frame(m)))
  for (type in 1:3) out[[paste0("anova_type", type, "_satterthwaite")]] <- table(anova(m, type = type))
  if (kr) for (type in 1:3) out[[paste0("anova_type", type, "_kenward_roger")]] <- table(anova(m, type = type, ddf = "Kenward-Roger"))
  out$anova_lme4 <- table(as.data.frame(anova(m, ddf = "lme4")))
  if (!means) return(out)  # lmerTest fails with logical variables
  means <- ls_means(m)
  if (nrow(means)) out$ls_means <- table(structure(means, class = "data.frame"))
  if (nrow(means)) out$difflsmeans <- table(structure(difflsmeans(m), class = "data.frame"))
  out
}

holes <- d[!(d$a == "2" & d$b == "3"), ]
models <- list(
  missing_cell = tests(y ~ a * b + x + a:x + (1 | g), holes),
  other_contrasts = tests(y ~ a * b + (1 | g), contrasts = list(a = "contr.sum", b = "contr.helmert")),
  no_intercept = tests(y ~ 0 + a * b + (1 | g)),
  three_factors = tests(y ~ a * b * c + (1 | g)),
  slope_without_main = tests(y ~ x + a:x + (1 | g)),
  logical = tests(y ~ positive * x + (x | g), means = FALSE),
  nested_factor = tests(y ~ a / b + (1 | g)),
  ordered = tests(y ~ o * x + (x || g)),
  numbers_only = tests(y ~ x * w + a + (1 | g)),
  crossed = tests(y ~ a + x + (1 | g) + (1 | h)),
  crossed_slopes = tests(y ~ a * x + (x | g) + (1 | h)),
  nested_groups = tests(y ~ a + x + (1 | g / h)),
  weights = tests(y ~ a * x + (1 | g), weights = d$w, kr = FALSE),
  maximum_likelihood = tests(y ~ a * x + (1 | g), REML = FALSE, kr = FALSE)
)

m <- lmer(y ~ a * x + (x | g) + (1 | h), d, control = lmerControl(optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10)))
m0 <- lmer(y ~ x + (x | g) + (1 | h), d)
L <- rbind(c(0, 1, -1, 0, 0, 0), c(0, 0, 0, 0, 1, 0.5))
contrasts <- list(
  formula = "y ~ a * x + (x | g) + (1 | h)", small = "y ~ x + (x | g) + (1 | h)",
  L = L, rhs = c(-1, 0.1),
  joint = table(contest(m, L, rhs = c(-1, 0.1))), joint_kr = table(contest(m, L, rhs = c(-1, 0.1), ddf = "Kenward-Roger")),
  each = table(contest(m, L, joint = FALSE)), each_kr = table(contest(m, L, joint = FALSE, ddf = "Kenward-Roger", level = 0.9)),
  KRmodcomp = table(KRmodcomp(m, m0)$test), SATmodcomp = table(SATmodcomp(m, m0)$test),
  KRmodcomp_L = table(KRmodcomp(m, L)$test)
)
d[] <- lapply(d, function(column) if (is.factor(column)) as.character(column) else column)
write_json(list(data = as.list(d), models = models, contrasts = contrasts), "fixed_tests.json", auto_unbox = TRUE, digits = 12, na = "null")

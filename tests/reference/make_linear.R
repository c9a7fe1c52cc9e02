# Reference values for lm() and lmList(): linear_models.json. Run from the repository root:
#   Rscript tests/reference/make_linear.R
suppressMessages({library(lme4); library(jsonlite)})
options(digits = 7, width = 80)
read <- function(name) read.csv(file.path("bayesmlm/datasets", paste0(name, ".csv")), stringsAsFactors = TRUE)
sleep <- read("sleepstudy"); sleep$Subject <- factor(sleep$Subject); sleep$w <- seq_len(nrow(sleep)) %% 4
holes <- sleep; holes$Reaction[seq(3, 180, 7)] <- NA
cake <- read("cake"); cake$temperature <- ordered(cake$temperature); cake$replicate <- factor(cake$replicate)
machines <- read("Machines"); machines$Worker <- factor(machines$Worker)
orthodont <- read("Orthodont"); orthodont$Sex <- factor(orthodont$Sex, levels = c("Male", "Female"))
hsbsub <- read("hsbsub")

head_of <- function(x) unname(head(x, 6))
table_of <- function(x) c(list(rownames = rownames(x)), as.list(as.data.frame(x)))
linear <- function(m, new) {
  s <- summary(m)
  text <- capture.output(print(s))
  list(formula = deparse1(formula(m)), coef = as.list(coef(m)), coefficients = table_of(s$coefficients),
       vcov = unname(vcov(m)), confint = unname(confint(m, level = 0.9)), sigma = s$sigma, r2 = s$r.squared,
       adj_r2 = s$adj.r.squared, F = unname(s$fstatistic), logLik = as.numeric(logLik(m)), AIC = AIC(m), BIC = BIC(m),
       anova = table_of(anova(m)), anova_text = capture.output(print(anova(m))),
       fitted = head_of(fitted(m)), residuals = head_of(residuals(m)), hat = head_of(hatvalues(m)),
       cooks = head_of(cooks.distance(m)), rstandard = head_of(rstandard(m)), rstudent = head_of(rstudent(m)),
       predict = suppressWarnings(unname(predict(m, new, interval = "prediction", level = 0.8))),
       se = suppressWarnings(unname(predict(m, new, se.fit = TRUE)$se.fit)), text = text[-(1:4)])
}
groups <- function(m, new) {
  s <- suppressWarnings(summary(m, pool = FALSE))$coefficients
  p <- suppressWarnings(summary(m, pool = TRUE))$coefficients
  list(coef = table_of(coef(m)), fixef = as.list(fixef(m)), sigma = sigma(m),
       own = lapply(dimnames(s)[[3]], function(k) unname(s[, , k])),
       pooled = lapply(dimnames(p)[[3]], function(k) unname(p[, , k])),
       # lme4's confint() fails when the first group lacks a coefficient
       confint = tryCatch(lapply(dimnames(s)[[3]], function(k) unname(suppressWarnings(confint(m))[, , k])),
                          error = function(e) NA),
       logLik = tryCatch(as.numeric(logLik(m)), error = function(e) NA),
       logLik_own = tryCatch(as.numeric(logLik(m, pool = FALSE)), error = function(e) NA),
       predict = suppressWarnings(unname(predict(m, new))))
}
few <- sleep[-c(2:10, 13:20), ]
gaps <- subset(cake, !(replicate == "1" & recipe == "A") & !(replicate == "2" & recipe != "B"))

out <- list(
  lm = list(
    interaction = linear(lm(mathach ~ meanses + sector * ses_cmc, hsbsub), hsbsub[1:4, ]),
    ordered = linear(lm(angle ~ recipe * temperature, cake), cake[1:4, ]),
    weights = linear(lm(distance ~ age * Sex, orthodont, weights = age), orthodont[1:4, ]),
    missing = linear(lm(Reaction ~ scale(Days) + I(Days^2), holes), holes[1:4, ]),
    aliased = linear(lm(Reaction ~ Days + I(2 * Days) + I(Days^2), sleep), sleep[1:4, ]),
    contrasts = linear(lm(score ~ 0 + Machine + Worker, machines, contrasts = list(Worker = "contr.sum")),
                       machines[1:4, ]),
    zero_weights = linear(lm(Reaction ~ poly(Days, 2), sleep, weights = w, subset = Days >= 2), sleep[3:6, ]),
    offset = linear(lm(Reaction ~ Days + offset(20 * Days), sleep), sleep[1:4, ]),
    constant = linear(lm(Reaction ~ 1, sleep), sleep[1:4, ]),
    few_rows = linear(lm(Reaction ~ Days, sleep[1:4, ]), sleep[1:4, ])
  ),
  compare = lapply(
    list(c("Reaction ~ Days", "Reaction ~ Days + I(Days^2)", "Reaction ~ Subject + Days"),
         c("Reaction ~ Days * Subject", "Reaction ~ 1")),
    function(f) {
      a <- do.call(anova, lapply(f, function(x) lm(as.formula(x), sleep)))
      list(formulas = f, table = table_of(a), text = capture.output(print(a)))
    }),
  lmList = list(
    sleepstudy = groups(lmList(Reaction ~ Days | Subject, sleep), sleep[1:4, ]),
    weights = groups(lmList(distance ~ age | Subject, orthodont, weights = age), orthodont[1:4, ]),
    few = groups(suppressWarnings(lmList(Reaction ~ Days | Subject, few)), few[3:6, ]),
    own_scale = groups(lmList(Reaction ~ scale(Days) | Subject, subset(sleep, w != 0)), sleep[1:4, ]),
    gaps = groups(suppressWarnings(lmList(angle ~ recipe + temp | replicate, gaps)), gaps[1:4, ])
  )
)
out$lmList$sleepstudy$text <- capture.output(print(summary(lmList(Reaction ~ Days | Subject, sleep))))
write_json(out, "tests/reference/linear_models.json", digits = NA, auto_unbox = TRUE, na = "null")

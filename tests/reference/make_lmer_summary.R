# Printed summaries, effects and influence measures of lmer(): lmer_summaries.json, lmer_influence.json.
# Run from the repository root: Rscript tests/reference/make_lmer_summary.R
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
options(digits = 7, width = 80)
schema <- fromJSON("bayesmlm/datasets/schema.json", simplifyVector = TRUE)
read <- function(name) {
  d <- read.csv(file.path("bayesmlm/datasets", paste0(name, ".csv")), stringsAsFactors = TRUE)
  for (v in names(d)) { l <- schema[[name]]$columns[[v]]$levels; if (!is.null(l)) d[[v]] <- factor(d[[v]], levels = l) }
  d
}
sleep <- read("sleepstudy"); sleep$w <- 1 + (seq_len(nrow(sleep)) %% 4)
pastes <- read("Pastes"); penicillin <- read("Penicillin"); dyestuff2 <- read("Dyestuff2"); hsbsub <- read("hsbsub")
cake <- read("cake"); cake$temperature <- ordered(cake$temperature);
cake$hot <- as.numeric(cake$temp > 190)
machines <- read("Machines")
orthodont <- read("Orthodont")
oats <- read("Oats")
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9))
models <- list(
  slope = list(Reaction ~ Days + (Days | Subject), "sleep", TRUE),
  slope_ML = list(Reaction ~ Days + (Days | Subject), "sleep", FALSE),
  double_bar = list(Reaction ~ Days + (Days || Subject), "sleep", TRUE),
  weighted = list(Reaction ~ Days + (Days | Subject), "sleep", TRUE, "w"),
  nested = list(strength ~ 1 + (1 | batch/cask), "pastes", TRUE),
  crossed_ML = list(diameter ~ 1 + (1 | plate) + (1 | sample), "penicillin", FALSE),
  singular = list(Yield ~ 1 + (1 | Batch), "dyestuff2", TRUE),
  crlv_int = list(mathach ~ meanses + sector * ses_cmc + (ses_cmc | id), "hsbsub", TRUE),
  rank_deficient = list(angle ~ temp + hot + I(2 * temp) + recipe + (1 | replicate), "cake", TRUE),
  no_intercept = list(score ~ 0 + Machine + (0 + Machine | Worker), "machines", TRUE),
  many = list(angle ~ recipe * temperature + (1 | recipe:replicate), "cake", TRUE),
  two_terms = list(distance ~ age * Sex + (1 | Subject) + (0 + age | Subject), "orthodont", TRUE),
  split_plot = list(yield ~ nitro + Variety + (1 | Block/Variety), "oats", TRUE),
  effect_outside = list(score ~ 1 + (0 + Machine | Worker), "machines", TRUE),
  no_fixed = list(Reaction ~ 0 + (1 | Subject), "sleep", TRUE)
)
text <- function(x) capture.output(print(x))
columns <- function(x) c(list(rownames = rownames(x)), lapply(as.list(as.data.frame(x)), function(v) if (is.factor(v)) as.character(v) else v))
summaries <- list(); influences <- list()
for (name in names(models)) {
  spec <- models[[name]]; d <- get(spec[[2]])
  m <- if (length(spec) > 3) lmerTest::lmer(spec[[1]], d, REML = spec[[3]], control = tight, weights = w) else
    lmerTest::lmer(spec[[1]], d, REML = spec[[3]], control = tight)
  plain <- as(m, "lmerMod")
  re <- ranef(m, condVar = TRUE)
  out <- list(formula = deparse1(spec[[1]]), data = spec[[2]], REML = spec[[3]],
    weights = if (length(spec) > 3) spec[[4]] else NULL,
    summary = text(summary(m)), summary_lme4 = text(summary(plain)), print = text(m),
    VarCorr = columns(as.data.frame(VarCorr(m))), VarCorr_text = text(VarCorr(m)),
    ranef = columns(as.data.frame(re)), coef = lapply(coef(m), columns), rePCA = lapply(rePCA(m), function(p) p$sdev))
  if (spec[[3]] && name %in% c("slope", "crlv_int", "split_plot", "many", "nested"))
    out$summary_kr <- tryCatch(text(summary(m, ddf = "Kenward-Roger")), error = function(e) NULL)
  summaries[[name]] <- out
  h <- tryCatch(list(hatvalues = unname(hatvalues(m)), cooks = unname(cooks.distance(m)),
                 rstudent = unname(rstudent(m))), error = function(e) list(error = conditionMessage(e)))
  if (name %in% c("slope", "slope_ML", "nested", "crossed_ML", "split_plot", "two_terms", "weighted")) {
    for (g in intersect(names(ngrps(m)), names(d))) {
      i <- influence(m, g)
      h[[paste0("by_", g)]] <- list(fixef = unname(i[[2]]), var_cov = unname(i[[4]]), vc_names = colnames(i[[4]]),
        dfbeta = unname(dfbeta(i)), dfbetas = tryCatch(unname(dfbetas(i)), error = function(e) NULL), cooks = tryCatch(unname(cooks.distance(i)), error = function(e) NULL), deleted = as.character(i$deleted))
    }
  }
  if (name %in% c("split_plot", "nested")) {
    i <- influence(m)
    h$by_case <- list(fixef = unname(i[[2]]), dfbetas = tryCatch(unname(dfbetas(i)), error = function(e) NULL), cooks = tryCatch(unname(cooks.distance(i)), error = function(e) NULL))
  }
  influences[[name]] <- h
  cat(name, "")
}
words <- c("(Intercept)", "ses_cmc", "sector:ses_cmc", "MachineB", "recipeB:temperature.L", "temperature.Q", "I(age - 11)", "VarietyMarvellous",
  "VarietyGoldenRain", "nitro", "poly(x, 2)1", "treatmentPlacebo", "aeiou", "BBBBBBBBBBBB", "temperature^4", "recipeC:temperature^4")
summaries$abbreviate <- list(words = words, six = unname(abbreviate(words, 6)), eleven = unname(abbreviate(words, 11)))
write_json(summaries, "tests/reference/lmer_summaries.json", auto_unbox = TRUE, digits = 10, na = "null", null = "null")
write_json(influences, "tests/reference/lmer_influence.json", auto_unbox = TRUE, digits = 10, na = "null", null = "null")

# Writes brms_conditional_grids.json: where brms evaluates conditional effects, for models that need not be fitted.
# Rscript make_conditional_grids.R <folder with the CSVs of bayesmlm/datasets> <output file>     (brms 2.18.0)
suppressMessages({library(brms); library(jsonlite)})
arguments <- commandArgs(trailingOnly = TRUE)
read <- function(name, factors) {
  data <- read.csv(file.path(arguments[1], paste0(name, ".csv")))
  for (f in factors) data[[f]] <- factor(data[[f]])
  data
}
cases <- list()
text <- function(v) if (is.factor(v)) I(as.character(v)) else I(as.vector(v))
run <- function(formula, family, dataset, data, name, effects = NULL, conditions = NULL, int_conditions = NULL,
                re_formula = NA, surface = FALSE, resolution = 5, select_points = 0) {
  fit <- suppressMessages(brm(formula, data = data, family = family, empty = TRUE))
  bterms <- brms:::brmsterms(brms:::update_re_terms(fit$formula, re_formula = re_formula))
  chosen <- if (is.null(effects)) brms:::get_all_effects(bterms) else strsplit(effects, ":")
  mf <- model.frame(fit)
  cond <- suppressMessages(brms:::prepare_conditions(fit, conditions = conditions, effects = chosen,
                                                     re_formula = re_formula))
  ints <- lapply(int_conditions, function(x) if (is.numeric(x)) sort(x, TRUE) else x)
  out <- lapply(chosen, function(e) {
    grid <- brms:::prepare_cond_data(mf[, e, drop = FALSE], conditions = cond, int_conditions = ints,
      int_vars = brms:::get_int_vars(bterms), group_vars = brms:::get_group_vars(bterms), surface = surface,
      resolution = resolution, reorder = is.null(effects))
    points <- brms:::make_point_frame(bterms, mf, attr(grid, "effects"), conditions = cond,
                                      select_points = select_points)
    list(effects = I(unname(attr(grid, "effects"))), types = I(unname(attr(grid, "types"))),
         grid = lapply(as.list(grid), text),
         points = I(vapply(levels(grid$cond__), function(k) sum(points$cond__ == k), 1)))
  })
  call <- list(effects = effects, conditions = conditions, int_conditions = lapply(int_conditions, I),
               re_formula = if (is.null(re_formula)) "NULL" else "NA", surface = surface,
               resolution = resolution, select_points = select_points)
  cases[[length(cases) + 1]] <<- list(id = paste0(dataset, "/", name), dataset = dataset,
    formula = deparse1(formula), family = family, call = call, effects = out)
}
cbpp <- read("cbpp", c("period", "herd"))
epilepsy <- read("epilepsy", c("Trt", "patient", "visit", "obs"))
sleep <- read("sleepstudy", "Subject")
cows <- incidence | trials(size) ~ period + (1 | herd)
run(cows, "binomial", "cbpp", cbpp, "default")
run(cows, "binomial", "cbpp", cbpp, "trials given", conditions = data.frame(size = 10))
run(cows, "binomial", "cbpp", cbpp, "a group as effect", effects = "herd", re_formula = NULL)
run(cows, "binomial", "cbpp", cbpp, "groups as conditions", effects = "period", re_formula = NULL,
    conditions = data.frame(herd = factor(c(1, 3))))
seizures <- count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)
run(seizures, "poisson", "epilepsy", epilepsy, "default")
run(seizures, "poisson", "epilepsy", epilepsy, "conditions", effects = "zBase:Trt",
    conditions = data.frame(zAge = c(-1, 0, 1)))
run(seizures, "poisson", "epilepsy", epilepsy, "any pair, factor first", effects = c("Trt:zBase", "zAge:zBase"))
run(seizures, "poisson", "epilepsy", epilepsy, "int_conditions", effects = "zBase:zAge",
    int_conditions = list(zAge = c(-1, 1)))
run(seizures, "poisson", "epilepsy", epilepsy, "surface", effects = "zBase:zAge", surface = TRUE)
run(Reaction ~ poly(Days, 2) + log(Days + 1) + (1 | Subject), "gaussian", "sleepstudy", sleep, "transformed")
run(count | weights(Age) ~ Trt * Base * zAge + offset(log(Age)) + (1 | patient), "poisson", "epilepsy", epilepsy,
    "three-way")
run(log(count + 1) ~ zBase + I(zAge * zBase) + (1 | patient), "gaussian", "epilepsy", epilepsy, "response transformed")
write(toJSON(list(versions = list(brms = as.character(packageVersion("brms"))), cases = cases), auto_unbox = TRUE,
             digits = 17, na = "null", null = "null"), arguments[2])

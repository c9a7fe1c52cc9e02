# Writes model_matrix.json: R's model matrices, and brms's levels of grouping factors, for tests/terms and tests/data.
# Run in this folder: Rscript make_model_matrix.R   (made with R 4.2.2, jsonlite, brms 2.18.0)
library(jsonlite)
invisible(Sys.setlocale("LC_COLLATE", "C"))  # text sorts by code point, as in bayesmlm
library(splines)
suppressMessages(library(brms))

train <- data.frame(
  x = c(1.2, -0.4, 3.1, 0.7, 2.2, -1.9, 0.05, 4.4, 1.1, -2.3, 0.9, 2.8, -0.6, 1.7),
  z = c(0.5, 2, 1, 7, 3, 4, 2.5, 6, 5, 1.5, 8, 0.25, 3.5, 9),
  n = c(3L, 1L, 2L, 4L, 2L, 1L, 3L, 4L, 1L, 2L, 3L, 4L, 2L, 1L),
  f = factor(c("lo", "hi", "mid", "lo", "hi", "mid", "lo", "lo", "hi", "mid", "mid", "hi", "lo", "hi"),
             levels = c("mid", "lo", "hi")),
  g = factor(c("b", "a", "b", "b", "a", "a", "b", "a", "b", "a", "b", "a", "a", "b")),
  o = factor(c("I", "II", "III", "IV", "V", "I", "II", "III", "IV", "V", "I", "III", "V", "II"),
             levels = c("I", "II", "III", "IV", "V"), ordered = TRUE),
  l = c(TRUE, FALSE, FALSE, TRUE, TRUE, FALSE, TRUE, FALSE, TRUE, TRUE, FALSE, FALSE, TRUE, FALSE),
  t = c("v", "u", "w", "u", "v", "w", "w", "u", "v", "u", "w", "v", "u", "w"),
  stringsAsFactors = FALSE
)
new <- train[c(3, 5, 9, 2), ]
new$x <- c(0.1, 2.5, -1.3, 3.9)
new$z <- c(1, 2.25, 6.5, 8.5)
new$f <- factor(as.character(new$f))   # other levels, other order
new$t <- c("w", "w", "u", "u")

formulas <- c(
  "~ x", "~ 1", "~ 0 + x", "~ f", "~ 0 + f", "~ g + f", "~ 0 + g + f", "~ f * x", "~ g * f", "~ g:f", "~ f:x",
  "~ g + g:f", "~ f:g + f:x", "~ 0 + x + x:f", "~ 0 + g:f", "~ x:z + x:f", "~ g * f * x", "~ g:f:l", "~ l", "~ 0 + l",
  "~ l * x", "~ t", "~ 0 + t:g", "~ o", "~ 0 + o", "~ o * x", "~ o:g", "~ (f + g + l)^2", "~ g / f", "~ f %in% g",
  "~ x + I(x^2)", "~ log(z)", "~ log(z, 2) + log2(z) + log10(z) + log1p(z)", "~ exp(x) + sqrt(z) + abs(x)",
  "~ round(x, 1) + floor(x) + ceiling(x) + sign(x) + trunc(x)", "~ sin(x) + cos(x) + tan(x) + expm1(x)",
  "~ I(x %% 2) + I(z %/% 2) + I(-x) + I(x / z)", "~ scale(x)", "~ scale(x, scale = FALSE)", "~ scale(x, center = FALSE)",
  "~ poly(x, 2)", "~ poly(x, 1)", "~ poly(z, degree = 4)", "~ poly(x, 3, raw = TRUE)", "~ poly(x, 2) * f",
  "~ f:poly(z, 2)", "~ bs(x)", "~ bs(x, df = 5)", "~ bs(x, knots = c(0, 1))", "~ bs(z, df = 5, degree = 2, intercept = TRUE)",
  "~ bs(x, df = 4, Boundary.knots = c(-5, 6))", "~ I(x > 0)", "~ 0 + I(x > 0)", "~ I(f == \"lo\")", "~ I(f != \"lo\" & l)",
  "~ I(x > 0 | !l)", "~ I(o >= \"III\")", "~ I(t %in% c(\"u\", \"w\"))", "~ factor(n)", "~ factor(n, levels = c(4, 1, 2, 3))",
  "~ factor(n, labels = c(\"one\", \"two\", \"three\", \"four\"))", "~ as.factor(n) * g", "~ ordered(n)",
  "~ ordered(n, levels = 4:1)", "~ relevel(f, ref = \"lo\")", "~ relevel(f, 3)", "~ as.numeric(f)", "~ as.integer(x)",
  "~ as.numeric(l)", "~ as.character(f)", "~ as.logical(n - 1)", "~ C(f, sum)", "~ C(f, contr.sum)", "~ C(f, contr.helmert)",
  "~ C(f, contr.poly)", "~ C(f, contr.SAS)", "~ C(f, contr.treatment, base = 2)", "~ C(f, treatment)", "~ C(f, \"contr.treatment\")",
  "~ C(f, contr.treatment(3, base = 2))", "~ C(o, contr.treatment)",
  "~ C(f, contr.sum) * g", "~ cut(x, 3)", "~ cut(x, c(-3, 0, 1, 5))", "~ cut(x, c(-3, 0, 1, 5), right = FALSE)",
  "~ cut(z, c(0.25, 3, 9), include.lowest = TRUE)", "~ cut(z, c(0, 3, 9), labels = c(\"low\", \"high\"))",
  "~ cut(x, c(-Inf, 0, Inf))", "~ cut(z, seq(0, 10, by = 2.5))", "~ cut(z, c(0, 3, 9), ordered_result = TRUE)",
  "~ ifelse(x > 0, 1, z)", "~ ifelse(f == \"lo\", \"low\", \"other\")", "~ interaction(f, g)", "~ pmin(x, z) + pmax(x, 1)",
  "~ I(x - min(x, 0) + max(z))", "~ x:l + l:f"
)
contrasts <- list(
  list("~ f * g", list(f = "contr.sum")),
  list("~ f * g", list(f = "contr.helmert", g = "contr.sum")),
  list("~ o + x", list(o = "contr.treatment")),
  list("~ 0 + f + g", list(f = "contr.sum", g = "contr.SAS")),
  list("~ f", list(f = matrix(c(1, -0.5, -0.5, 0, 1, -1), 3, dimnames = list(NULL, c("vs", "lh"))))),
  list("~ f", list(f = matrix(c(1, -0.5, -0.5, 0, 1, -1), 3)))
)
# Of the formulas in no_new R would code the new rows by what it finds in them
# (their minimum, their levels), so there is nothing to compare with.
no_new <- c("~ C(f, contr.treatment(3, base = 2))", "~ I(x - min(x, 0) + max(z))", "~ cut(x, 3)", "~ as.numeric(f)", "~ relevel(f, ref = \"lo\")", "~ relevel(f, 3)",
            "~ factor(n, labels = c(\"one\", \"two\", \"three\", \"four\"))")

one <- function(text, contrasts.arg = NULL) {
  formula <- as.formula(text)
  frame <- model.frame(formula, train)
  X <- model.matrix(formula, frame, contrasts.arg = contrasts.arg)
  case <- list(formula = unbox(text), names = I(colnames(X)), assign = I(attr(X, "assign")), matrix = unname(as.matrix(X)))
  if (!is.null(contrasts.arg)) case$contrasts <- lapply(contrasts.arg, function(m)
    if (is.character(m)) unbox(m) else list(matrix = m, names = colnames(m)))
  if (!(text %in% no_new)) {
    terms <- attr(frame, "terms")
    wide <- suppressWarnings(model.frame(terms, new, xlev = .getXlevels(terms, frame)))
    case$new <- unname(as.matrix(suppressWarnings(
      model.matrix(terms, wide, contrasts.arg = attr(X, "contrasts")))))
    attributes(case$new) <- list(dim = dim(case$new))
  }
  attributes(case$matrix) <- list(dim = dim(X))
  case
}
cases <- c(lapply(formulas, one), lapply(contrasts, function(p) one(p[[1]], p[[2]])))

groups_data <- data.frame(
  y = 1:8, a = c(2, 1, 10, 2, 1, 10, 2, 1), b = c("x", "y", "B", "x", "y", "B", "b", "y"),
  r = c(2.5, 1, 1e-5, 2.5, 1, -3.25, 123456.789, 1/3),
  f = factor(c("lo", "hi", "lo", "mid", "hi", "lo", "mid", "mid"), levels = c("mid", "lo", "hi", "unused")),
  l = c(TRUE, FALSE, TRUE, FALSE, TRUE, FALSE, TRUE, FALSE))
group <- function(variables) {
  formula <- bf(as.formula(paste0("y ~ (1 | ", paste(variables, collapse = ":"), ")")))
  parsed <- brms:::brmsterms(formula)
  levels <- brms:::get_levels(brms:::tidy_ranef(parsed, data = brms:::validate_data(groups_data, parsed)))[[1]]
  list(variables = I(variables), levels = levels, rows = levels[make_standata(formula, groups_data)$J_1])
}
groups <- lapply(list("a", "b", "r", "f", "l", c("a", "b"), c("f", "a"), c("a", "f", "l")), group)

columns <- function(data) lapply(data, function(v)
  if (is.factor(v)) list(values = as.character(v), levels = levels(v), ordered = unbox(is.ordered(v))) else v)
write(toJSON(list(train = columns(train), new = columns(new), cases = cases,
                  groups_data = columns(groups_data), groups = groups), digits = NA, auto_unbox = FALSE),
      "model_matrix.json")

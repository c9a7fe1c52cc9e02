# Names, orders and levels of lme4's group terms, and models whose scale() and poly() see rows that are not used.
# Run in tests/reference: Rscript make_lmer_grammar.R
suppressMessages({library(lme4); library(jsonlite)})

i <- 0:239
d <- data.frame(a = paste0("a", (i * 7 + i %/% 11) %% 8), b = paste0("b", (i %/% 3) %% 4), c = paste0("c", i %% 3),
                e = paste0("e", (i * 5 + i %/% 13) %% 8), n = (i * 7 + i %/% 11) %% 8 + 3,
                f = c("u", "v", "w")[(i %/% 7) %% 3 + 1], x = 2 + 3 * sin(1.7 * i), z = cos(2.3 * i),
                m = ifelse(i %% 7 == 0, NA, sin(0.9 * i)), w = 1.2 + sin(3.1 * i) / 2, stringsAsFactors = TRUE)
a <- as.integer(d$a); b <- as.integer(d$b); e <- as.integer(d$e)
d$y <- 0.3 * d$x + sin(2 * a) + cos(3 * e) + 0.2 * d$x * cos(5 * a) + sin(a * b) + sin(97 * i^1.1)
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9), check.nobs.vs.nRE = "ignore",
                       calc.derivs = FALSE)
quietly <- function(expr) suppressMessages(suppressWarnings(expr))

terms <- c("(1|a/b)", "(1|a/b/c)", "(x|a/b)", "(f||a)", "(x+f||a)", "(0+f||a)", "(1|b)+(1|a)", "(1|e)+(1|a)", "(1|a)+(1|e)",
           "(1|a:e)", "(1|e:a)", "(1|a)+(0+x|a)", "(1|e)+(0+x|a)+(1|a)", "(x*z||a)", "(1|a)+(1|a:b)", "(1|n)", "(1|n:a)", "(I(x^2)|a)",
           "(scale(x)|a)", "(1|b/a)", "(1|a)+(1|b:c)+(1|b)",
           "(1|b)+(1|a)+(0+f|a)", "(1|c)+(z||a)", "(x||a/b)", "(1|c)+(1|e)+(1|a)", "(1|c)+(1|a)+(1|e)", "(1|a/n)+(1|e)")
grammar <- lapply(terms, function(term) {
  m <- quietly(lmer(as.formula(paste("y ~ x +", term)), d, control = control))
  v <- as.data.frame(VarCorr(m))
  list(term = term, criterion = REMLcrit(m), theta = names(getME(m, "theta")), groups = as.list(ngrps(m)),
       levels = lapply(getME(m, "flist"), function(f) I(head(levels(f), 4))),
       grp = v$grp, var1 = v$var1, var2 = v$var2, singular = isSingular(m))
})

subset_of <- function(m) list(criterion = REMLcrit(m), names = names(fixef(m)), beta = unname(fixef(m)), n = nobs(m))
models <- list(
  list("y ~ scale(x) + (1|a)", TRUE), list("y ~ poly(x, 2) + (1|a)", TRUE), list("y ~ scale(x) + m + (1|a)", FALSE),
  list("y ~ poly(x, 2) + m + (1|a)", FALSE), list("y ~ scale(m) + (1|a)", TRUE),
  list("y ~ x + m + (scale(x)|a)", TRUE), list("scale(y) ~ x + m + (1|a)", TRUE),
  list("y ~ x + offset(scale(x)) + (1|a)", TRUE), list("y ~ f + x + (f|a)", TRUE))
rows <- lapply(models, function(one) {
  f <- as.formula(one[[1]])
  m <- if (one[[2]]) quietly(lmer(f, d, subset = z > 0 & c != "c1", control = control)) else quietly(lmer(f, d, control = control))
  c(list(formula = one[[1]], subset = one[[2]]), subset_of(m))
})
m <- quietly(lmer(y ~ x + (1|a), d, weights = w, offset = z, subset = z > 0, control = control))
rows[[length(rows) + 1]] <- c(list(formula = "y ~ x + (1|a)", weights = "w", offset = "z"), subset_of(m))
write_json(list(versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4"))),
                grammar = grammar, rows = rows), "lmer_grammar.json", digits = NA, auto_unbox = TRUE)

# What lme4's glFormula and R's glm families make of responses, weights, offsets and groups, and what glmmTMB makes of
# several formulas. Run in tests/reference: Rscript make_generalised_design.R
suppressMessages({library(lme4); library(glmmTMB); library(jsonlite)})

i <- 0:119
d <- data.frame(g = paste0("g", (i * 7 + i %/% 11) %% 8), h = paste0("h", (i %/% 3) %% 4), e = paste0("e", (i * 5 + i %/% 13) %% 8),
                f = c("u", "v", "w")[(i %/% 7) %% 3 + 1], x = 2 + 3 * sin(1.7 * i), z = cos(2.3 * i),
                m = ifelse(i %% 7 == 0, NA, sin(0.9 * i)), w = 1.2 + sin(3.1 * i) / 2, size = 3 + (i * 11) %% 9, stringsAsFactors = TRUE)
d$succ <- (i * 13 + i %/% 5) %% (d$size + 1)
d$fail <- d$size - d$succ
d$prop <- d$succ / d$size
d$k <- (i * 17 + i %/% 3) %% 6
d$q <- d$k + 0.25 + d$w
d$two <- factor(ifelse(d$k > 2, "yes", "no"))
d$three <- factor(c("q", "a", "p")[i %% 3 + 1])
d$few <- ifelse(i %% 5 == 0, NA, d$size)
d$shortened <- round(d$prop, 2)

said <- character()
quietly <- function(expr) withCallingHandlers(expr,
  warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
  message = function(m) { said <<- c(said, trimws(conditionMessage(m))); invokeRestart("muffleMessage") })
arrays <- function(formula, family, weights = NULL, offset = NULL, subset = NULL) {
  said <<- character()
  arguments <- list(formula = as.formula(formula, env = environment()), data = d, family = eval(parse(text = family)))
  for (name in c("weights", "offset", "subset")) {
    text <- get(name)
    if (!is.null(text)) arguments[[name]] <- parse(text = text)[[1]]
  }
  gf <- quietly(do.call(glFormula, arguments))
  resp <- quietly(mkRespMod(gf$fr, family = gf$family))
  list(formula = formula, family = family, arguments = Filter(Negate(is.null), list(weights = weights, offset = offset, subset = subset)),
       rows = I(as.integer(rownames(gf$fr))), y = I(resp$y), weights = I(resp$weights), n = I(resp$n), offset = I(resp$offset),
       names = I(colnames(gf$X)), X = unname(gf$X), groups = I(names(gf$reTrms$cnms)), effects = lapply(unname(gf$reTrms$cnms), I),
       levels = lapply(unname(gf$reTrms$flist)[attr(gf$reTrms$flist, "assign")], function(l) I(levels(l))),
       Z = unname(as.matrix(t(gf$reTrms$Zt))[c(1, 2, 31), , drop = FALSE]), said = I(said))
}
models <- list(
  arrays("cbind(succ, fail) ~ x + (1 | g)", "binomial"),
  arrays("cbind(succ, size - succ) ~ f * x + (x | g)", "binomial", weights = "w"),
  arrays("succ / size ~ x + (1 | g)", "binomial", weights = "size"),
  arrays("prop ~ x + (1 | g)", "binomial", weights = "size", subset = "z > 0"),
  arrays("prop ~ x + m + (1 | g)", "binomial", weights = "few"),
  arrays("shortened ~ x + (1 | g)", "binomial", weights = "size"),
  arrays("two ~ x + f + (1 | g / h)", "binomial"),
  arrays("three ~ scale(m) + (1 | g)", "binomial"),
  arrays("three ~ x + (1 | g)", "binomial", subset = "three != 'a'"),
  arrays("k > 2 ~ x + (1 | g)", "binomial", weights = "w", offset = "z"),
  arrays("k ~ f + offset(log(size)) + (x || g) + (1 | h) + (1 | e)", "poisson", offset = "z"),
  arrays("k ~ x + I(2 * x) + m + poly(z, 2) + (1 | h:g)", "poisson", weights = "w"),
  arrays("q ~ 0 + f + (0 + f | h)", "Gamma('log')", weights = "w"))

several <- glmmTMB(k ~ x + m + (1 | g), ziformula = ~ f + offset(z) + (x | h), dispformula = ~ poly(x, 2), data = transform(d, f = replace(f, 2, NA)),
                   family = nbinom2, doFit = FALSE)
joint <- list(formula = "k ~ x + m + (1 | g)", zi = "f + offset(z) + (x | h)", disp = "poly(x, 2)",
              rows = I(as.integer(rownames(several$fr))), y = I(several$data.tmb$yobs), X = unname(as.matrix(several$data.tmb$X)),
              Xzi = unname(as.matrix(several$data.tmb$Xzi)), Xdisp = unname(as.matrix(several$data.tmb$Xd)), zi_names = I(colnames(several$data.tmb$Xzi)),
              disp_names = I(colnames(several$data.tmb$Xd)), zioffset = I(several$data.tmb$zioffset), Zzi = unname(as.matrix(several$data.tmb$Zzi))[1:4, ])

refused <- function(formula, family, weights = NULL) {
  fit <- function() do.call(glmer, list(as.formula(formula, env = environment()), d, eval(parse(text = family)),
                                        weights = if (is.null(weights)) NULL else parse(text = weights)[[1]]))
  list(formula = formula, family = family, message = tryCatch({suppressMessages(suppressWarnings(fit())); ""}, error = conditionMessage))
}
d$zero <- 0; d$ten <- 10; d$half <- 0.5; d$negative <- -d$k; d$one <- "A"; d$row <- paste0("r", i)
refusals <- list(refused("zero ~ x + (1 | g)", "poisson"), refused("ten ~ x + (1 | g)", "poisson"), refused("cbind(ten, ten) ~ x + (1 | g)", "binomial"),
                 refused("zero ~ x + (1 | g)", "binomial"), refused("negative ~ x + (1 | g)", "poisson"), refused("k ~ x + (1 | g)", "Gamma"),
                 refused("k ~ x + (1 | g)", "binomial"), refused("three ~ x + (1 | g)", "poisson"), refused("k ~ x", "poisson"),
                 refused("k ~ x + (1 | g)", "quasipoisson"), refused("k ~ x + (1 | one)", "poisson"), refused("k ~ x + (x | row)", "poisson"),
                 refused("k ~ x + (1 | row)", "poisson"), refused("q ~ x + (1 | row)", "Gamma('log')"))
versions <- list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")), glmmTMB = as.character(packageVersion("glmmTMB")))
write_json(list(versions = versions, models = models, joint = joint, refusals = refusals), "generalised_design.json", digits = NA, auto_unbox = TRUE)

# Probabilities of categories, default priors and design arrays of ordinal families in brms 2.18: ordinal_brms.json.
# No model is fitted. Run from the repository's root: Rscript tests/reference/make_ordinal_brms.R
suppressMessages(library(brms))
library(jsonlite)

internal <- function(name) get(name, asNamespace("brms"))
thresholds <- matrix(c(-0.7, 0.4, 1.1), 1, 3)
probabilities <- list()
for (family in c("cumulative", "sratio", "cratio", "acat")) {
  links <- c("logit", "probit", "cloglog", "cauchit", if (family %in% c("cumulative", "acat")) "softit")
  for (link in links) {
    values <- sapply(c(-1.3, 0.2, 2), function(eta)
      as.numeric(internal(paste0("d", family))(1:4, eta = eta, thres = thresholds, disc = 1.7, link = link)))
    probabilities[[paste(family, link)]] <- t(values)
  }
}

data <- inhaler
data$part <- rep(c("a", "b"), length.out = nrow(data))
data$count <- ifelse(data$part == "a", 3, 4)
cases <- list(
  list("rating ~ treat", "cumulative(threshold = 'equidistant')"),
  list("rating ~ treat + (1 | subject)", "acat(threshold = 'equidistant')"),
  list("rating ~ treat", "sratio(threshold = 'sum_to_zero')"),
  list("rating | thres(5) ~ treat", "cumulative('probit')"),
  list("rating | cat(5) ~ treat", "cumulative('probit')"),
  list("rating | thres(count, gr = part) ~ treat", "cumulative()"),
  list("rating | thres(gr = part) ~ treat", "cratio()"),
  list("rating | thres(count, gr = part) ~ treat", "cumulative(threshold = 'equidistant')")
)
models <- lapply(cases, function(case) {
  family <- eval(parse(text = case[[2]]))
  prior <- get_prior(as.formula(case[[1]]), data, family)
  prior <- lapply(as.list(as.data.frame(prior)), as.character)
  sdata <- make_standata(as.formula(case[[1]]), data, family)
  keep <- intersect(c("nthres", "ngrthres", "Jthres", "disc", "K", "X"), names(sdata))
  arrays <- lapply(sdata[keep], function(x) if (is.matrix(x)) unname(x[1:4, , drop = FALSE]) else as.numeric(x))
  list(formula = case[[1]], family = case[[2]], prior = prior, standata = arrays)
})
out <- list(probabilities = probabilities, models = models, versions = list(brms = as.character(packageVersion("brms"))))
write_json(out, "tests/reference/ordinal_brms.json", digits = NA, auto_unbox = TRUE, pretty = FALSE)

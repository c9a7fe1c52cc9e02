# Links that brms 2.18 allows for mu and for the other distributional parameters of every family.
# Rscript make_brms_links.R > brms_links.json
suppressPackageStartupMessages(library(brms))
space <- asNamespace("brms")
names <- sub("^.family_", "", ls(space, all.names = TRUE, pattern = "^.family_"))
out <- list()
for (name in setdiff(names, c("info", "custom"))) {
  info <- get(paste0(".family_", name), space)()
  dpars <- setdiff(info$dpars, "mu")
  others <- lapply(dpars, function(d) tryCatch(brms:::links_dpars(d), error = function(e) NULL))
  names(others) <- dpars
  out[[name]] <- list(mu = info$links, dpars = others)
}
cat(jsonlite::toJSON(out, auto_unbox = FALSE, pretty = TRUE))

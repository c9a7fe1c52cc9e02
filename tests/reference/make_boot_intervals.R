# boot.ci() of the package boot (R 4.2.2) for fixed replicates; writes boot_intervals.json.
# Run in this folder: Rscript make_boot_intervals.R
library(boot)
library(jsonlite)
set.seed(42)
cases <- list(
  normal = list(t0 = 0.3, t = rnorm(199) + 0.25, L = rnorm(16)),
  skewed = list(t0 = 1.1, t = rexp(999), L = rexp(30) - 1),
  few = list(t0 = 0.0, t = rnorm(37), L = c(1, -2, 0.5, 3))
)
out <- lapply(cases, function(case) {
  object <- structure(
    list(t0 = case$t0, t = matrix(case$t), R = length(case$t), data = case$L, sim = "ordinary",
         statistic = function(d, i) mean(d[i]), stype = "i", call = quote(boot()), strata = rep(1, length(case$L)),
         weights = rep(1 / length(case$L), length(case$L))),
    class = "boot"
  )
  ends <- list()
  for (level in c(0.9, 0.95, 0.99)) {
    found <- suppressWarnings(boot.ci(object, conf = level, type = c("norm", "basic", "perc", "bca"), L = case$L))
    ends[[as.character(level)]] <- list(
      norm = found$normal[2:3], basic = found$basic[4:5], perc = found$percent[4:5], bca = found$bca[4:5]
    )
  }
  c(case, list(ends = ends))
})
write_json(out, "boot_intervals.json", digits = NA, auto_unbox = TRUE)

# brms through Rscript: see serve.py for how runner and peer talk. The model is compiled before the first request.
suppressMessages({library(jsonlite); library(brms)})
# rstan looks for Boost beside the package BH; some systems have it among the headers of the system instead.
if (!requireNamespace("BH", quietly = TRUE) || system.file("include", "boost", package = "BH") == "") {
  rstan::rstan_options(boost_lib = "/usr/include", boost_lib2 = "/usr/include")
}
input <- file("stdin", "r")
reply <- function(x) cat("RESULT ", toJSON(x, auto_unbox = TRUE, digits = NA), "\n", sep = "")
task <- fromJSON(readLines(input, 1))
classes <- setNames(rep("factor", length(task$factors)), task$factors)
data <- read.csv(task$data, colClasses = classes)
family <- switch(task$family, poisson = poisson(), cumulative = cumulative(), gaussian())
quietly <- function(x) suppressMessages(suppressWarnings(x))
empty <- quietly(brm(as.formula(task$formula), data, family, chains = 0, silent = 2, refresh = 0))
reply(list(
  versions = list(
    R = paste(R.version$major, R.version$minor, sep = "."), brms = format(packageVersion("brms")),
    rstan = format(packageVersion("rstan"))
  ),
  blas = basename(extSoftVersion()[["BLAS"]])
))
while (length(line <- readLines(input, 1)) > 0) {
  request <- fromJSON(line)
  started <- Sys.time()
  fit <- quietly(update(
    empty, chains = 4, cores = 2, seed = request$seed, refresh = 0, silent = 2, recompile = FALSE
  ))
  seconds <- as.numeric(Sys.time() - started, units = "secs")
  draws <- posterior::as_draws_array(fit)
  draws <- posterior::subset_draws(draws, variable = "^(b_|sd_|cor_|sigma)", regex = TRUE)
  table <- as.data.frame(posterior::summarise_draws(draws, "mean", "sd", "ess_bulk"))
  named <- function(column) as.list(setNames(as.numeric(table[[column]]), table$variable))
  reply(list(
    # Stan's own clock: what the chains took, two at a time.
    seconds = I(seconds), compiled_before = TRUE, clock = sum(rstan::get_elapsed_time(fit$fit)) / 2,
    ess = min(table$ess_bulk), mean = named("mean"), sd = named("sd")
  ))
}

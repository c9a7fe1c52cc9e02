# glmmTMB through Rscript, on one thread: see serve.py for how runner and peer talk.
suppressWarnings(suppressMessages({library(glmmTMB); library(jsonlite)}))
input <- file("stdin", "r")
reply <- function(x) cat("RESULT ", toJSON(x, auto_unbox = TRUE, digits = NA), "\n", sep = "")
task <- fromJSON(readLines(input, 1))
data <- read.csv(task$data, colClasses = setNames(rep("factor", length(task$factors)), task$factors))
formula <- as.formula(task$formula)
environment(formula) <- globalenv()
reply(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), glmmTMB = format(packageVersion("glmmTMB"))),
  blas = basename(extSoftVersion()[["BLAS"]])
))
while (length(line <- readLines(input, 1)) > 0) {
  request <- fromJSON(line)
  seconds <- c()
  while (length(seconds) == 0 || (sum(seconds) < request$seconds && length(seconds) < 50)) {
    gc()
    started <- Sys.time()
    fit <- suppressMessages(suppressWarnings(glmmTMB(formula, data, family = task$family)))
    seconds <- c(seconds, as.numeric(Sys.time() - started, units = "secs"))
  }
  reply(list(
    seconds = I(seconds), criterion = -2 * as.numeric(logLik(fit)), beta = I(unname(fixef(fit)$cond)),
    se = I(unname(sqrt(diag(as.matrix(vcov(fit)$cond)))))
  ))
}

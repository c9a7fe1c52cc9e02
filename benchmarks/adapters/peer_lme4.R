# lme4 through Rscript: see serve.py for how runner and peer talk. lmer() and glmer() have their default control.
suppressMessages({library(lme4); library(jsonlite)})
input <- file("stdin", "r")
reply <- function(x) cat("RESULT ", toJSON(x, auto_unbox = TRUE, digits = NA), "\n", sep = "")
status <- function(name) { # MB; NA where there is no /proc
  if (!file.exists("/proc/self/status")) return(NA)
  as.numeric(sub("\\D*(\\d+).*", "\\1", grep(paste0("^", name), readLines("/proc/self/status"), value = TRUE))) / 1024
}
task <- fromJSON(readLines(input, 1))
classes <- setNames(rep("factor", length(task$factors)), task$factors)
data <- read.csv(task$data, colClasses = classes)
formula <- as.formula(task$formula)
environment(formula) <- globalenv()
normal <- task$family == "gaussian"
one_fit <- function() if (normal) lmer(formula, data) else glmer(formula, data, family = task$family)
reply(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), lme4 = format(packageVersion("lme4"))),
  blas = basename(extSoftVersion()[["BLAS"]])
))
while (length(line <- readLines(input, 1)) > 0) {
  request <- fromJSON(line)
  seconds <- c()
  peak <- NA
  while (length(seconds) == 0 || (sum(seconds) < request$seconds && length(seconds) < 50)) {
    gc()
    before <- status("VmRSS")
    if (length(seconds) == 0 && !is.na(before)) cat("5", file = "/proc/self/clear_refs")
    # system.time() has a resolution of a millisecond, Sys.time() of a microsecond.
    started <- Sys.time()
    fit <- suppressMessages(suppressWarnings(one_fit()))
    seconds <- c(seconds, as.numeric(Sys.time() - started, units = "secs"))
    if (length(seconds) == 1) peak <- status("VmHWM") - before
  }
  reply(list(
    seconds = I(seconds), peak_mb = peak, criterion = if (normal) REMLcrit(fit) else -2 * as.numeric(logLik(fit)), beta = I(unname(fixef(fit))),
    se = I(unname(sqrt(diag(as.matrix(vcov(fit))))))
  ))
}

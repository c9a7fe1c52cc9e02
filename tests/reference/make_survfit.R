# Kaplan-Meier estimates of R's survival package: survfit.json. Run: Rscript make_survfit.R
library(survival)
library(jsonlite)
columns <- function(f) {
  s <- summary(f)
  data.frame(time = s$time, n_risk = s$n.risk, n_event = s$n.event, survival = s$surv, se = s$std.err,
             lower = s$lower, upper = s$upper)
}
time <- c(3, 5, 5, 8, 10, 12, 12, 15, 15, 21)
event <- c(1, 1, 0, 1, 0, 1, 1, 0, 1, 0)
entry <- c(0, 0, 2, 4, 0, 6, 1, 3, 9, 14)
out <- list(version = as.character(packageVersion("survival")), time = time, event = event, entry = entry,
            right = columns(survfit(Surv(time, event) ~ 1)),
            late = columns(survfit(Surv(entry, time, event) ~ 1)))
write_json(out, "survfit.json", digits = NA, dataframe = "columns", auto_unbox = TRUE)

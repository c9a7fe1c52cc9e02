# Made tests/results/brms_hypothesis.json with brms 2.18: hypothesis() and density_ratio() on draws that R and Python
# compute alike (normal quantiles in a fixed order). Run in tests/results: Rscript make_hypothesis.R
suppressMessages(library(brms))
n <- 1000
i <- seq_len(n)
u <- (i - 0.5) / n
draws <- data.frame(
  b_x = 0.3 + 0.2 * qnorm(u),
  `b_x:z` = qnorm(((7 * i) %% n + 0.5) / n),
  `r_g[new.york,Intercept]` = 1 + qnorm(((11 * i) %% n + 0.5) / n),
  check.names = FALSE
)
asked <- c("b_x > 0", "b_x:z = 0", "exp(b_x) - b_x:z + b_x < 3.5", long_enough_to_be_cut_off = "b_x < 5",
           "b_x = 2 * b_x", "-b_x:z < 3 * `r_g[new.york,Intercept]` - b_x:z^2", "r_g[new.york,Intercept] - b_x > .1")
out <- list()
for (robust in c(FALSE, TRUE)) {
  table <- hypothesis(draws, asked, alpha = 0.1, robust = robust)$hypothesis
  table$Evid.Ratio <- as.character(table$Evid.Ratio)
  out[[if (robust) "robust" else "plain"]] <- table
}
out$text <- capture.output(print(hypothesis(draws, asked)))
prior <- 2 * qnorm(((13 * i) %% n + 0.5) / n)
out$density_ratio <- c(density_ratio(draws$b_x, prior), density_ratio(draws[["b_x:z"]], prior),
                       density_ratio(draws$b_x + 0.2, prior))
writeLines(jsonlite::toJSON(out, dataframe = "columns", digits = NA, auto_unbox = TRUE, na = "null"), "brms_hypothesis.json")

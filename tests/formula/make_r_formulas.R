# Writes r_formulas.json: what R itself makes of formulas (terms) and of expressions (deparse).
# Run as: Rscript make_r_formulas.R > r_formulas.json    (R 4.2.2, jsonlite)
library(jsonlite)

formulas <- c(
  "a", "a + b", "a:b", "a * b", "a/b", "(a + b)/c", "a/(b + c)", "a/b/c", "(a * b)/c", "a %in% b",
  "(a + b) %in% c", "a %in% (b + c)", "a:b %in% c", "a * b %in% c", "(a + b)^2 %in% c", "(a + b) %in% (c:d)",
  "(a + b + c)^2", "(a + b + c)^2 - a:b", "(a + b + c + d)^3 - d", "a * b * c - a:b:c", "a * b - b", "a^2",
  "a:a", "a * a", "a:b:a", "b:a + a:b", "b + a:b + a", "x:a + x", "c:a + b:a + a", "a:(b + c)",
  "(a + b):(c + d)", "a - (b + c) + b", "a + (b + c) - c", "a * (b - a)", "(a - a):b", "x - x", "+x", "-x",
  "0 + x", "x - 1", "x + 0", "-1 + 1 + x", "x + 1 - 1", "(x - 1) * z", "a - 0", "0 + a - 0", "1:x + x",
  "(a + 1):b", "(0 + a):b", "NULL + x", "a + TRUE", "a + FALSE", "log(x) * a", "I(x^2) + x", "z + x > 3", "!x",
  "a %% b", "x[, 1] + a", "`my var` * x", "poly(x, 2):g", "as.factor(h) + scale(x.1)", "b %in% a", "a + b:c + d",
  "1", "0", "-1", "a*b*c*d", "(a+b)*(c+d)", "(a+b)^2*c", "a/(b*c)", "(a/b)^2", "a:b + a*c - c", "a + a:b/c"
)
expressions <- c(
  "1e-3", "1e5", "100000", "123456", "0x10", "2L", ".5", "1e-5", "0.0001", "0.00012", "123456789012", "1e15",
  "1234567890123456", "1e22", "100L", "1e5L", "0x1p3", "1.", "0", "'a\"b'", "'a\\nb'", "a**b", "-a^2", "-a:b",
  "(-a)^2", "a^-1", "a^-b:c", "!a+b", "a ^ !b + c", "a%in%b", "a%%b", "5%/%2", "x%o%y", "x[,1]", "x[1,]", "x[]",
  "f()", "f(,a)", "f(a,)", "f(a=)", "~x", "a ~ ~b", "s(x,k=5)", "f(`a b`=1)", "a<b", "a||b", "a|b|c", "- -1",
  "!!a", "a&&b", "a - -b", "a*-b", "a*b/c", "a - (b)", "a:(b)", "-+a", "2^-1", "-2:3", "a^b^c", "(a^b)^c",
  "a%in%b:c", "a*b%in%c", "-a%in%b", "a~b|c", "a|b~c", "!a==b", "a& !b|c", "1L:3", "f('a'=1)", "~ -x + !y",
  "\"\\x41\"", "\"\\u00e9\"", "\"tab\\t\"", "f(T, NA, NULL, Inf)", "x[1][2]", "`f g`(x)", "a\n+b # why",
  "y|trials(n)+weights(w)~x+(1|g)", "mathach~meanses+sector*ses_cmc+(ses_cmc|id)", "..1 + a._1 + x."
)
one_terms <- function(right) {
  found <- terms(as.formula(paste("~", right)))
  list(labels = attr(found, "term.labels"), intercept = unbox(attr(found, "intercept") == 1))
}
one_deparse <- function(text) {
  parsed <- parse(text = gsub("\n", " ", text), keep.source = FALSE)[[1]]
  unbox(paste(deparse(parsed, width.cutoff = 500), collapse = " "))
}
cat(toJSON(
  list(
    terms = setNames(lapply(formulas, one_terms), formulas),
    deparse = setNames(lapply(expressions, one_deparse), expressions)
  ),
  pretty = TRUE
), "\n")

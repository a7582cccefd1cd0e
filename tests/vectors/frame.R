# R's model matrices for tests/io/test_frame.c.  Run in tests/vectors:
#   Rscript frame.R > ../io/frame_reference.h
# Levels begin with "=", so that R's column names are those of io/frame.h.
d <- data.frame(
    x = c(1.5, 2, 0.25, 7, 3, 0.1, 11, 4, 5.5),
    z = c(-1, 0, 2.5, 1, -0.75, 3, 0.5, 1e-3, -2),
    sex = factor(c(2, 1, 1, 2, 2, 1, 2, 1, 1), 1:2, c("=f", "=m")),
    ward = factor(c(1, 2, 3, 1, 3, 2, 2, 1, 3), 1:3, c("=A", "=B", "=C")),
    hand = factor(c(1, 1, 2, 2, 1, 1, 2, 2, 1), 1:2, c("=l", "=r")))
formulas <- c(
    "~ x + z", "~ x + sex", "~ sex + ward", "~ sex * ward", "~ sex:ward",
    "~ x:sex", "~ x * sex", "~ sex + x:sex", "~ 0 + sex + ward",
    "~ 0 + x + ward", "~ sex * ward * hand", "~ log(x):sex",
    "~ log(x) * sex", "~ 0 + sex:ward", "~ 0 + x + x:sex", "~ x:sex + x:ward",
    "~ sex + sex:ward", "~ x:z:sex + x",
    "~ I(x^2) + sqrt(x) + exp(z) + log10(x) + log1p(x) + I(z^3) + I(x^9)",
    "~ 0 + x:z + z:ward + sex", "~ sex:ward + ward:hand + sex:ward:hand",
    "~ C(sex) + x:C(sex)", "~ factor(ward) * z", "~ 1",
    "~ ward:x:hand + hand:sex", "~ 0 + log(x) + z:sex + ward")
quoted <- function(s) paste0("\"", s, "\"", collapse = ", ")
plain <- function(s) sub("^=", "", as.character(s))
cat("/* Made by tests/vectors/frame.R with R's model.matrix. */\n")
cat("/* clang-format off */\n")
cat("static const char reference_csv[] =\n    \"x,z,sex,ward,hand\\n\"\n")
for (i in seq_len(nrow(d)))
    cat(sprintf("    \"%.17g,%.17g,%s,%s,%s\\n\"\n", d$x[i], d$z[i],
                plain(d$sex[i]), plain(d$ward[i]), plain(d$hand[i])))
cat("    ;\n")
index <- function(words, all) paste0(match(words, all) - 1, collapse = "")
cat("static const struct {\n    const char *formula;\n    int intercept;\n",
    "   const char *vars[8];\n    const char *terms[16];\n    int p;\n",
    "   const char *names[16];\n    double x[9 * 16];\n} references[] = {\n",
    sep = "")
for (text in formulas) {
    f <- as.formula(text)
    t <- terms(f)
    vars <- sapply(as.list(attr(t, "variables"))[-1], deparse)
    fac <- attr(t, "factors")
    terms <- if (length(fac))
        apply(fac, 2, function(v) index(vars[v > 0], vars)) else character(0)
    m <- model.matrix(f, d)
    stopifnot(ncol(m) <= 16, length(vars) <= 8, length(terms) <= 16)
    cat("    {\"", text, "\", ", attr(t, "intercept"), ",\n     {",
        if (length(vars)) quoted(vars) else "0", "},\n     {",
        if (length(terms)) quoted(terms) else "0", "}, ", ncol(m), ",\n     {",
        quoted(colnames(m)), "},\n     {", sep = "")
    cat(sprintf("%.17g", t(m)), sep = ", ", fill = 76)
    cat("     }},\n")
}
cat("};\n/* clang-format on */\n")

# Which columns R's lm leaves out of the designs of test_spd.c:
#   Rscript tests/solver/make_spd_values.R
state <- 12345
uniform <- function(n) {
    out <- numeric(n)
    for (i in 1:n) {
        state <<- (state * 16807) %% 2147483647
        out[i] <- state / 2147483647
    }
    out
}
n <- 40
z <- matrix(uniform(n * 4), n, 4, byrow = TRUE)
row <- 0:(n - 1)
one <- rep(1, n)
d <- sapply(0:2, function(k) as.numeric(row %% 3 == k))
design <- list(
    plain = cbind(one, z[, 1], z[, 2], z[, 3], z[, 4]),
    sum = cbind(one, z[, 1], z[, 2], z[, 1] + z[, 2], z[, 3]),
    copies = cbind(one, z[, 1], 2 * z[, 1], z[, 1] - 1, z[, 2], 0 * one, z[, 3]),
    dummies = cbind(one, d, z[, 1], d * z[, 1]),
    zero_first = cbind(0 * one, z[, 1], z[, 1], one, 3 * one, z[, 2]),
    near = cbind(z[, 1], z[, 1] + 1e-5 * z[, 2], z[, 3]),
    units = cbind(1e9 * z[, 1], 1e-9 * z[, 2], z[, 1] + z[, 2],
                  1e-9 * z[, 1], one),
    late = cbind(z[, 1] + z[, 2], z[, 1] - z[, 2], z[, 3], z[, 1], z[, 2],
                 z[, 4]))
for (name in names(design)) {
    b <- lm.fit(design[[name]], z[, 4] + row)$coefficients
    cat(sprintf("%-12s %s\n", name, paste(as.integer(is.na(b)), collapse = " ")))
}

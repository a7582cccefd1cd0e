# Reference fits on pooled rows:
#   Rscript r_fits.R FOLDER TABLE OUT
# FOLDER is that of r_data.R. TABLE has a line for each fit, fields separated by
# tabs, "-" for none:
#   fit data silos kind family link strata weights ties bins formula
# OUT has lines: fit <tab> what <tab> name <tab> value, numbers of 17 digits.
suppressMessages(library(survival))
args <- commandArgs(TRUE)
stopifnot(length(args) == 3)
table <- read.delim(args[2], header = FALSE, quote = "", comment.char = "",
                    colClasses = "character",
                    col.names = c("fit", "data", "silos", "kind", "family",
                                  "link", "strata", "weights", "ties", "bins",
                                  "formula"))
out <- file(args[3], "w")
say <- function(fit, what, name, value) {
    writeLines(paste(fit, what, name, sprintf("%.17g", value), sep = "\t"), out)
}
given <- function(v) v != "-"

# R's own takes factors only; names of coefficients stay "C(sex)2".
C <- function(x) as.factor(x)

# glm() stops at a change of the deviance, far from where coefficients stand
# still, and keeps the weights of the step before the last; and it judges
# collinear columns by the same number. So: its own tolerance, begun again from
# where it ended, until nothing moves.
steady <- function(call) {
    fit <- call(NULL)
    for (i in 1:40) {
        b <- coef(fit)
        start <- ifelse(is.na(b), 0, b)
        fit <- call(start)
        moved <- abs(coef(fit) - start) / pmax(abs(start), 1e-12)
        if (max(moved, na.rm = TRUE) < 1e-14 && i > 2) break
    }
    # Rounding may move a badly scaled coefficient for ever, but not far.
    if (max(moved, na.rm = TRUE) > 1e-9) stop("does not come to rest")
    fit
}

fit_glm <- function(t, d, f) {
    family <- get(c(gaussian = "gaussian", binomial = "binomial",
                    poisson = "poisson", gamma = "Gamma")[[t$family]])
    family <- if (given(t$link)) family(link = t$link) else family()
    w <- if (given(t$weights)) d[[t$weights]]
    d$.w <- if (is.null(w)) rep(1, nrow(d)) else w
    fit <- steady(function(start) glm(f, family, d, weights = .w, start = start,
                                      control = list(maxit = 100)))
    s <- summary(fit)
    list(coef = coef(fit), vcov = vcov(fit), # NA where aliased
         scalar = c(loglik = as.numeric(logLik(fit)), deviance = deviance(fit),
                    null_deviance = fit$null.deviance, aic = AIC(fit),
                    dispersion = s$dispersion, df_residual = fit$df.residual,
                    rows = length(fit$y)))
}

fit_cox <- function(t, d, f) {
    if (given(t$bins)) {
        edges <- as.numeric(strsplit(t$bins, ",")[[1]])
        d$time <- as.numeric(cut(d$time, edges))
        stopifnot(!anyNA(d$time))
    }
    d$.w <- if (given(t$weights)) d[[t$weights]] else rep(1, nrow(d))
    control <- coxph.control(eps = 1e-14, iter.max = 50, toler.chol = 1e-15,
                             toler.inf = 1e-6)
    # "Ran out of iterations" is said when rounding alone moves it still.
    fit <- suppressWarnings(coxph(f, d, weights = .w, ties = t$ties,
                                  control = control, robust = FALSE))
    v <- vcov(fit)
    v[is.na(coef(fit)), ] <- NA
    v[, is.na(coef(fit))] <- NA
    scalar <- c(loglik = fit$loglik[2], null_loglik = fit$loglik[1],
                rows = fit$n, events = fit$nevent)
    # Weighted pairs are another number than Covey's, and so are those of
    # binned times.
    if (!given(t$weights) && !given(t$bins))
        scalar <- c(scalar, concordance = fit$concordance[["concordance"]])
    list(coef = coef(fit), vcov = v, scalar = scalar)
}

fit_pca <- function(t, d, f) {
    x <- model.matrix(f, d)
    x <- x[, colnames(x) != "(Intercept)"]
    p <- prcomp(x, scale. = t$family == "scale")
    load <- p$rotation
    turn <- apply(load, 2, function(v) sign(v[which.max(abs(v))]))
    load <- load * rep(turn, each = nrow(load))
    list(coef = c(variances = p$sdev^2, loadings = as.vector(load)),
         scalar = c(rows = nrow(x)))
}

for (i in seq_len(nrow(table))) {
    t <- table[i, ]
    set <- readRDS(file.path(args[1], paste0(t$data, ".rds")))
    d <- set$data
    f <- as.formula(t$formula)
    if (t$strata == "silo") {
        d$.silo <- factor((set$part - 1) %% as.numeric(t$silos))
        f <- if (t$kind == "cox") update(f, . ~ . + strata(.silo))
             else update(f, . ~ . + .silo)
    }
    r <- tryCatch(switch(t$kind, glm = fit_glm(t, d, f), cox = fit_cox(t, d, f),
                         pca = fit_pca(t, d, f)),
                  error = function(e) stop("fit ", t$fit, ": ",
                                           conditionMessage(e)))
    keep <- !grepl("^\\.silo", names(r$coef))
    if (t$strata == "silo") keep <- keep & names(r$coef) != "(Intercept)"
    if (!any(keep)) stop("fit ", t$fit, " has no coefficients")
    name <- names(r$coef)[keep]
    for (j in seq_along(name)) say(t$fit, "coef", name[j], r$coef[keep][[j]])
    if (!is.null(r$vcov)) {
        v <- r$vcov[keep, keep, drop = FALSE]
        for (a in seq_along(name)) for (b in seq_along(name))
            say(t$fit, "vcov", paste(name[a], name[b]), v[a, b])
    }
    for (s in names(r$scalar)) say(t$fit, "scalar", s, r$scalar[[s]])
}
close(out)

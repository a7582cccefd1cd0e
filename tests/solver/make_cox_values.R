#Values that test_cox.c compares with, from survival's coxph:
#Rscript tests / solver / make_cox_values.R> tests / solver / reference_cox.h
#clang - format - i tests / solver / reference_cox.h
#The rows come from a generator that test_cox.c has as well.
suppressMessages(library(survival)) state < -2024 n < -180 u <
    -matrix(0, n, 9) for (i in 1 : n)
{
    for (j in 1 : 9) {
        state < -(state * 16807) % % 2147483647 u[i, j] < -state / 2147483647
    }
}
x <- cbind(40 + floor(45 * u[, 1]), u[, 2] < 0.4, floor(3.2 * u[, 3]),
           1000 + u[, 4])
p <- ncol(x)
time <- ceiling(40 * u[, 5] * (1 + 0.5 * x[, 2]))
event <- u[, 6] < 0.65
silo <- floor(9 * u[, 7] * u[, 7])
weights <- 0.25 + floor(8 * u[, 8]) / 4
offset <- floor(10 * u[, 9]) / 8 - 0.5
edges <- c(0, 2, 5, 9, 10, 14, 20, 30, 45, 80)
upper <- edges[-1][findInterval(time, edges, left.open = TRUE)]
b <- c(0.0625, -0.5, 0.25, 1)
few <- c(0, 1, 0.5, 0) # with ties

list_of <- function(v)
    paste0("{", paste(sprintf("%.16g", v), collapse = ", "), "}")
cat("/* Made by tests/solver/make_cox_values.R with survival ",
    as.character(packageVersion("survival")), ". */
#ifndef COVEY_TESTS_SOLVER_REFERENCE_COX_H
#define COVEY_TESTS_SOLVER_REFERENCE_COX_H

enum { COX_N = ", n, ", COX_P = ", p, ", COX_BINS = ", length(edges) - 1, " };

static const double cox_edges[COX_BINS + 1] = ", list_of(edges), ";
/* Where values are taken; concordance also where risks are tied. */
static const double cox_b[COX_P] = ", list_of(b), ";
static const double cox_few[COX_P] = ", list_of(few), ";

typedef struct {
    const char *risk; /* sets: pooled, silo or bins */
    const char *ties; /* efron or breslow */
    int weighted;     /* with weights and offset */
    double events;
    double loglik[3]; /* at 0, at cox_b, at coef */
    double score[2][COX_P];
    double var[COX_P * COX_P]; /* at cox_b */
    double coef[COX_P], se[COX_P];
    double count[2][5]; /* concordance at coef, at cox_few */
} cox_reference;

static const cox_reference cox_references[] = {
    ", sep = "
    ")
        for (risk in c("pooled", "silo", "bins"))
    {
        for (ties in c("efron", "breslow")) {
            for (weighted in 0 : 1) {
                y < -Surv(if (risk == "bins") upper else time, event) stratum <
                    -if (risk == "silo") silo else rep(1, n) w <
                    -if (weighted) weights else rep(1, n) o <
                    -if (weighted) offset else rep(0, n) fit <
                    -function(b, iterations) suppressWarnings(coxph(
                        y ~x + offset(o) + strata(stratum), weights = w,
                        ties = ties, robust = FALSE, init = b,
                        control = coxph.control(eps = 1e-14, toler.chol = 1e-15,
                                                iter.max = iterations))) score <
                    -function(f)
                        colSums(residuals(f, type = "score", weighted = TRUE))
                            count < -function(b)
                {
                    lp < -as.vector(x % * % b + o) k <
                        -concordance(y ~lp + strata(stratum), reverse = TRUE)
                            $count if (is.matrix(k)) colSums(k) else k
                }
                zero < -fit(rep(0, p), 0) at < -fit(b, 0) best <
                    -fit(b, 50) if (!weighted) stopifnot(
                        count(coef(best)) ==
                        colSums(matrix(concordance(best) $count, ncol = 5)))
                        cat("{\"", risk, "\", \"", ties, "\", ", weighted, ", ",
                            best$nevent, ",\n",
                            list_of(c(zero$loglik[2], at$loglik[2],
                                      best$loglik[2])),
                            ",\n{", list_of(score(zero)), ", ",
                            list_of(score(at)), "},\n", list_of(at$var), ",\n",
                            list_of(coef(best)), ", ",
                            list_of(sqrt(diag(best$var))), ",\n{",
                            list_of(count(coef(best))), ", ",
                            list_of(count(few)), "}},\n", sep = "")
            }
        }
    }
cat("};\n\n#endif\n")

# Data sets for fits that R is the reference of:
#   Rscript r_data.R FOLDER
# writes FOLDER/NAME.rds (all rows, with their part) and FOLDER/NAME/PART.csv, one
# file for each institution, authority or made-up part; tests group parts into
# silos.  Numbers have 17 digits, so both sides fit the same doubles.
#   lung    survival::lung by institution (18), missing values kept
#   chem97  mlmRev::Chem97 by local education authority (131)
#   made    responses for every family and link (18 parts), weights, offset
#   edges   columns that are hard on a solver (6 parts); others: without part 1
suppressMessages(library(survival))
args <- commandArgs(TRUE)
stopifnot(length(args) == 1)
out <- args[1]

as_text <- function(v) {
    if (is.numeric(v)) ifelse(is.na(v), "NA", sprintf("%.17g", v))
    else as.character(v)
}

export <- function(name, d, part) {
    dir.create(file.path(out, name), recursive = TRUE)
    d <- as.data.frame(d)
    rownames(d) <- NULL
    saveRDS(list(data = d, part = part), file.path(out, paste0(name, ".rds")))
    text <- do.call(paste, c(lapply(d, as_text), sep = ","))
    for (k in unique(part))
        writeLines(c(paste(names(d), collapse = ","), text[part == k]),
                   file.path(out, name, sprintf("%03d.csv", k)))
}

d <- lung[!is.na(lung$inst), ]
d <- d[order(d$inst), ]
part <- match(d$inst, unique(d$inst))
d$inst <- NULL
# Prior weights and an offset of no meaning, from the rows themselves.
d$w <- 0.5 + (seq_len(nrow(d)) %% 5) / 4
d$lt <- ((seq_len(nrow(d)) * 7) %% 11 - 5) / 10
export("lung", d, part)

data("Chem97", package = "mlmRev", envir = environment())
d <- data.frame(score = Chem97$score, gcsescore = Chem97$gcsescore,
                age = Chem97$age, gender = as.character(Chem97$gender),
                good = as.numeric(Chem97$score >= 6),
                share = Chem97$score / 10, ten = 10)
part <- as.integer(Chem97$lea)
by_part <- order(part)
export("chem97", d[by_part, ], part[by_part])

set.seed(19970601)
n <- 900
part <- sort(sample.int(18, n, TRUE, prob = 18 + 1:18))
x1 <- rnorm(n)
x2 <- runif(n, 0.5, 3)
x3 <- rnorm(n, 50, 10)
g <- sample(c("a", "b", "c", "d"), n, TRUE, prob = c(0.4, 0.3, 0.2, 0.1))
h <- sample(c("u", "v"), n, TRUE)
gb <- c(a = 0, b = 0.3, c = -0.4, d = 0.6)[g]
w <- sample(1:5, n, TRUE)
lt <- log(runif(n, 0.5, 4))
lin <- 0.2 + 0.4 * x1 - 0.3 * x2 + gb
m <- w + 4L # trials
low <- -2.2 + 0.15 * x1 - 0.1 * x2 + 0.3 * gb
made <- data.frame(
    x1 = x1, x2 = x2, x3 = x3, g = g, h = h, w = w, lt = lt, m = m,
    y = 3 + 2 * lin + 0.01 * x3 + rnorm(n),
    positive = exp(1 + 0.3 * lin) + runif(n, 0, 0.5),
    event = rbinom(n, 1, plogis(lin + (h == "v") * 0.5)),
    part_of = rbinom(n, m, plogis(lin)) / m,
    rare = rbinom(n, m, exp(low)) / m,
    count = rpois(n, exp(lin + lt)),
    many = rpois(n, 20 + 2 * x1 + x2),
    size = rgamma(n, shape = 3, rate = 3 / exp(lin)),
    cost = rgamma(n, shape = 4, rate = 4 / (9 + 0.8 * x1 + x2)),
    time = round(rexp(n, 0.01 * exp(lin)), 2) + 0.01,
    died = rbinom(n, 1, 0.7))
export("made", made, part)

set.seed(20240229)
n <- 240
part <- rep(1:6, length.out = n)
x <- rnorm(n)
z <- rnorm(n)
far <- c(seq(-40, 40, length.out = 20), rnorm(n - 20))[order(part)]
edges <- data.frame(
    x = x, z = z, big = 1e8 * rnorm(n), small = 1e-8 * rnorm(n),
    year = 2000 + sample.int(20, n, TRUE),
    one = 7.25, twice = 2 * x - 3 * z, far = far,
    g = sample(c("a", "b", "c"), n, TRUE))
lin <- 0.3 + 0.5 * x - 0.4 * z
edges$y <- lin + rnorm(n, 0, 0.5) + 1e-8 * edges$big
edges$event <- rbinom(n, 1, plogis(lin))
edges$sure <- rbinom(n, 1, plogis(far))
edges$count <- rpois(n, exp(lin))
edges$millions <- rpois(n, exp(13.8 + 0.1 * x))
edges$time <- 1 + round(rexp(n, exp(lin)), 1)
# Silo 1: everybody well, everybody censored.
edges$mixed <- ifelse(part == 1, 0, edges$event)
# Silos 1 and 2 have no level c, silo 3 no level a.
edges$few <- ifelse(part <= 2 & edges$g == "c", "a",
                    ifelse(part == 3 & edges$g == "a", "b", edges$g))
# An event where it is 0, and never where it is 1.
edges$safe <- rep(c(0, 0, 0, 1), length.out = n)
edges$event_safe <- ifelse(edges$safe == 1, 0, edges$event)
edges$none <- 0
# Missing here and there.
edges$gap <- ifelse(seq_len(n) %% 13 == 0, NA, x * z)
# Half of the rows are ill only where z is above a line.
edges$apart <- as.numeric(z > 0.1)
edges <- edges[order(part), ]
part <- sort(part)
export("edges", edges, part)
# Without the silo that has one class: what is left when its own intercept has
# run away.
export("others", edges[part != 1, ], part[part != 1] - 1)

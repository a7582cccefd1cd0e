#include "privacy/pld_plan.h"

#include <math.h>

#include "privacy/golden.h"
#include "privacy/rdp.h"

/* Error that the grid may add to epsilon in coarse and in fine plans: relative
 * to it, and at most; and what it may add to delta at least, relatively. */
static const double GRID_ERROR[2] = {1e-3, 3e-6};
static const double MOST_ERROR[2] = {INFINITY, 2e-5};
static const double DELTA_ERROR[2] = {1e-3, 1e-5};
/* Largest transform and largest grid of one step. */
static const double MAX_WINDOW[2] = {0x1p17, 0x1p21};
static const double MAX_GRID[2] = {0x1p18, 0x1p22};
/* What the window may cut off, relative to delta: above it, which is charged;
 * and of the tilted mass on either side, which wraps around and adds. */
static const double CUT_DELTA = 1e-9, CUT_MASS = 1e-8;

double cv_loss_cumulant(void *ctx, double lambda)
{
    const cv_loss_parts *p = ctx;
    double sum = 0.0, s = p->dir == CV_REMOVE ? lambda + 1.0 : -lambda;
    for (size_t i = 0; i < p->n; i++)
        sum += p->part[i].steps * cv_log_moment_within(p->part[i].noise,
                                                       p->part[i].sampling, s,
                                                       p->reach);
    return sum;
}

static double total_steps(const cv_loss_parts *p)
{
    double steps = 0.0;
    for (size_t i = 0; i < p->n; i++)
        steps += p->part[i].steps;
    return steps;
}

/* The normal's tail is below exp(-reach^2/2)/2, and there are two. */
double cv_loss_reach(const cv_loss_parts *parts, double delta)
{
    double reach = sqrt(2.0 * log(total_steps(parts) / (delta * CUT_DELTA)));
    return fmax(reach, 9.0);
}

/* ---- the ends of a window ----------------------------------------------- */

typedef struct {
    cv_loss_parts parts;
    const cv_loss_point *at;
    double steps;
    double lambda;   /* tilt */
    double log_mass; /* to cut off, under the tilted measure */
} query;

/* Chernoff: the mass above this is at most exp(log_mass); and from below. */
static double end_at(query *q, double sign, double mu)
{
    double k =
        cv_loss_cumulant(&q->parts, q->lambda + sign * mu) -
        (q->lambda == 0.0 ? 0.0 : cv_loss_cumulant(&q->parts, q->lambda));
    return (k - q->log_mass) / mu;
}

static double upper_end(void *ctx, double mu)
{
    return end_at(ctx, 1.0, mu);
}

static double lower_end(void *ctx, double mu) /* negated */
{
    return end_at(ctx, -1.0, mu);
}

/* Smallest of f near the saddle: roughly will do. */
static double best(cv_real_fn f, query *q, double *at)
{
    double limit = q->parts.limit;
    double lo = fmin(q->at->saddle * 1e-3, limit);
    double hi = fmin(q->at->saddle * 1e3, limit);
    double mu = cv_golden(f, q, lo, hi, 0.02);
    if (at != NULL)
        *at = mu;
    return f(q, mu);
}

/* ---- tilt --------------------------------------------------------------- */

/* Spreading a loss over the ends of its bucket adds h^2/6 to the variance of a
 * step, on average, hence steps slope (slope+1) h^2/12 to ln delta. */
static double grid_error(const query *q, double h)
{
    return q->steps * q->at->slope * (q->at->slope + 1.0) * h * h / 12.0;
}

static double wanted_error(const query *q, int fine)
{
    double e = fmin(GRID_ERROR[fine] * q->at->epsilon, MOST_ERROR[fine]);
    return fmax(e * q->at->slope, DELTA_ERROR[fine]);
}

static double wanted_spacing(const query *q, int fine)
{
    return sqrt(wanted_error(q, fine) / grid_error(q, 1.0));
}

/* What to expect of a tilt: the error of ln delta from a grid that may be too
 * coarse for the window, and from the rounding of the transform (pld_sum.c),
 * where `tail` is delta in units of the tilted masses. */
static double expected_error(const query *q, double lambda, double tail,
                             double width, int fine)
{
    double h = fmax(wanted_spacing(q, fine), width / MAX_WINDOW[fine]);
    double gap = -expm1(-2.0 * lambda * h);
    double norm = fmin(2.0 * h * h / (gap * gap * gap), 1.0 / gap);
    double noise = 164.0 * 0x1p-53 * (q->steps + 2.0) * sqrt(norm);
    return grid_error(q, h) + noise / tail;
}

/* The saddle makes delta largest relative to the tilted masses. That is too
 * strong when a few rare steps lose a lot: it makes them common, and the window
 * wide. Returns 0, or -1 if the numbers are out of range. */
static int choose_tilt(cv_loss_plan *w, double end[2], query *q, int fine)
{
    static const double share[] = {1.0, 0.9, 0.75, 0.55, 0.35, 0.15};
    double log_delta = log(q->at->delta), lowest = INFINITY;
    q->lambda = 0.0;
    q->log_mass = log_delta + log(CUT_DELTA);
    double least = best(upper_end, q, &w->mu);
    for (int i = 0; i < 6; i++) {
        double e[2], lambda = q->at->saddle * share[i];
        double tail = log_delta + lambda * q->at->epsilon -
                      cv_loss_cumulant(&q->parts, lambda);
        q->lambda = lambda;
        q->log_mass = fmin(tail, 0.0) + log(CUT_MASS);
        e[0] = -best(lower_end, q, NULL);
        e[1] = fmax(best(upper_end, q, NULL), least);
        if (!(isfinite(e[0]) && isfinite(e[1]) && e[1] > e[0]))
            continue;
        double width = e[1] - e[0];
        double error = expected_error(q, lambda, exp(tail), width, fine);
        /* Good enough: then the narrower window is the faster one. */
        error = fmax(error, wanted_error(q, fine)) * (1.0 + 0.01 * i);
        if (error < lowest ||
            (error < 1.1 * lowest && width < 0.7 * (end[1] - end[0]))) {
            lowest = error;
            w->lambda = lambda;
            end[0] = e[0];
            end[1] = e[1];
        }
    }
    return isfinite(lowest) ? 0 : -1;
}

/* ---- plan --------------------------------------------------------------- */

static double largest_grid(const query *q, double reach, double h)
{
    double most = 0.0;
    for (size_t i = 0; i < q->parts.n; i++) {
        const cv_pld_part *a = q->parts.part + i;
        most = fmax(most, cv_loss_grid_size(a->noise, a->sampling, reach, h));
    }
    return most;
}

int cv_loss_plan_make(cv_loss_plan *w, const cv_loss_parts *parts,
                      const cv_loss_point *at, int fine)
{
    query q = {.parts = *parts, .at = at, .steps = total_steps(parts)};
    double end[2] = {0.0, 0.0};
    if (choose_tilt(w, end, &q, fine) != 0)
        return -1;
    double width = end[1] - end[0];
    double h = fmin(wanted_spacing(&q, fine), width / 247.0);
    h = fmax(h, width / (MAX_WINDOW[fine] - 9.0));
    w->reach = parts->reach;
    h = fmax(h, h * largest_grid(&q, w->reach, h) / MAX_GRID[fine]);
    for (w->n = 256; width / h > (double)w->n - 8.0;)
        w->n *= 2;
    w->h = h;
    /* Indices of sums must be exact in double and in int64. */
    if (!(fmax(fabs(end[0]), fabs(end[1])) / h < 0x1p50))
        return -1;
    w->first = (int64_t)floor(end[0] / h) - 2;
    return 0;
}

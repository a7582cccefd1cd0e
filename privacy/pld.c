#include "privacy/pld.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "privacy/gaussian.h"
#include "privacy/pld_step.h"
#include "privacy/pld_sum.h"
#include "privacy/rdp.h"
#include "privacy/search.h"

/* Error that the grid may add to epsilon, relative to it, in the first pass and
 * in later ones; and what it may add to delta at least, relative to that. */
static const double GRID_ERROR[2] = {1e-3, 3e-6};
static const double DELTA_ERROR[2] = {3e-4, 1e-6};
/* Largest transform and largest grid of one step. */
static const double MAX_WINDOW[2] = {0x1p17, 0x1p21};
static const double MAX_GRID[2] = {0x1p18, 0x1p22};
enum { MAX_PASSES = 4 };
/* What the window may cut off: of delta above it, which is charged, and of the
 * tilted mass on either side, which wraps around and adds. */
static const double CUT_DELTA = 1e-9, CUT_MASS = 1e-13;
static const double SMALL_TAIL = 1e-5;
static const double SMALLEST_DELTA = 1e-200;

/* One direction, and what is known of it so far. */
typedef struct {
    int passes, done;
    double epsilon, delta; /* a point on or above the curve */
    double saddle;         /* the simple bound's lambda there */
    double slope;          /* of -ln delta there */
    cv_loss_sum sum;
} side;

struct cv_pld {
    cv_pld_part *part; /* merged; q = 1 at most once, as one step */
    size_t n;
    int at_epsilon; /* made for an epsilon, else for a delta */
    double epsilon, delta;
    double limit; /* of lambda */
    side side[2];
};

/* ---- cumulants ---------------------------------------------------------- */

typedef struct {
    const cv_pld *p;
    cv_direction dir;
    const side *at;
    double lambda;   /* of the tilt, where one is needed */
    double log_tail; /* mass to cut off */
} query;

static double cumulant(void *ctx, double lambda)
{
    query *q = ctx;
    double sum = 0.0, s = q->dir == CV_REMOVE ? lambda + 1.0 : -lambda;
    for (size_t i = 0; i < q->p->n; i++) {
        const cv_pld_part *a = q->p->part + i;
        sum += a->steps * cv_log_moment(a->noise, a->sampling, s);
    }
    return sum;
}

/* Chernoff: P(loss >= this) <= exp(log_tail). */
static double upper_end(void *ctx, double mu)
{
    query *q = ctx;
    return (cumulant(ctx, mu) - q->log_tail) / mu;
}

/* The same under the measure that is tilted by lambda, and from below. */
static double tilted_end(query *q, double sign, double mu)
{
    double k = cumulant(q, q->lambda + sign * mu) - cumulant(q, q->lambda);
    return (k - q->log_tail) / mu;
}

static double tilted_upper_end(void *ctx, double mu)
{
    return tilted_end(ctx, 1.0, mu);
}

static double tilted_lower_end(void *ctx, double mu) /* negated */
{
    return tilted_end(ctx, -1.0, mu);
}

static double chernoff_epsilon(const cv_pld *p, cv_direction dir, double delta)
{
    query q = {.p = p, .dir = dir};
    double e = cv_chernoff_epsilon(cumulant, &q, p->limit, log(delta), NULL);
    return isfinite(e) ? fmax(e, 0.0) : INFINITY;
}

static double chernoff_delta(const cv_pld *p, cv_direction dir, double epsilon)
{
    query q = {.p = p, .dir = dir};
    double d = cv_chernoff_log_delta(cumulant, &q, p->limit, epsilon, NULL);
    return d < 0.0 ? exp(d) : 1.0;
}

/* ---- where to look, and how closely ------------------------------------- */

static double largest_grid(const cv_pld *p, double reach, double h)
{
    double most = 0.0;
    for (size_t i = 0; i < p->n; i++)
        most = fmax(most, cv_loss_grid_size(p->part[i].noise,
                                            p->part[i].sampling, reach, h));
    return most;
}

static double total_steps(const cv_pld *p)
{
    double t = 0.0;
    for (size_t i = 0; i < p->n; i++)
        t += p->part[i].steps;
    return t;
}

/* Smallest of f near the saddle: roughly will do, every value is a bound. */
static double best(cv_real_fn f, query *q, double *at)
{
    double lo = fmin(q->at->saddle * 1e-3, q->p->limit);
    double hi = fmin(q->at->saddle * 1e3, q->p->limit), mu;
    mu = cv_golden(f, q, lo, hi, 0.02);
    if (at != NULL)
        *at = mu;
    return f(q, mu);
}

/* Where the tilted sum lies, within what `best` finds. */
static void find_window(double end[2], query *q, double lambda)
{
    q->lambda = lambda;
    q->log_tail = log(CUT_MASS);
    end[0] = -best(tilted_lower_end, q, NULL);
    end[1] = best(tilted_upper_end, q, NULL);
}

/* The tilt that makes delta largest relative to the masses, the saddle, is too
 * strong when a few rare steps lose a lot: it makes them common, and the window
 * wide. Take the narrowest window that leaves delta above SMALL_TAIL. Returns
 * 0, or -1 if the numbers are out of range. */
static int choose_tilt(cv_loss_plan *w, double end[2], query *q)
{
    int found = -1;
    q->log_tail = log(q->at->delta * CUT_DELTA);
    double least = best(upper_end, q, &w->mu);
    static const double share[] = {1.0, 0.5, 0.2};
    for (int i = 0; i < 3; i++) {
        double lambda = q->at->saddle * share[i], e[2];
        double tail =
            log(q->at->delta) + lambda * q->at->epsilon - cumulant(q, lambda);
        if (i > 0 && !(tail > log(SMALL_TAIL)))
            break;
        find_window(e, q, lambda);
        e[1] = fmax(e[1], least);
        if (!(isfinite(e[0]) && isfinite(e[1]) && e[1] > e[0]) ||
            (found == 0 && e[1] - e[0] >= end[1] - end[0]))
            continue;
        found = 0;
        w->lambda = lambda;
        end[0] = e[0];
        end[1] = e[1];
    }
    return found;
}

/* Spreading a loss over the ends of its bucket adds h^2/6 to the variance of a
 * step, on average, hence steps (slope+1) h^2/12 to epsilon. */
static double spacing(const cv_pld *p, const side *s, int fine)
{
    double error =
        fmax(GRID_ERROR[fine] * s->epsilon, DELTA_ERROR[fine] / s->slope);
    return sqrt(12.0 * error / (total_steps(p) * (s->slope + 1.0)));
}

/* Tilt, window and spacing. Returns as choose_tilt. */
static int make_plan(cv_loss_plan *w, query *q, int fine)
{
    const cv_pld *p = q->p;
    double end[2] = {0.0, 0.0}, most = MAX_WINDOW[fine];
    if (choose_tilt(w, end, q) != 0)
        return -1;
    double width = end[1] - end[0], h = spacing(p, q->at, fine);
    h = fmax(fmin(h, width / 247.0), width / (most - 9.0));
    /* The normal's tail is below exp(-reach^2/2)/2, and there are two. */
    w->reach = sqrt(2.0 * log(total_steps(p) / (q->at->delta * CUT_DELTA)));
    w->reach = fmax(w->reach, 9.0);
    h = fmax(h, h * largest_grid(p, w->reach, h) / MAX_GRID[fine]);
    for (w->n = 256; width / h > (double)w->n - 8.0;)
        w->n *= 2;
    w->h = h;
    /* Indices of sums must be exact in double and in int64. */
    if (!(fmax(fabs(end[0]), fabs(end[1])) / h < 0x1p50))
        return -1;
    w->first = (int64_t)floor(end[0] / h) - 2;
    return 0;
}

/* Where the simple bound puts the point. */
static void first_guess(side *s, query *q)
{
    const cv_pld *p = q->p;
    s->epsilon = p->epsilon;
    s->delta = p->delta;
    if (p->at_epsilon)
        s->delta = fmin(exp(cv_chernoff_log_delta(cumulant, q, p->limit,
                                                  p->epsilon, &s->saddle)),
                        1.0);
    else
        s->epsilon = cv_chernoff_epsilon(cumulant, q, p->limit, log(p->delta),
                                         &s->saddle);
    s->slope = s->saddle;
}

/* Where the last pass puts it. */
static void next_guess(side *s, query *q)
{
    const cv_pld *p = q->p;
    double lambda;
    if (p->at_epsilon)
        s->delta = fmin(s->delta, cv_loss_sum_delta(&s->sum, s->epsilon));
    else
        s->epsilon = fmin(s->epsilon, cv_loss_sum_epsilon(&s->sum, s->delta));
    (void)cv_chernoff_log_delta(cumulant, q, p->limit, s->epsilon, &lambda);
    s->saddle = fmax(lambda, 0.05 * s->saddle); /* none at epsilon near 0 */
    s->slope = fmax(s->saddle, cv_loss_sum_slope(&s->sum, s->epsilon));
}

/* Compute one direction, or compute it better: a coarse pass finds where the
 * point is, below the simple bound, and later ones resolve it; where a few rare
 * steps lose much the curve can be far steeper there than the simple bound.
 * Returns 1 if there is something new. */
static int improve(cv_pld *p, cv_direction dir)
{
    side *s = &p->side[dir];
    query q = {.p = p, .at = s, .dir = dir};
    cv_loss_plan w;
    if (s->done || s->passes == MAX_PASSES)
        return 0;
    if (s->passes == 0)
        first_guess(s, &q);
    else
        next_guess(s, &q);
    s->done = 1; /* unless we get to the end */
    if (!(p->at_epsilon || s->epsilon > 0.0) || !isfinite(s->epsilon) ||
        !(s->delta >= SMALLEST_DELTA) ||
        make_plan(&w, &q, s->passes > 0) != 0 ||
        (s->passes > 1 && w.h > 0.6 * s->sum.h))
        return 0;
    cv_loss_sum_free(&s->sum);
    cv_loss_sum_create(&s->sum, dir, p->part, p->n, &w);
    s->passes++;
    s->done = 0;
    return 1;
}

/* ---- interface ---------------------------------------------------------- */

static void add_part(cv_pld *p, cv_pld_part a)
{
    if (!(a.steps > 0.0) || !(a.sampling > 0.0) || isinf(a.noise))
        return;
    int whole = a.sampling >= 1.0;
    if (whole) { /* k steps at s are one at s / sqrt(k) */
        a.noise /= sqrt(a.steps);
        a.steps = 1.0;
    }
    for (size_t i = 0; i < p->n; i++) {
        cv_pld_part *b = p->part + i;
        if (whole && b->sampling >= 1.0) {
            b->noise = 1.0 / hypot(1.0 / b->noise, 1.0 / a.noise);
            return;
        }
        if (b->noise == a.noise && b->sampling == a.sampling) {
            b->steps += a.steps;
            return;
        }
    }
    p->part[p->n++] = a;
}

static cv_pld *create(const cv_pld_part *parts, size_t n)
{
    cv_pld *p = CV_NEW(1, cv_pld);
    p->part = CV_NEW(n, cv_pld_part);
    p->limit = 1e15;
    for (size_t i = 0; i < n; i++)
        add_part(p, parts[i]);
    for (size_t i = 0; i < p->n; i++)
        if (p->part[i].sampling < 1.0)
            p->limit = fmin(p->limit, cv_lambda_limit(p->part[i].noise));
    return p;
}

void cv_pld_create(cv_pld **out, const cv_pld_part *parts, size_t n,
                   double delta)
{
    *out = create(parts, n);
    (*out)->delta = delta;
}

void cv_pld_create_at(cv_pld **out, const cv_pld_part *parts, size_t n,
                      double epsilon)
{
    *out = create(parts, n);
    (*out)->at_epsilon = 1;
    (*out)->epsilon = epsilon;
}

void cv_pld_destroy(cv_pld **p)
{
    if (*p == NULL)
        return;
    for (int d = 0; d < 2; d++)
        cv_loss_sum_free(&(*p)->side[d].sum);
    free((*p)->part);
    CV_FREE(*p);
}

static int only_gaussian(const cv_pld *p)
{
    return p->n == 1 && p->part[0].sampling >= 1.0;
}

/* Epsilon of one direction, or anything up to `enough`: adding is mostly the
 * easier side, and then a simple bound shows it. */
static double side_epsilon(cv_pld *p, cv_direction dir, double delta,
                           double enough)
{
    double e = chernoff_epsilon(p, dir, delta);
    for (;;) {
        e = fmin(e, cv_loss_sum_epsilon(&p->side[dir].sum, delta));
        if (e <= enough || !improve(p, dir))
            return e;
    }
}

double cv_pld_epsilon(cv_pld *p, double delta)
{
    if (p->n == 0 || delta >= 1.0)
        return 0.0;
    if (!(delta > 0.0))
        return INFINITY;
    if (only_gaussian(p))
        return cv_gaussian_epsilon(p->part[0].noise, delta);
    double removed = side_epsilon(p, CV_REMOVE, delta, 0.0);
    return fmax(removed, side_epsilon(p, CV_ADD, delta, removed));
}

static double side_delta(cv_pld *p, cv_direction dir, double epsilon,
                         double enough)
{
    double d = chernoff_delta(p, dir, epsilon);
    for (;;) {
        d = fmin(d, cv_loss_sum_delta(&p->side[dir].sum, epsilon));
        if (d <= enough || !improve(p, dir))
            return d;
    }
}

double cv_pld_delta(cv_pld *p, double epsilon)
{
    if (p->n == 0 || isinf(epsilon))
        return 0.0;
    if (!(epsilon >= 0.0))
        return 1.0;
    if (only_gaussian(p))
        return exp(cv_gaussian_log_delta(p->part[0].noise, epsilon));
    double removed = side_delta(p, CV_REMOVE, epsilon, 0.0);
    return fmax(removed, side_delta(p, CV_ADD, epsilon, removed));
}

#include "privacy/pld.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "privacy/gaussian.h"
#include "privacy/pld_plan.h"
#include "privacy/pld_sum.h"
#include "privacy/rdp.h"

enum { MAX_PASSES = 3 };
/* Below this the Chernoff bound is all there is. */
static const double SMALLEST_DELTA = 1e-200;

/* One direction, and what is known of it so far. */
typedef struct {
    int passes, done;
    cv_loss_parts parts;
    cv_loss_point at;
    cv_loss_sum sum;
} side;

struct cv_pld {
    cv_pld_part *part; /* merged; q = 1 at most once, as one step */
    size_t n;
    int at_epsilon; /* made for an epsilon, else for a delta */
    double epsilon, delta;
    side side[2];
};

/* ---- parts -------------------------------------------------------------- */

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
    double limit = 1e15;
    p->part = CV_NEW(n, cv_pld_part);
    for (size_t i = 0; i < n; i++)
        add_part(p, parts[i]);
    for (size_t i = 0; i < p->n; i++)
        if (p->part[i].sampling < 1.0)
            limit = fmin(limit, cv_lambda_limit(p->part[i].noise));
    for (int d = 0; d < 2; d++)
        p->side[d].parts = (cv_loss_parts){.part = p->part,
                                           .n = p->n,
                                           .dir = d ? CV_ADD : CV_REMOVE,
                                           .limit = limit,
                                           .reach = INFINITY};
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

/* ---- the simple bound --------------------------------------------------- */

static double chernoff_epsilon(cv_loss_parts *p, double delta, double *lambda)
{
    double e =
        cv_chernoff_epsilon(cv_loss_cumulant, p, p->limit, log(delta), lambda);
    return e < 0.0 ? 0.0 : isnan(e) ? INFINITY : e;
}

static double chernoff_delta(cv_loss_parts *p, double epsilon, double *lambda)
{
    double d =
        cv_chernoff_log_delta(cv_loss_cumulant, p, p->limit, epsilon, lambda);
    return d < 0.0 ? exp(d) : 1.0;
}

/* ---- one direction ------------------------------------------------------ */

/* The simple bound on delta at epsilon without what is too rare to matter for
 * such a delta, which we do not know yet: each round may lower it. */
static double delta_within(side *s, double epsilon)
{
    cv_loss_parts within = s->parts;
    double d = chernoff_delta(&s->parts, epsilon, NULL);
    within.limit = 1e15;
    for (int i = 0; i < 25 && d > SMALLEST_DELTA; i++) {
        within.reach = cv_loss_reach(&s->parts, d);
        double next = fmax(chernoff_delta(&within, epsilon, NULL), 1e-8 * d);
        if (next > 0.1 * d)
            break;
        d = next;
    }
    return fmax(d, SMALLEST_DELTA);
}

/* Where the simple bound puts the point. Within reach it comes close; without
 * that limit a few losses that are too rare to matter may rule it. */
static void first_guess(const cv_pld *p, side *s, cv_loss_parts *within)
{
    cv_loss_point *at = &s->at;
    at->epsilon = p->epsilon;
    at->delta = p->at_epsilon ? delta_within(s, p->epsilon) : p->delta;
    within->reach = cv_loss_reach(&s->parts, at->delta);
    if (p->at_epsilon)
        (void)chernoff_delta(within, at->epsilon, &at->saddle);
    else
        at->epsilon = chernoff_epsilon(within, p->delta, &at->saddle);
    if (at->epsilon == 0.0 && !p->at_epsilon)
        at->epsilon = chernoff_epsilon(&s->parts, p->delta, &at->saddle);
    at->slope = at->saddle;
}

/* Where the last pass puts it. */
static void next_guess(const cv_pld *p, side *s, cv_loss_parts *within)
{
    cv_loss_point *at = &s->at;
    double before = at->saddle;
    if (p->at_epsilon)
        at->delta =
            fmax(fmin(at->delta, cv_loss_sum_delta(&s->sum, at->epsilon)),
                 SMALLEST_DELTA);
    else
        at->epsilon =
            fmin(at->epsilon, cv_loss_sum_epsilon(&s->sum, at->delta));
    within->reach = cv_loss_reach(&s->parts, at->delta);
    (void)chernoff_delta(within, at->epsilon, &at->saddle);
    at->saddle = fmax(at->saddle, 0.05 * before); /* not 0 at epsilon 0 */
    at->slope = fmax(at->saddle, cv_loss_sum_slope(&s->sum, at->epsilon));
}

/* Compute one direction, or compute it better: a coarse pass finds where the
 * point is, below the simple bound, and later ones resolve it; where a few rare
 * steps lose much, the curve can be far steeper there than the simple bound.
 * Returns 1 if there is something new. */
static int improve(cv_pld *p, side *s)
{
    cv_loss_plan w;
    cv_loss_sum sum;
    cv_loss_parts within = s->parts;
    if (s->done || s->passes == MAX_PASSES ||
        (!p->at_epsilon && p->delta < SMALLEST_DELTA))
        return 0;
    within.limit = 1e15;
    (s->passes == 0 ? first_guess : next_guess)(p, s, &within);
    s->done = 1; /* unless we get to the end */
    if (!(p->at_epsilon || s->at.epsilon > 0.0) || !isfinite(s->at.epsilon) ||
        cv_loss_plan_make(&w, &within, &s->at, s->passes > 0) != 0 ||
        (s->passes > 1 && w.h > 0.6 * s->sum.h))
        return 0;
    cv_loss_sum_create(&sum, s->parts.dir, p->part, p->n, &w);
    cv_loss_sum_free(&s->sum);
    s->sum = sum;
    s->passes++;
    s->done = 0;
    return 1;
}

/* Epsilon of one direction, or anything up to `enough`: adding is mostly the
 * easier side, and then a simple bound shows it. */
static double side_epsilon(cv_pld *p, cv_direction dir, double delta,
                           double enough)
{
    side *s = &p->side[dir];
    double e = chernoff_epsilon(&s->parts, delta, NULL);
    for (;;) {
        e = fmin(e, cv_loss_sum_epsilon(&s->sum, delta));
        if (e <= enough || !improve(p, s))
            return e;
    }
}

static double side_delta(cv_pld *p, cv_direction dir, double epsilon,
                         double enough)
{
    side *s = &p->side[dir];
    double d = chernoff_delta(&s->parts, epsilon, NULL);
    for (;;) {
        d = fmin(d, cv_loss_sum_delta(&s->sum, epsilon));
        if (d <= enough || !improve(p, s))
            return d;
    }
}

/* ---- interface ---------------------------------------------------------- */

static int only_gaussian(const cv_pld *p)
{
    return p->n == 1 && p->part[0].sampling >= 1.0;
}

/* A record that is in no step loses nothing: delta is at most the chance that
 * it is in one. */
static double ever_sampled(const cv_pld *p)
{
    double log_never = 0.0;
    for (size_t i = 0; i < p->n; i++)
        log_never += p->part[i].steps * log1p(-p->part[i].sampling);
    return -expm1(log_never);
}

double cv_pld_epsilon(cv_pld *p, double delta)
{
    if (p->n == 0 || delta >= 1.0)
        return 0.0;
    if (!(delta > 0.0))
        return INFINITY;
    if (only_gaussian(p))
        return cv_gaussian_epsilon(p->part[0].noise, delta);
    if (ever_sampled(p) <= delta)
        return 0.0;
    double removed = side_epsilon(p, CV_REMOVE, delta, 0.0);
    return fmax(removed, side_epsilon(p, CV_ADD, delta, removed));
}

double cv_pld_delta(cv_pld *p, double epsilon)
{
    if (p->n == 0)
        return 0.0;
    if (!(epsilon >= 0.0))
        return 1.0;
    if (only_gaussian(p))
        return exp(cv_gaussian_log_delta(p->part[0].noise, epsilon));
    if (isinf(epsilon)) /* the noise reaches everywhere */
        return 0.0;
    double removed = side_delta(p, CV_REMOVE, epsilon, 0.0);
    double d = fmax(removed, side_delta(p, CV_ADD, epsilon, removed));
    return fmin(d, ever_sampled(p));
}

/* The information is a sum over events of a variance in a risk set, but second
 * moments of risk sets are never kept: each row's x x' counts with the hazard
 * that was cumulated while it was at risk, so that one weighted product of the
 * rows is all there is.  First pass, from the last time to the first: means of
 * risk sets, their outer products taken off.  Second pass, back: the product. */
#include "solver/cox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/cox_parts.h"

/* How far eta may rise over what it is taken relative to, before all sums are
 * scaled anew: exp() of it must leave room for weights, rows and squares. */
static const double rise = 100.0;

typedef struct {
    double time;
    int64_t row;
    int event;
} row_key;

static int later_first(const void *a, const void *b)
{
    const row_key *r = a, *s = b;
    if (r->time != s->time)
        return r->time > s->time ? -1 : 1;
    if (r->event != s->event)
        return s->event - r->event;
    return (r->row > s->row) - (r->row < s->row);
}

static int all_finite(const double *v, int64_t n)
{
    int finite = 1;
    for (int64_t i = 0; i < n; i++)
        finite &= isfinite(v[i]) != 0;
    return finite;
}

/* The mean of each column, or what all rows have: it is then 0 exactly. */
static void find_centre(cv_cox *c)
{
    size_t p = (size_t)c->p;
    for (size_t j = 0; j < p; j++) {
        double sum = 0.0, first = c->n > 0 ? c->x[j] : 0.0;
        int constant = 1;
        for (int64_t i = 0; i < c->n; i++) {
            double v = c->x[(size_t)i * p + j];
            sum += v;
            constant &= v == first;
        }
        sum /= (double)c->n;
        c->centre[j] = constant ? first : isfinite(sum) ? sum : 0.0;
    }
}

/* Rows that count, in order. Returns their number; -1 if one is bad. */
static int64_t order(const double *x, int64_t n, int p, const double *time,
                     const uint8_t *event, const double *weights,
                     const double *offset, row_key *key)
{
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (weights && weights[i] == 0.0)
            continue;
        if (!isfinite(time[i]) || !all_finite(x + i * p, p) ||
            (weights && !(isfinite(weights[i]) && weights[i] > 0.0)) ||
            (offset && !isfinite(offset[i])))
            return -1;
        key[used++] = (row_key){time[i], i, event[i] != 0};
    }
    qsort(key, (size_t)used, sizeof *key, later_first);
    return used;
}

/* Row i of the model is the row of key; the next time begins with a new group.
 */
static void take(cv_cox *c, int64_t i, const row_key *key, const double *x,
                 const double *weights, const double *offset)
{
    size_t p = (size_t)c->p;
    c->time[i] = key->time;
    c->weights[i] = weights ? weights[key->row] : 1.0;
    c->offset[i] = offset ? offset[key->row] : 0.0;
    if (p > 0)
        memcpy(c->x + (size_t)i * p, x + (size_t)key->row * p, p * sizeof *x);
    if (i == 0 || c->time[i - 1] != key->time)
        c->start[c->n_groups++] = i;
    c->deaths[c->n_groups - 1] += key->event;
}

cv_cox *cv_cox_create(const double *x, int64_t n, int p, const double *time,
                      const uint8_t *event, const double *weights,
                      const double *offset, cv_ties ties)
{
    CV_CHECK(n >= 0 && p >= 0);
    row_key *key = CV_NEW(n, row_key);
    int64_t used = order(x, n, p, time, event, weights, offset, key);
    cv_cox *c = CV_NEW(1, cv_cox);
    c->bad = used < 0;
    c->n = used < 0 ? 0 : used;
    c->p = p;
    c->ties = ties;
    c->x = CV_NEW((size_t)c->n * (size_t)p, double);
    c->centre = CV_NEW(p, double);
    c->zero = CV_NEW(p, double);
    c->time = CV_NEW(c->n, double);
    c->weights = CV_NEW(c->n, double);
    c->offset = CV_NEW(c->n, double);
    c->start = CV_NEW(c->n + 1, int64_t);
    c->deaths = CV_NEW(c->n, int64_t);
    for (int64_t i = 0; i < c->n; i++)
        take(c, i, &key[i], x, weights, offset);
    c->start[c->n_groups] = c->n;
    find_centre(c);
    free(key);
    return c;
}

void cv_cox_destroy(cv_cox **c)
{
    if (!c || !*c)
        return;
    free((*c)->x);
    free((*c)->centre);
    free((*c)->zero);
    free((*c)->time);
    free((*c)->weights);
    free((*c)->offset);
    free((*c)->start);
    free((*c)->deaths);
    CV_FREE(*c);
}

/* In an order of its own, not BLAS's, whose rounding depends on where a row
 * lies: patients who are alike must have tied risks. */
static double dot(const double *x, const double *centre, const double *b, int p)
{
    double sum[4] = {0};
    int j = 0;
    for (; j + 4 <= p; j += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += (x[j + k] - centre[j + k]) * b[j + k];
    for (; j < p; j++)
        sum[0] += (x[j] - centre[j]) * b[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void cv_cox_eta(const cv_cox *c, const double *b, int centred, double *eta)
{
    const double *centre = centred ? c->centre : c->zero;
    for (int64_t i = 0; i < c->n; i++)
        eta[i] = c->offset[i] + dot(c->x + i * c->p, centre, b, c->p);
}

double cv_cox_largest_eta(const cv_cox *c, const double *b)
{
    double top = -INFINITY, *eta = CV_NEW(c->n, double);
    cv_cox_eta(c, b, 0, eta);
    for (int64_t i = 0; i < c->n; i++)
        top = eta[i] > top ? eta[i] : top;
    free(eta);
    return top;
}

typedef struct {
    const cv_cox *c;
    double *risk;    /* (n) eta, then weight exp(eta - shift) */
    double *shift;   /* (n_groups) what eta is taken relative to */
    double *hazard;  /* (n_groups) what every row at risk gets, */
    double *tied;    /*            less this for events */
    double s0;       /* of the rows at risk so far: sum of risks, */
    double *s1, *d1; /* (p) of risk x; the same of the events at a time */
    double loglik;
    double *score;
    cv_cox_stack stack;
} cox_pass;

/* A larger eta than all before would overflow, so sums are scaled down: late
 * risk sets, whose etas may be far smaller, have been dealt with by then. */
static void set_shift(cox_pass *w, int64_t g)
{
    const cv_cox *c = w->c;
    double top = w->risk[c->start[g]];
    for (int64_t i = c->start[g]; i < c->start[g + 1]; i++)
        top = w->risk[i] > top ? w->risk[i] : top;
    w->shift[g] = g > 0 ? w->shift[g - 1] : top;
    if (!(top - w->shift[g] > rise))
        return;
    double f = exp(w->shift[g] - top);
    w->shift[g] = top;
    w->s0 *= f;
    for (int j = 0; j < c->p; j++)
        w->s1[j] *= f;
}

/* Risks of the events of time g; their weight. */
static double add_events(cox_pass *w, int64_t g, double *d0)
{
    const cv_cox *c = w->c;
    double weight = 0.0;
    memset(w->d1, 0, (size_t)c->p * sizeof *w->d1);
    for (int64_t i = c->start[g]; i < c->start[g] + c->deaths[g]; i++) {
        const double *x = c->x + i * c->p, each = c->weights[i];
        double above = w->risk[i] - w->shift[g], r = each * exp(above);
        w->risk[i] = r;
        w->loglik += each * above;
        weight += each;
        *d0 += r;
        for (int j = 0; j < c->p; j++) {
            double v = x[j] - c->centre[j];
            w->d1[j] += r * v;
            w->score[j] += each * v;
        }
    }
    return weight;
}

/* Everyone whose time is g is at risk now, the censored too. */
static void add_group(cox_pass *w, int64_t g)
{
    const cv_cox *c = w->c;
    double d0 = 0.0, others;
    set_shift(w, g);
    double weight = add_events(w, g, &d0);
    for (int64_t i = c->start[g] + c->deaths[g]; i < c->start[g + 1]; i++) {
        const double *x = c->x + i * c->p;
        double r = c->weights[i] * exp(w->risk[i] - w->shift[g]);
        w->risk[i] = r;
        w->s0 += r;
        for (int j = 0; j < c->p; j++)
            w->s1[j] += r * (x[j] - c->centre[j]);
    }
    if (c->deaths[g] == 0)
        return;
    others = w->s0;
    w->s0 += d0;
    cv_cox_terms t = cv_cox_tied(c->ties, others, d0, c->deaths[g], weight);
    w->loglik -= t.log;
    w->hazard[g] = t.s / w->s0;
    w->tied[g] = t.d / w->s0;
    for (int j = 0; j < c->p; j++) {
        w->s1[j] += w->d1[j];
        w->score[j] -= w->hazard[g] * w->s1[j] - w->tied[g] * w->d1[j];
    }
    cv_cox_stack_means(&w->stack, &t, w->s0, w->s1, w->d1);
}

/* The product of rows weighted by risk and cumulated hazard. */
static void add_squares(cox_pass *w)
{
    const cv_cox *c = w->c;
    double cumulated = 0.0;
    for (int64_t g = c->n_groups - 1; g >= 0; g--) {
        if (g + 1 < c->n_groups && w->shift[g] != w->shift[g + 1])
            cumulated *= exp(w->shift[g] - w->shift[g + 1]);
        cumulated += w->hazard[g];
        int64_t censored = c->start[g] + c->deaths[g];
        for (int64_t i = c->start[g]; i < c->start[g + 1]; i++) {
            double h = cumulated - (i < censored ? w->tied[g] : 0.0);
            double v = w->risk[i] * h;
            if (!(v > 0.0))
                continue;
            double f = sqrt(v), *row = cv_cox_stack_row(&w->stack);
            for (int j = 0; j < c->p; j++)
                row[j] = f * (c->x[i * c->p + j] - c->centre[j]);
        }
    }
}

static void run(cox_pass *w, double *info)
{
    const cv_cox *c = w->c;
    size_t p = (size_t)c->p;
    double *squares = CV_NEW(p, double);
    w->stack = cv_cox_stack_open(c->p, -1.0, info);
    for (int64_t g = 0; g < c->n_groups; g++)
        add_group(w, g);
    cv_cox_stack_flush(&w->stack);
    for (size_t j = 0; j < p; j++)
        squares[j] = -info[j * p + j];
    w->stack.sign = 1.0;
    add_squares(w);
    cv_cox_stack_close(&w->stack);
    for (size_t j = 0; j < p; j++)
        squares[j] += info[j * p + j];
    cv_cox_constant(c->p, squares, info);
    free(squares);
}

void cv_cox_pass(const cv_cox *c, const double *b, cv_cox_sums *sums,
                 double *score, double *info)
{
    size_t p = (size_t)c->p;
    memset(score, 0, p * sizeof *score);
    memset(info, 0, p * p * sizeof *info);
    cox_pass w = {.c = c, .score = score};
    w.risk = CV_NEW(c->n, double);
    w.shift = CV_NEW(c->n_groups, double);
    w.hazard = CV_NEW(c->n_groups, double);
    w.tied = CV_NEW(c->n_groups, double);
    w.s1 = CV_NEW(p, double);
    w.d1 = CV_NEW(p, double);
    cv_cox_eta(c, b, 1, w.risk);
    *sums = (cv_cox_sums){.bad = c->bad || !all_finite(w.risk, c->n)};
    run(&w, info);
    sums->loglik = w.loglik;
    for (int64_t g = 0; g < c->n_groups; g++)
        sums->events += (double)c->deaths[g];
    cv_cox_judge(c->p, sums, score, info);
    free(w.risk);
    free(w.shift);
    free(w.hazard);
    free(w.tied);
    free(w.s1);
    free(w.d1);
}

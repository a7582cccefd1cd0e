#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/cox_parts.h"

/* More events than this in a fit are not believed: Efron's terms are a loop
 * over them. */
static const double most_events = 1e9;

/* What sums over silos, rounded on the way, may take off the risks of rows
 * without an event where there are none. */
static const double rounding = 1e-6;

/* 1 + p + p (p + 1) / 2: risk, risk x, risk x x'. */
static size_t moments(int p)
{
    size_t q = (size_t)p;
    return 1 + q + q * (q + 1) / 2;
}

size_t cv_cox_bin_size(int p)
{
    return 2 * moments(p) + 3 + (size_t)p;
}

/* Where the parts of a bin's sums begin. */
typedef struct {
    size_t all, events;   /* moments(p) each */
    size_t weight, count; /* of events */
    size_t x;             /* (p) sum over events of weight x */
    size_t eta;           /* sum over events of weight eta */
} layout;

static layout layout_of(int p)
{
    size_t m = moments(p), q = (size_t)p;
    return (layout){0, m, 2 * m, 2 * m + 1, 2 * m + 2, 2 * m + 2 + q};
}

static int64_t outside(const cv_cox *c, const double *edges, int n_bins)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++)
        n += !(n_bins > 0 && c->time[i] > edges[0] &&
               c->time[i] <= edges[n_bins]);
    return n;
}

typedef struct {
    const cv_cox *c;
    const double *eta;
    double shift;
    double *square[2]; /* (p, p) of rows without and with an event */
    cv_cox_stack stack[2];
} binning;

/* Row i, its x as it is: centres would differ between silos. */
static void add_row(binning *w, int64_t i, int event, double *to)
{
    const cv_cox *c = w->c;
    layout at = layout_of(c->p);
    double eta = w->eta[i], weight = c->weights[i];
    double r = weight * exp(eta - w->shift), f = sqrt(r);
    double *row = cv_cox_stack_row(&w->stack[event]);
    double *sum = to + (event ? at.events : at.all);
    sum[0] += r;
    for (int j = 0; j < c->p; j++) {
        double x = c->x[i * c->p + j];
        row[j] = f * x;
        sum[1 + j] += r * x;
        if (event)
            to[at.x + (size_t)j] += weight * x;
    }
    if (!event)
        return;
    to[at.weight] += weight;
    to[at.count] += 1.0;
    to[at.eta] += weight * eta;
}

/* `all` has had the rows without an event until now. */
static void finish_bin(binning *w, double *to)
{
    size_t p = (size_t)w->c->p;
    layout at = layout_of(w->c->p);
    for (int e = 0; e < 2; e++) {
        double *packed = to + (e ? at.events : at.all) + 1 + p;
        cv_cox_stack_flush(&w->stack[e]);
        for (size_t i = 0; i < p; i++)
            for (size_t j = i; j < p; j++)
                *packed++ = w->square[e][i * p + j];
        memset(w->square[e], 0, p * p * sizeof(double));
    }
    for (size_t i = 0; i < moments(w->c->p); i++)
        to[at.all + i] += to[at.events + i];
}

static void fill(binning *w, const double *edges, int n_bins, double *sums)
{
    const cv_cox *c = w->c;
    int64_t g = 0;
    for (int k = n_bins - 1; k >= 0; k--) {
        double *to = sums + (size_t)k * cv_cox_bin_size(c->p);
        for (; g < c->n_groups && c->time[c->start[g]] > edges[k]; g++)
            for (int64_t i = c->start[g]; i < c->start[g + 1]; i++)
                add_row(w, i, i < c->start[g] + c->deaths[g], to);
        finish_bin(w, to);
    }
}

int64_t cv_cox_bin_sums(const cv_cox *c, const double *b, double shift,
                        const double *edges, int n_bins, double *sums)
{
    size_t p = (size_t)c->p, n = cv_cox_bin_size(c->p);
    CV_CHECK(n_bins >= 0);
    int64_t refused = outside(c, edges, n_bins);
    if (refused > 0)
        return refused;
    for (size_t i = 0; i < n * (size_t)n_bins; i++)
        sums[i] = c->bad ? NAN : 0.0;
    double *eta = CV_NEW(c->n, double);
    cv_cox_eta(c, b, 0, eta);
    binning w = {.c = c, .eta = eta, .shift = shift};
    for (int e = 0; e < 2; e++) {
        w.square[e] = CV_NEW(p * p, double);
        w.stack[e] = cv_cox_stack_open(c->p, 1.0, w.square[e]);
    }
    if (!c->bad)
        fill(&w, edges, n_bins, sums);
    for (int e = 0; e < 2; e++) {
        cv_cox_stack_close(&w.stack[e]);
        free(w.square[e]);
    }
    free(eta);
    return 0;
}

typedef struct {
    int p;
    cv_ties ties;
    double shift;
    double *s;             /* (1 + p) risk and risk x of those at risk */
    double *hazard, *tied; /* (n_bins) as in cv_cox_pass */
    double *square;        /* packed: sum of hazard x x' */
} binned_fit;

/* Those whose bin `sum` is are at risk now. 0 if its numbers are not those of
 * any rows. */
static int fit_bin(binned_fit *w, const double *sum, int k, cv_cox_sums *out,
                   double *score, cv_cox_stack *stack)
{
    layout at = layout_of(w->p);
    const double *all = sum + at.all, *events = sum + at.events;
    double others = w->s[0] + (all[0] - events[0]), weight = sum[at.weight];
    for (int j = 0; j <= w->p; j++)
        w->s[j] += all[j];
    double slack = rounding * w->s[0];
    if (!(sum[at.count] >= 0.0 && out->events + sum[at.count] <= most_events &&
          others >= -slack))
        return 0;
    /* Sums over silos may have been rounded on the way. */
    int64_t deaths = llround(sum[at.count]);
    if (deaths == 0)
        return 1;
    cv_cox_terms t = cv_cox_tied(w->ties, others > 0.0 ? others : 0.0,
                                 events[0], deaths, weight);
    out->events += (double)deaths;
    out->loglik += sum[at.eta] - weight * w->shift - t.log;
    w->hazard[k] = t.s / w->s[0];
    w->tied[k] = t.d / w->s[0];
    for (int j = 0; j < w->p; j++)
        score[j] += sum[at.x + (size_t)j] - w->hazard[k] * w->s[1 + j] +
                    w->tied[k] * events[1 + j];
    cv_cox_stack_means(stack, &t, w->s[0], w->s + 1, events + 1);
    return 1;
}

/* info, which has the means' products taken off, and the second moments. */
static void add_moments(binned_fit *w, const double *sums, int n_bins,
                        double *info)
{
    size_t p = (size_t)w->p, size = p * (p + 1) / 2;
    layout at = layout_of(w->p);
    double cumulated = 0.0, *squares = CV_NEW(p, double);
    for (int k = 0; k < n_bins; k++) {
        const double *sum = sums + (size_t)k * cv_cox_bin_size(w->p);
        const double *all = sum + at.all + 1 + p;
        const double *events = sum + at.events + 1 + p;
        cumulated += w->hazard[k];
        for (size_t i = 0; i < size; i++)
            w->square[i] += cumulated * all[i] - w->tied[k] * events[i];
    }
    const double *packed = w->square;
    for (size_t i = 0; i < p; i++)
        for (size_t j = i; j < p; j++) {
            squares[i] = i == j ? *packed : squares[i];
            info[i * p + j] += *packed++;
        }
    cv_cox_constant(w->p, squares, info);
    free(squares);
}

void cv_cox_bins_fit(const double *sums, int n_bins, int p, double shift,
                     cv_ties ties, cv_cox_sums *out, double *score,
                     double *info)
{
    CV_CHECK(n_bins >= 0 && p >= 0);
    size_t q = (size_t)p;
    memset(score, 0, q * sizeof *score);
    memset(info, 0, q * q * sizeof *info);
    *out = (cv_cox_sums){0};
    binned_fit w = {.p = p, .ties = ties, .shift = shift};
    w.s = CV_NEW(1 + q, double);
    w.hazard = CV_NEW(n_bins, double);
    w.tied = CV_NEW(n_bins, double);
    w.square = CV_NEW(q * (q + 1) / 2, double);
    cv_cox_stack stack = cv_cox_stack_open(p, -1.0, info);
    for (int k = n_bins - 1; k >= 0 && out->bad == 0.0; k--)
        out->bad = !fit_bin(&w, sums + (size_t)k * cv_cox_bin_size(p), k, out,
                            score, &stack);
    cv_cox_stack_close(&stack);
    add_moments(&w, sums, n_bins, info);
    cv_cox_judge(p, out, score, info);
    free(w.s);
    free(w.hazard);
    free(w.tied);
    free(w.square);
}

/* The intercept that a silo keeps for itself: scoring on one coefficient
 * with all others fixed. */
#include <math.h>

#include "solver/glm_parts.h"

enum { MOST_STEPS = 1000, MOST_HALVINGS = 60 };

/* Relative to the largest eta, and to the sum of |r|. What is left is corrected
 * to first order by the profile's score. */
static const double CLOSE = 1e-11;
/* The score, relative to the sums of |r| and W |eta|, at which small steps mean
 * that it is found. At a border of the domain steps become small as well, for
 * W grows, but the score does not. (In a perfect fit |r| is nothing but
 * rounding.) */
static const double FAIR = 1e-6;

int cv_glm_one_class(const cv_glm_rows *g)
{
    int rows = 0, zeros = 1, ones = 1;
    for (int64_t i = 0; i < g->n; i++) {
        if (g->weights && !(g->weights[i] > 0.0))
            continue;
        rows = 1;
        zeros &= g->y[i] == 0.0;
        ones &= g->y[i] == 1.0;
    }
    int log_link = g->family.link == CV_LINK_LOG;
    if (!rows)
        return 0;
    if (g->family.kind == CV_FAMILY_BINOMIAL)
        return zeros ? -1 : ones && !log_link ? 1 : 0;
    return g->family.kind == CV_FAMILY_POISSON && zeros && log_link ? -1 : 0;
}

/* What scoring needs at an intercept. */
typedef struct {
    double deviance, score, info, total_abs, total_eta, largest;
    int bad;
} state;

static void look(cv_glm_job *job, cv_glm_lane *k, int start)
{
    const cv_glm_rows *g = job->rows;
    k->sums = (cv_glm_sums){0};
    k->total_work = k->total_resid = 0.0;
    k->total_abs = k->total_eta = k->largest = 0.0;
    for (int64_t i = k->from; i < k->to && k->sums.bad == 0.0;
         i += job->block) {
        int64_t m = k->to - i < job->block ? k->to - i : job->block;
        for (int64_t r = 0; r < m; r++)
            k->eta[r] = job->base[i + r] + job->intercept;
        cv_glm_eval(g, start, job->base + i, 0, i, m, k);
        for (int64_t r = 0; r < m; r++) {
            k->total_work += k->work[r];
            k->total_resid += k->resid[r];
            k->total_abs += fabs(k->resid[r]);
            if (!(k->work[r] > 0.0))
                continue;
            k->total_eta += k->work[r] * fabs(k->eta[r]);
            k->largest = fmax(k->largest, fabs(k->eta[r]));
        }
    }
}

static void look_at(cv_glm_job *job, cv_glm_lane *k)
{
    look(job, k, 0);
}

/* From mustart: score / info is then the weighted least squares' intercept. */
static void look_start(cv_glm_job *job, cv_glm_lane *k)
{
    look(job, k, 1);
}

static state state_of(cv_glm_job *job, double intercept,
                      void (*f)(cv_glm_job *, cv_glm_lane *))
{
    state s = {0};
    job->intercept = intercept;
    cv_glm_lanes(job, f);
    for (int t = 0; t < job->n_lanes; t++) {
        const cv_glm_lane *k = job->lanes + t;
        s.deviance += k->sums.deviance;
        s.score += k->total_resid;
        s.info += k->total_work;
        s.total_abs += k->total_abs;
        s.total_eta += k->total_eta;
        s.largest = fmax(s.largest, k->largest);
        s.bad |= k->sums.bad != 0.0;
    }
    s.bad |= !(s.info > 0.0 && isfinite(s.score / s.info));
    return s;
}

/* Must eta be above 0 (1), below 0 (-1), or neither? */
static int border(const cv_family *f)
{
    if (f->kind == CV_FAMILY_BINOMIAL)
        return f->link == CV_LINK_LOG ? -1 : 0;
    return f->link == CV_LINK_SQRT ||
           (f->kind != CV_FAMILY_GAUSSIAN &&
            (f->link == CV_LINK_INVERSE || f->link == CV_LINK_IDENTITY));
}

/* Move a start that is out of the domain to the inside of its border. */
static double into_domain(const cv_glm_job *job, double a)
{
    const cv_glm_rows *g = job->rows;
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < g->n; i++)
        if (!g->weights || g->weights[i] > 0.0) {
            low = fmin(low, job->base[i]);
            high = fmax(high, job->base[i]);
        }
    double inside = 0.01 * (high - low);
    if (border(&g->family) > 0 && !(a + low > 0.0))
        return -low + fabs(a + low) + inside;
    if (border(&g->family) < 0 && !(a + high < 0.0))
        return -high - fabs(a + high) - inside;
    return a;
}

static int has_rows(const cv_glm_rows *g)
{
    for (int64_t i = 0; i < g->n; i++)
        if (!g->weights || g->weights[i] > 0.0)
            return 1;
    return 0;
}

/* A step that does not make the deviance worse (by more than rounding may), or
 * -1. Moves *a and *s. */
static int take_step(cv_glm_job *job, double step, double *a, state *s)
{
    for (int h = 0; h < MOST_HALVINGS && *a + step != *a; h++) {
        state next = state_of(job, *a + step, look_at);
        if (!next.bad &&
            next.deviance <= s->deviance + 1e-10 * fabs(s->deviance)) {
            *a += step;
            *s = next;
            return 0;
        }
        step /= 2.0;
    }
    return -1;
}

/* The expected information may be several times smaller than the observed one
 * (log of binomial), and scoring would then swing around the maximum for ever:
 * from the second step on, the observed one, of the last two scores, is taken
 * where it is not much smaller. */
static double curvature(const state *s, double a, const state *last,
                        double last_a)
{
    double observed = (last->score - s->score) / (a - last_a);
    return observed > s->info / 4.0 ? observed : s->info;
}

static int search(cv_glm_job *job, double *a)
{
    state s = state_of(job, 0.0, look_start), last;
    if (s.bad)
        return -1;
    *a = into_domain(job, s.score / s.info);
    s = state_of(job, *a, look_at);
    double slope = s.info;
    for (int i = 0; i < MOST_STEPS && !s.bad; i++) {
        double step = s.score / slope, last_a = *a, size = fabs(s.score);
        int fair = size <= FAIR * fmax(s.total_abs, s.total_eta);
        if ((fair && size <= CLOSE * s.largest * s.info) ||
            size <= CLOSE * s.total_abs)
            return 0;
        last = s;
        if (take_step(job, step, a, &s)) {
            int rounding = !border(&job->rows->family) && *a + step == *a;
            return fair || rounding ? 0 : -1;
        }
        slope = curvature(&s, *a, &last, last_a);
    }
    return -1;
}

int cv_glm_own_intercept(cv_glm_job *job)
{
    double a = 0.0;
    int failed = has_rows(job->rows) ? search(job, &a) : 0;
    for (int t = 0; t < job->n_lanes; t++) {
        cv_glm_lane *k = job->lanes + t;
        k->sums = (cv_glm_sums){0};
        k->total_work = k->total_resid = 0.0;
    }
    job->intercept = a;
    return failed;
}

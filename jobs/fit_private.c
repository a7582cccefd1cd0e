/* Fits with differential privacy for every record: what is summed is each record's
 * bounded contribution, as integers, and every silo's share of the noise; what
 * follows is arithmetic on the noisy sum (solver/private_fit.h).
 *
 * Centres and units come from public bounds, so nothing is asked of the data
 * first.  A linear fit is one sum; a logistic one is a sum for each round, at the
 * coefficients that the sums before have led to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/budget.h"
#include "jobs/fit.h"
#include "jobs/masked.h"
#include "mpi/agree.h"
#include "privacy/field.h"

static int is_logistic(const cv_run *run)
{
    return run->fit->family.kind == CV_FAMILY_BINOMIAL;
}

/* ---- units from public bounds ---------------------------------------------- */

typedef struct {
    double lo, hi;
} range;

static double apply(const cv_formula_var *v, double x)
{
    switch (v->fn) {
    case CV_FN_LOG:
        return log(x);
    case CV_FN_LOG10:
        return log10(x);
    case CV_FN_LOG1P:
        return log1p(x);
    case CV_FN_SQRT:
        return sqrt(x);
    case CV_FN_EXP:
        return exp(x);
    case CV_FN_POWER:
        return pow(x, v->power);
    default:
        return x;
    }
}

/* Every function but an even power rises. */
static range range_of_variable(const cv_formula_var *v, const cv_feature *f)
{
    range r = {apply(v, f->lo), apply(v, f->hi)};
    if (v->fn != CV_FN_POWER || v->power % 2 != 0)
        return r;
    double low = f->lo < 0.0 && f->hi > 0.0 ? 0.0 : fmin(r.lo, r.hi);
    return (range){low, fmax(r.lo, r.hi)};
}

static range range_of_product(range a, range b)
{
    double v[4] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
    range r = {v[0], v[0]};
    for (int i = 1; i < 4; i++) {
        r.lo = fmin(r.lo, v[i]);
        r.hi = fmax(r.hi, v[i]);
    }
    return r;
}

static range range_of_column(const cv_run *run, int j)
{
    const cv_fit_model *m = run->fit->model;
    range r = {1.0, 1.0};
    for (int k = 0; k < m->plan->n_factor[j]; k++) {
        cv_frame_factor f = m->plan->factor[j][k];
        const cv_feature *feature =
            &run->schema->features[m->plan->feature[f.var]];
        range one = {0.0, 1.0};
        if (f.level < 0)
            one = range_of_variable(&m->formula->vars[f.var], feature);
        r = k == 0 ? one : range_of_product(r, one);
    }
    return r;
}

/* So that [lo, hi] becomes [-1, 1]; about 0 where no constant takes up means. */
static void set_unit(range r, int constant, double *centre, double *unit)
{
    *centre = constant ? 0.5 * (r.lo + r.hi) : 0.0;
    *unit = constant ? 0.5 * (r.hi - r.lo) : fmax(fabs(r.lo), fabs(r.hi));
    if (!(*unit > 0.0))
        *unit = 1.0;
}

static range range_of_response(const cv_run *run)
{
    const cv_feature *t = &run->schema->target;
    return range_of_variable(&run->fit->model->formula->response, t);
}

static int set_units(const cv_run *run, cv_err *err)
{
    const cv_fit_model *m = run->fit->model;
    double *centre = cv_fit_of(run, "centre"), *unit = cv_fit_of(run, "unit");
    for (int j = 0; j < m->p; j++) {
        range r = range_of_column(run, j);
        centre[j] = 0.0;
        unit[j] = 1.0;
        if (m->plan->term[j] < 0)
            continue;
        if (!isfinite(r.lo) || !isfinite(r.hi))
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "column '%s': its bounds leave no finite range; "
                              "privacy needs one (data.features: bounds)",
                              m->plan->name[j]);
        set_unit(r, m->formula->intercept, &centre[j], &unit[j]);
    }
    if (!is_logistic(run) && (!run->schema->target.has_bounds ||
                              !isfinite(range_of_response(run).lo) ||
                              !isfinite(range_of_response(run).hi)))
        return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                          "the response '%s' needs bounds: [low, high] in "
                          "data.features with privacy",
                          run->job->data.target);
    return 0;
}

/* The response, in [-1, 1]; a logistic one as it is. */
static void response_unit(const cv_run *run, double *centre, double *unit)
{
    *centre = 0.0;
    *unit = 1.0;
    if (!is_logistic(run))
        set_unit(range_of_response(run), run->fit->model->formula->intercept,
                 centre, unit);
}

static double into_range(double v)
{
    return v > 1.0 ? 1.0 : v < -1.0 ? -1.0 : v; /* rounding of the bounds */
}

static void to_working(cv_run *run)
{
    cv_fit *fit = run->fit;
    const double *centre = cv_fit_of(run, "centre");
    const double *unit = cv_fit_of(run, "unit");
    double yc, yu;
    if (fit->is_working)
        return;
    fit->is_working = 1;
    response_unit(run, &yc, &yu);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_frame *f = fit->rows[s].frame;
        for (int64_t i = 0; i < f->n; i++) {
            double *x = f->x + (size_t)i * (size_t)f->p;
            for (int j = 0; j < f->p; j++)
                x[j] = into_range((x[j] - centre[j]) / unit[j]);
            f->y[i] =
                is_logistic(run) ? f->y[i] : into_range((f->y[i] - yc) / yu);
        }
    }
}

/* ---- the sum ----------------------------------------------------------------- */

/* Words of one silo: its records' contributions, and its share of the noise. */
static void make_words(cv_run *run, const cv_attempt *at, int s,
                       uint8_t vector[32])
{
    cv_fit *fit = run->fit;
    const cv_frame *f = fit->rows[s].frame;
    size_t d = run->budget->d;
    int64_t *sum = CV_NEW(d, int64_t);
    uint64_t *y = run->secure->y[s];
    const double *b = is_logistic(run)
                          ? cv_private_newton_at(cv_fit_of(run, "newton"))
                          : NULL;
    cv_private_fit_add(&fit->secret, f->x, f->y, f->n, b, run->budget->exponent,
                       sum);
    for (size_t k = 0; k < d; k++) {
        int64_t v = sum[k] % (int64_t)CV_P61;
        y[k] = (uint64_t)(v < 0 ? v + (int64_t)CV_P61 : v);
    }
    cv_wipe(sum, d * sizeof *sum);
    free(sum);
    cv_masked_noise(run, at, s, d, 1, vector);
}

/* As in round_masked.c: repeated for nothing if every silo comes to the very
 * vector that its journal has, else charged, with fresh noise. */
static int begin_all(cv_run *run, cv_attempt *at, cv_err *err)
{
    uint8_t *vector = CV_NEW(32 * (size_t)run->fed.n_hosted, uint8_t);
    cv_segment cost;
    int rc = 0;
    for (int replay = 1;; replay = 0) {
        for (int i = 0; i < run->fed.n_silos; i++)
            run->status[i] = CV_SILO_READY;
        rc = cv_attempt_begin_all(run, at, run->round + 1, run->status, replay,
                                  err);
        if (!rc && at->draw == at->attempt && run->budget->paid > 0)
            rc = cv_budget_again_all(run, at, err);
        if (rc)
            goto out;
        for (int s = 0; s < run->fed.n_hosted; s++)
            if (cv_fed_is_leader(&run->fed))
                make_words(run, at, s, vector + 32 * s);
        if (at->draw == at->attempt ||
            cv_attempt_same_vectors_all(run, at, vector))
            break;
        cv_attempt_end(at);
    }
    cv_budget_round(run, at, &cost);
    cv_journal_cost entry = cv_budget_cost(run, &cost);
    rc = cv_attempt_spend_all(run, at, &entry, vector, err);
    if (!rc && at->draw == at->attempt)
        cv_budget_charge(run, &cost);
    else if (!rc)
        cv_budget_repeated(run);
out:
    free(vector);
    return rc;
}

/* ---- the result -------------------------------------------------------------- */

/* Deviation of the noise in a word: every silo gave a share that is enough
 * without those that may collude. */
static double deviation(const cv_run *run, const cv_attempt *at)
{
    const cv_budget *b = run->budget;
    return b->multiplier * b->sensitivity *
           sqrt((double)at->n / (double)at->honest) * exp2(b->exponent);
}

/* Working units to the data's, those of the response too. */
static void store(cv_run *run, double *b, double *cov)
{
    const cv_fit_model *m = run->fit->model;
    size_t q = (size_t)m->q;
    double centre, unit;
    response_unit(run, &centre, &unit);
    cv_fit_to_data_scale(run, b, cov);
    for (size_t j = 0; j < q; j++)
        b[j] = b[j] * unit + (m->plan->term[j] < 0 ? centre : 0.0);
    memcpy(cv_fit_of(run, "coefficients"), b, q * sizeof *b);
    if (m->kind != CV_FIT_GLM)
        return;
    double *se = cv_fit_of(run, "standard_errors");
    for (size_t i = 0; i < q * q; i++)
        cov[i] *= unit * unit;
    for (size_t j = 0; j < q; j++)
        se[j] = sqrt(cov[j * q + j]);
    if (m->has_covariance)
        memcpy(cv_fit_of(run, "covariance"), cov, q * q * sizeof *cov);
}

/* What a fit without noise counts is not known here. */
static void set_scalars(cv_run *run, double sigma, double dispersion)
{
    static const int unknown[] = {
        CV_FIT_ROWS,   CV_FIT_WEIGHT_SUM,    CV_FIT_POSITIVE_ROWS,
        CV_FIT_EVENTS, CV_FIT_DEVIANCE,      CV_FIT_NULL_DEVIANCE,
        CV_FIT_LOGLIK, CV_FIT_PEARSON,       CV_FIT_RSS,
        CV_FIT_TSS,    CV_FIT_RESPONSE_MEAN, CV_FIT_PREVIOUS};
    double *s = cv_fit_scalars(run);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        s[unknown[i]] = NAN;
    s[CV_FIT_RANK] = run->fit->q;
    s[CV_FIT_DF_RESIDUAL] = INFINITY;
    s[CV_FIT_DISPERSION] = dispersion;
    s[CV_FIT_NOISE] = sigma;
    s[CV_FIT_EXTREME] = 0.0;
}

static int fail(cv_err *err)
{
    return cv_err_set(
        err, CV_ERR_NUMERIC, NULL, 0,
        "the noisy sums give no coefficients: there is more noise "
        "than the rows can carry; raise privacy.epsilon, or leave "
        "columns out");
}

static int solve_linear(cv_run *run, const double *sum, double sigma,
                        cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    cv_private_linear out;
    double *cov = CV_NEW(q * q, double), *b = cv_fit_of(run, "working");
    double *copy = CV_NEW(q, double), centre, unit;
    int rc = cv_private_linear_solve(&fit->secret, sum, sigma, fit->penalty, b,
                                     cov, &out)
                 ? fail(err)
                 : 0;
    if (!rc) {
        memcpy(copy, b, q * sizeof *b);
        store(run, copy, cov);
        response_unit(run, &centre, &unit);
        set_scalars(run, sigma, out.dispersion * unit * unit);
        cv_fit_scalars(run)[CV_FIT_STAGE] = 3;
        cv_fit_scalars(run)[CV_FIT_CONVERGED] = 1;
    }
    free(cov);
    free(copy);
    return rc;
}

static int step_logistic(cv_run *run, const double *sum, double sigma,
                         cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    double *state = cv_fit_of(run, "newton"), *s = cv_fit_scalars(run);
    int rounds = run->job->training.rounds, raised;
    if (run->round == 0)
        s[CV_FIT_PLANNED] = rounds;
    if (s[CV_FIT_PLANNED] != rounds) /* what is averaged hangs on it */
        return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                          "training.rounds: a private fit goes on with the %g "
                          "rounds that it began with; found %d",
                          s[CV_FIT_PLANNED], rounds);
    if (cv_private_newton_step(state, &fit->secret, sum, sigma, fit->penalty,
                               rounds))
        return fail(err);
    memcpy(cv_fit_of(run, "working"), cv_private_newton_at(state),
           q * sizeof(double));
    s[CV_FIT_STAGE] = 2;
    set_scalars(run, sigma, 1.0);
    if (run->round + 1 < rounds)
        return 0;
    double *cov = CV_NEW(q * q, double), *b = CV_NEW(q, double);
    int rc = cv_private_newton_result(state, &fit->secret, sigma, fit->penalty,
                                      rounds, b, cov, &raised)
                 ? fail(err)
                 : 0;
    if (!rc) {
        memcpy(cv_fit_of(run, "working"), b, q * sizeof *b);
        store(run, b, cov);
        s[CV_FIT_STAGE] = 3;
        s[CV_FIT_CONVERGED] = 1;
    }
    free(cov);
    free(b);
    return rc;
}

static int take_sum(cv_run *run, const cv_attempt *at, cv_err *err)
{
    size_t d = run->budget->d;
    const uint64_t *words = run->secure->sum;
    double *sum = CV_NEW(d, double), unit = exp2(run->budget->exponent);
    double sigma = deviation(run, at);
    for (size_t k = 0; k < d; k++)
        sum[k] = (double)cv_f61_centre(words[k]) * unit;
    cv_fit_set_penalty(run);
    cv_fit_scalars(run)[CV_FIT_ITERATIONS] += 1.0;
    int rc = is_logistic(run) ? step_logistic(run, sum, sigma, err)
                              : solve_linear(run, sum, sigma, err);
    free(sum);
    return rc;
}

int cv_round_fit_private_all(cv_run *run, cv_err *err)
{
    cv_attempt at = {0};
    double seconds[CV_N_PHASES] = {0};
    double *before = CV_NEW(run->n, double);
    memcpy(before, run->fit->v, run->n * sizeof *before);
    int rc = cv_agree_all(run->fed.world, set_units(run, err), err);
    if (!rc && is_logistic(run) && run->round == 0)
        cv_private_newton_start(cv_fit_of(run, "newton"), run->fit->q);
    if (!rc) {
        to_working(run);
        rc = begin_all(run, &at, err);
    }
    if (!rc)
        rc = cv_masked_sum_all(run, &at, run->budget->d, err);
    if (!rc && cv_fed_is_leader(&run->fed))
        rc = take_sum(run, &at, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        rc = cv_fit_agree_all(run, err);
    if (!rc) {
        cv_history_row *h = cv_round_record(run, at.n, NAN, NAN, seconds);
        for (int j = 0; j < CV_MAX_METRICS; j++)
            h->metrics[j] = NAN;
        cv_masked_end_round(run, &at, h);
    } else {
        memcpy(run->fit->v, before, run->n * sizeof *before);
    }
    free(before);
    cv_attempt_end(&at);
    return rc;
}

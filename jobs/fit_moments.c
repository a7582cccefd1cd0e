/* Round 1: from the sums of the columns to centres and units. */
#include <math.h>
#include <string.h>

#include "jobs/fit_parts.h"

/* Is coefficient j that of the constant? */
int cv_fit_is_intercept(const cv_run *run, int j)
{
    return cv_fit_is(run, "kernel_ridge") ? j == 0
                                          : run->fit->model->plan->term[j] < 0;
}

/* Columns that people call constant have a spread by rounding alone. */
static double spread(double square, double n, double mean)
{
    double v = square / n - mean * mean;
    return v > 1e-14 * mean * mean ? sqrt(v) : 0.0;
}

/* Is there a constant that takes up the means: an intercept, of all or of each
 * silo, or a baseline hazard? */
static int has_constant(const cv_run *run)
{
    return run->fit->model->formula->intercept || cv_fit_is(run, "cox") ||
           cv_fit_is(run, "pca");
}

static void set_units(const cv_run *run, const double *m)
{
    const cv_job *job = run->job;
    double *centre = cv_fit_of(run, "centre"), *unit = cv_fit_of(run, "unit");
    int p = run->fit->model->p, constant = has_constant(run);
    int kernel = cv_fit_is(run, "kernel_ridge"), pca = cv_fit_is(run, "pca");
    int pooled = job->data.standardize == CV_STANDARDIZE_POOLED;
    const double *sum = m + CV_M_FIXED, *square = sum + p;
    double n = m[CV_M_ROWS];
    for (int j = 0; j < p; j++) {
        double mean = sum[j] / n, sd = spread(square[j], n, mean);
        double size = sqrt(square[j] / n);
        centre[j] = 0.0;
        unit[j] = 1.0;
        if ((!kernel && cv_fit_is_intercept(run, j)) || (kernel && !pooled))
            continue;
        if (constant)
            centre[j] = mean;
        unit[j] = constant && sd > 0.0 ? sd : size > 0.0 ? size : 1.0;
        if (pca)
            unit[j] = job->model.scale && sd > 0.0
                          ? sd * sqrt(n / fmax(n - 1.0, 1.0))
                          : 1.0;
    }
}

/* Under masks: what only a few silos have is in the sum those silos' own, which
 * the colluding ones among them could take apart. */
static int check_silos(const cv_run *run, const double *m, cv_err *err)
{
    static const struct {
        int count;
        const char *what;
    } rules[] = {
        {CV_P_ROWS, "rows for this fit"},
        {CV_P_YES, "rows with an event (or a response that is not 0)"},
        {CV_P_NO, "rows without an event"},
    };
    int least = run->secure->collusion + 2;
    for (size_t i = 0; i < sizeof rules / sizeof *rules && run->secure->masks;
         i++)
        if (m[rules[i].count] > 0.0 && m[rules[i].count] < least)
            return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                              "fewer than %d silos "
                              "(secure_aggregation.collusion, and 2) have %s, "
                              "so the sums would be those silos' own",
                              least, rules[i].what);
    return 0;
}

/* The same of single columns. */
static int check_columns(const cv_run *run, const double *m, cv_err *err)
{
    const cv_frame_plan *plan = run->fit->model->plan;
    int least = run->secure->collusion + 2;
    const double *has = m + CV_P_FIXED, *lacks = has + plan->p;
    for (int j = 0; j < plan->p && run->secure->masks; j++) {
        int few = has[j] > 0.0 && has[j] < least;
        int few_others =
            plan->term[j] >= 0 && lacks[j] > 0.0 && lacks[j] < least;
        if (few || few_others)
            return cv_err_set(
                err, CV_ERR_PRIVACY, NULL, 0,
                "column '%s': %s in fewer than %d silos "
                "(secure_aggregation.collusion, and 2), so sums of it would be "
                "those silos' own; leave it out, or join levels",
                plan->name[j],
                run->job->model.strata == CV_STRATA_SILO ? "it varies"
                : few ? "there are rows in which it is not zero"
                      : "there are rows of other levels",
                least);
    }
    return 0;
}

int cv_fit_check_presence(const cv_run *run, cv_err *err)
{
    const double *m = run->fit->numbers;
    int rc = check_silos(run, m, err);
    return rc ? rc : check_columns(run, m, err);
}

int cv_fit_take_moments(cv_run *run, cv_err *err)
{
    double *s = cv_fit_scalars(run);
    const double *m = run->fit->numbers;
    if (!(m[CV_M_POSITIVE] >= 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no silo has a row without missing values");
    if (cv_fit_is(run, "cox") && !(m[CV_M_EVENTS] >= 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no row of any silo has an event");
    s[CV_FIT_ROWS] = m[CV_M_ROWS];
    s[CV_FIT_POSITIVE_ROWS] = m[CV_M_POSITIVE];
    s[CV_FIT_WEIGHT_SUM] = m[CV_M_WEIGHT];
    s[CV_FIT_EVENTS] = m[CV_M_EVENTS];
    s[CV_FIT_RESPONSE_MEAN] = m[CV_M_WEIGHTED_Y] / m[CV_M_WEIGHT];
    s[CV_FIT_STAGE] = 1;
    s[CV_FIT_PREVIOUS] = INFINITY;
    s[CV_FIT_DISPERSION] = 1.0;
    if (run->job->model.strata == CV_STRATA_SILO && cv_fit_is(run, "glm"))
        s[CV_FIT_INTERCEPTS] = run->fed.n_silos;
    set_units(run, m);
    return 0;
}

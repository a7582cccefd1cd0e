#include "jobs/inspect_fit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "jobs/paragraph.h"
#include "jobs/text_columns.h"

enum { WIDTH = 100, FEW = 30, FEW_COMPONENTS = 8 };

static double scalar(const cv_saved *s, int which)
{
    return cv_fit_const(s->fit, s->v, "scalars")[which];
}

static int is_tested(const cv_saved *s)
{
    return (s->fit->kind == CV_FIT_GLM || s->fit->kind == CV_FIT_COX) &&
           !(s->job->model.ridge > 0.0);
}

/* ---- the head ----------------------------------------------------------------------- */

/* A labelled text, broken between words; what would move a cursor is not
 * printed. */
static void head_line(const char *label, const char *text)
{
    enum { INDENT = 11 };
    char *copy = cv_strdup(text);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    cv_print_words(printf("%-*s", INDENT, label), INDENT, WIDTH, copy);
    free(copy);
}

static void say_model(const cv_saved *s)
{
    const cv_fit_model *m = s->fit;
    const cv_job *job = s->job;
    cv_buf b = {0};
    cv_buf_printf(&b, "%s", job->model.kind);
    if (m->kind == CV_FIT_GLM)
        cv_buf_printf(&b, ", family %s, link %s", cv_family_name(&m->family),
                      cv_link_name(&m->family));
    if (m->kind == CV_FIT_COX)
        cv_buf_printf(&b, ", ties %s",
                      job->model.ties ? job->model.ties : "efron");
    if (m->kind == CV_FIT_KERNEL_RIDGE)
        cv_buf_printf(&b, ", %d random features of %d column%s", m->q - 1, m->p,
                      m->p == 1 ? "" : "s");
    if (m->kind == CV_FIT_PCA)
        cv_buf_printf(&b, ", %d of %d components, of the %s matrix",
                      m->components, m->p,
                      job->model.scale ? "correlation" : "covariance");
    if (m->kind == CV_FIT_GLM && job->model.strata == CV_STRATA_SILO)
        cv_buf_printf(&b, ", an intercept for each silo, which it keeps");
    if (m->kind == CV_FIT_COX && job->model.strata == CV_STRATA_SILO)
        cv_buf_printf(&b, ", a baseline hazard for each silo");
    else if (m->kind == CV_FIT_COX)
        cv_buf_printf(&b, ", one baseline hazard over %d time bins",
                      job->model.n_bins - 1);
    if (job->model.ridge > 0.0)
        cv_buf_printf(&b, ", penalty %g", job->model.ridge);
    if (job->model.weights)
        cv_buf_printf(&b, ", weights %s", job->model.weights);
    head_line("model", cv_buf_text(&b));
    cv_buf_free(&b);
}

/* The response as the schema knows it, or NULL. */
static const cv_feature *response_of(const cv_saved *s)
{
    const char *name = s->fit->formula->response.column;
    const cv_feature *target = &s->schema->target;
    if (target->name && strcmp(target->name, name) == 0)
        return target;
    for (int i = 0; i < s->schema->n_features; i++)
        if (strcmp(s->schema->features[i].name, name) == 0)
            return &s->schema->features[i];
    return NULL;
}

static void say_target(const cv_saved *s)
{
    const cv_formula *f = s->fit->formula;
    if (!f->has_response)
        return;
    const cv_feature *y = response_of(s);
    char *text;
    if (f->event && f->event_is)
        text = cv_asprintf("%s, event where %s is %g", f->response.label,
                           f->event, f->event_value);
    else if (f->event)
        text = cv_asprintf("%s, event %s", f->response.label, f->event);
    else if (y && y->n_levels == 2)
        text = cv_asprintf("%s (modelled: that it is %s, not %s)",
                           f->response.label, y->levels[1], y->levels[0]);
    else
        text = cv_strdup(f->response.label);
    head_line("target", text);
    free(text);
}

void cv_inspect_fit_head(const cv_saved *s)
{
    char rows[32], events[32];
    say_model(s);
    head_line("formula", s->job->model.formula);
    if (scalar(s, CV_FIT_STAGE) > 0.0 && !s->job->privacy.enabled) {
        cv_format_count(rows, sizeof rows, (int64_t)scalar(s, CV_FIT_ROWS));
        cv_format_count(events, sizeof events,
                        (int64_t)scalar(s, CV_FIT_EVENTS));
        printf("rows       %s", rows);
        if (s->fit->kind == CV_FIT_COX)
            printf(", %s events", events);
        printf("\n");
    }
    say_target(s);
}

/* ---- coefficients ---------------------------------------------------------------------- */

enum { ESTIMATE, ERROR, STATISTIC, P, LOWER, UPPER, RATIO, N_FIELDS };

static double field(const cv_fit_line *line, int which)
{
    const double v[N_FIELDS] = {
        line->estimate, line->std_error, line->statistic, line->p_value,
        line->lower,    line->upper,     line->ratio};
    return v[which];
}

/* How each field is written: estimates and errors alike, as in R. */
static void choose_formats(const cv_fit_summary *sum, int n,
                           cv_number_format f[N_FIELDS])
{
    double *v = CV_NEW(n, double);
    for (int k = 0; k < N_FIELDS; k++) {
        for (int i = 0; i < n; i++)
            v[i] = field(&sum->line[i], k);
        f[k] = k == P ? cv_p_format_of(v, (size_t)n)
                      : cv_number_format_of(v, (size_t)n, 4,
                                            k == STATISTIC ? 3 : 12);
    }
    free(v);
    f[ERROR] = f[ESTIMATE] = cv_number_format_both(f[ESTIMATE], f[ERROR]);
    /* Ends of intervals come near 0 by chance; they have no digits that the
     * estimates do not have. */
    f[UPPER] = f[LOWER] = f[ESTIMATE];
}

static void fill_row(const cv_text_columns *t, int row, const cv_fit_line *line,
                     const int *which, const cv_number_format *f)
{
    if (line->dropped) {
        snprintf(cv_text_cell(t, row, 0), CV_CELL_TEXT, "NA");
        if (t->n_cols > 1)
            snprintf(cv_text_cell(t, row, 1), CV_CELL_TEXT, "(collinear)");
        return;
    }
    for (int c = 0; c < t->n_cols; c++) {
        char *cell = cv_text_cell(t, row, c);
        double v = field(line, which[c]);
        if (which[c] == P)
            cv_p_text(cell, v, f[P]);
        else if (which[c] != RATIO || !isnan(v)) /* the intercept has none */
            cv_number_text(cell, v, f[which[c]]);
    }
}

static void print_coefficients(const cv_saved *s, const cv_fit_summary *sum)
{
    static const char *const heads[2][N_FIELDS] = {
        {"Estimate", "Std. Error", "z value", "Pr(>|z|)", "2.5 %", "97.5 %",
         NULL},
        {"Estimate", "Std. Error", "t value", "Pr(>|t|)", "2.5 %", "97.5 %",
         NULL}};
    int has_errors = s->fit->kind == CV_FIT_GLM || s->fit->kind == CV_FIT_COX;
    int which[N_FIELDS], n_cols = 0, n = sum->n;
    if (!has_errors && n > FEW)
        n = FEW;
    for (int k = 0; k < N_FIELDS; k++)
        if (k == ESTIMATE || (k == ERROR && has_errors) ||
            (k == RATIO && sum->ratio_name) ||
            (k > ERROR && k < RATIO && is_tested(s)))
            which[n_cols++] = k;
    cv_number_format f[N_FIELDS];
    choose_formats(sum, n, f);
    const char **name = CV_NEW(n, const char *);
    cv_text_columns t = cv_text_columns_create(n, n_cols, name);
    for (int c = 0; c < n_cols; c++)
        snprintf(t.head[c], CV_CELL_TEXT, "%s",
                 which[c] == RATIO ? sum->ratio_name
                                   : heads[sum->by_t][which[c]]);
    for (int i = 0; i < n; i++) {
        name[i] = sum->line[i].name;
        fill_row(&t, i, &sum->line[i], which, f);
    }
    cv_text_columns_print(stdout, &t, WIDTH);
    cv_text_columns_free(&t);
    free(name);
    if (n < sum->n)
        printf("... and %d more (--json lists all)\n", sum->n - n);
    printf("\n");
}

/* ---- below the table ---------------------------------------------------------------------- */

/* Deviances and likelihoods: models are compared by their hundredths. */
static const char *measure(char out[40], double v)
{
    snprintf(out, 40, fabs(v) >= 1000.0 && fabs(v) < 1e15 ? "%.2f" : "%.6g", v);
    return out;
}

static void line_of(const char *label, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void line_of(const char *label, const char *fmt, ...)
{
    va_list ap;
    printf("%-18s ", label);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

static void say_measure(const char *label, double v)
{
    char text[40];
    if (!isnan(v))
        line_of(label, "%s", measure(text, v));
}

static void say_deviance(const char *label, double v, double df)
{
    char text[40];
    if (!isnan(v))
        line_of(label, "%s on %.10g degrees of freedom", measure(text, v), df);
}

static void print_glm(const cv_saved *s, const cv_fit_summary *sum)
{
    if (sum->by_t)
        say_measure("dispersion", sum->dispersion);
    else
        line_of("dispersion", "1 (by the family)");
    say_deviance("null deviance", sum->null_deviance, sum->df_null);
    say_deviance("residual deviance", sum->deviance, sum->df_residual);
    say_measure("R squared", sum->r_squared);
    say_measure("AIC", sum->aic);
    say_measure("log-likelihood", sum->loglik);
    if (s->job->model.strata == CV_STRATA_SILO)
        line_of("intercepts", "%.10g, of the silos, not shown",
                scalar(s, CV_FIT_INTERCEPTS));
}

static void print_cox(const cv_fit_summary *sum)
{
    char a[40], b[CV_CELL_TEXT];
    if (!isnan(sum->concordance))
        line_of("concordance", "%.4g", sum->concordance);
    if (!isnan(sum->lr_p)) {
        cv_p_text(b, sum->lr_p, cv_p_format_of(&sum->lr_p, 1));
        line_of("likelihood ratio", "%s on %.10g df, p %s%s",
                measure(a, sum->lr), sum->lr_df, b[0] == '<' ? "" : "= ", b);
    }
    if (!isnan(sum->loglik)) {
        char null[40];
        line_of("log-likelihood", "%s, with all coefficients 0: %s",
                measure(a, sum->loglik),
                measure(null, -0.5 * sum->null_deviance));
    }
    say_measure("AIC", sum->aic);
}

static void print_warnings(const cv_saved *s)
{
    double extreme = scalar(s, CV_FIT_EXTREME);
    if (scalar(s, CV_FIT_CONVERGED) != 1.0)
        printf("warning: not converged: estimates, and all that follows from "
               "them, may be wrong\n");
    if (extreme > 0.0)
        printf("warning: %.10g fitted %s numerically %s: a coefficient may "
               "have no finite value\n",
               extreme,
               s->fit->family.kind == CV_FAMILY_BINOMIAL ? "probabilities are"
                                                         : "values are",
               s->fit->family.kind == CV_FAMILY_BINOMIAL ? "0 or 1" : "0");
    if (s->job->privacy.enabled && s->fit->kind != CV_FIT_PCA)
        printf("privacy: the sums have noise in them; standard errors%s "
               "include it\n",
               is_tested(s) ? ", tests and intervals" : "");
    if (s->job->model.ridge > 0.0 &&
        (s->fit->kind == CV_FIT_GLM || s->fit->kind == CV_FIT_COX))
        printf("no tests and intervals: the penalty biases estimates towards "
               "0\n");
}

/* ---- principal components ------------------------------------------------------------------ */

static void print_importance(const cv_saved *s, int k)
{
    static const char *const name[] = {"Standard deviation",
                                       "Proportion of Variance",
                                       "Cumulative Proportion"};
    const double *var = cv_fit_const(s->fit, s->v, "variances");
    double total = scalar(s, CV_FIT_TOTAL_VARIANCE), sum = 0.0;
    cv_text_columns t = cv_text_columns_create(3, k, name);
    double *sd = CV_NEW(k, double);
    for (int c = 0; c < k; c++)
        sd[c] = sqrt(fmax(0.0, var[c]));
    cv_number_format f = cv_number_format_of(sd, (size_t)k, 4, 12);
    for (int c = 0; c < k; c++) {
        sum += var[c];
        snprintf(t.head[c], CV_CELL_TEXT, "PC%d", c + 1);
        cv_number_text(cv_text_cell(&t, 0, c), sd[c], f);
        snprintf(cv_text_cell(&t, 1, c), CV_CELL_TEXT, "%.4f", var[c] / total);
        snprintf(cv_text_cell(&t, 2, c), CV_CELL_TEXT, "%.4f", sum / total);
    }
    printf("importance of components\n");
    cv_text_columns_print(stdout, &t, WIDTH);
    cv_text_columns_free(&t);
    free(sd);
}

static void print_loadings(const cv_saved *s, int k)
{
    const cv_fit_model *m = s->fit;
    const double *load = cv_fit_const(m, s->v, "loadings");
    int n = m->q < FEW ? m->q : FEW;
    cv_text_columns t =
        cv_text_columns_create(n, k, (const char *const *)m->name);
    for (int c = 0; c < k; c++) {
        const double *row = load + (size_t)c * (size_t)m->q;
        snprintf(t.head[c], CV_CELL_TEXT, "PC%d", c + 1);
        for (int j = 0; j < n; j++)
            snprintf(cv_text_cell(&t, j, c), CV_CELL_TEXT, "%.6f", row[j]);
    }
    printf("\nloadings\n");
    cv_text_columns_print(stdout, &t, WIDTH);
    cv_text_columns_free(&t);
    if (n < m->q)
        printf("... and %d more columns (--json lists all)\n", m->q - n);
    if (k < m->components)
        printf("... and %d more components (--json lists all)\n",
               m->components - k);
}

static void print_pca(const cv_saved *s)
{
    int k = s->fit->components;
    if (k > FEW_COMPONENTS)
        k = FEW_COMPONENTS;
    print_importance(s, k);
    print_loadings(s, k);
}

void cv_inspect_fit_print(const cv_saved *s)
{
    static const char *const stages[] = {"not begun", "means are known",
                                         "iterating"};
    int stage = (int)scalar(s, CV_FIT_STAGE);
    cv_fit_summary sum;
    printf("\n");
    if (stage < 3) {
        printf("fit        %s, %.10g iterations: no results yet\n",
               stages[stage], scalar(s, CV_FIT_ITERATIONS));
        return;
    }
    if (s->fit->kind == CV_FIT_PCA) {
        print_pca(s);
        print_warnings(s);
        return;
    }
    cv_fit_summary_make(s->fit, s->job, s->v, &sum);
    print_coefficients(s, &sum);
    if (s->fit->kind == CV_FIT_GLM)
        print_glm(s, &sum);
    else if (s->fit->kind == CV_FIT_COX)
        print_cox(&sum);
    else
        say_measure("R squared", sum.r_squared);
    line_of("iterations", "%.10g", scalar(s, CV_FIT_ITERATIONS));
    print_warnings(s);
    cv_fit_summary_free(&sum);
}

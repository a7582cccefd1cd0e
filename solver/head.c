#include "solver/head.h"

#include <math.h>

#include "core/err.h"
#include "solver/vmath.h"

enum { CHUNK = 64 }; /* rows whose maxima and sums stay in L1 */

/* Logs of single rows: rows are few beside the products around them. */

/* ---- squared loss ---- */

static double squared_gradient(float *s, int64_t ld, const float *y, int n_out,
                               int rows)
{
    (void)ld, (void)n_out;
    double loss = 0.0;
    for (int j = 0; j < rows; j++) {
        float e = s[j] - y[j];
        loss += 0.5 * (double)e * (double)e;
        s[j] = e;
    }
    return loss;
}

static void squared_predict(float *s, int64_t ld, int n_out, int rows)
{
    (void)s, (void)ld, (void)n_out, (void)rows;
}

static void squared_sums(float *s, int64_t ld, const float *y, int n_out,
                         int rows, double *sums)
{
    (void)ld, (void)n_out;
    for (int j = 0; j < rows; j++) {
        double v = (double)y[j], e = (double)s[j] - v;
        sums[0] += 1.0;
        sums[1] += 0.5 * e * e;
        sums[2] += fabs(e);
        sums[3] += v;
        sums[4] += v * v;
    }
}

static int squared_metrics(const double *sums, double values[CV_MAX_METRICS],
                           const char *names[CV_MAX_METRICS])
{
    double n = sums[0], spread = sums[4] - sums[3] * sums[3] / n;
    names[0] = "loss";
    values[0] = sums[1] / n;
    names[1] = "rmse";
    values[1] = sqrt(2.0 * sums[1] / n);
    names[2] = "mae";
    values[2] = sums[2] / n;
    names[3] = "r2";
    values[3] = spread > 0.0 ? 1.0 - 2.0 * sums[1] / spread : (double)NAN;
    return 4;
}

/* ---- classes ---- */

/* Labels are checked where data are read; a wrong one here would write out of
 * bounds. */
static int label(float y, int n_classes)
{
    CV_CHECK(y >= 0.0f && y < (float)n_classes && (float)(int)y == y);
    return (int)y;
}

static int class_metrics(const double *sums, double values[CV_MAX_METRICS],
                         const char *names[CV_MAX_METRICS])
{
    names[0] = "loss";
    values[0] = sums[1] / sums[0];
    names[1] = "accuracy";
    values[1] = sums[2] / sums[0];
    return 2;
}

CV_HOT static void sigmoid_all(float *s, int n)
{
    for (int j = 0; j < n; j++)
        s[j] = cv_sigmoidf(s[j]);
}

static double logistic_gradient(float *s, int64_t ld, const float *y, int n_out,
                                int rows)
{
    (void)ld, (void)n_out;
    double loss = 0.0;
    for (int j = 0; j < rows; j++) {
        label(y[j], 2);
        double v = (double)s[j];
        loss += (v > 0.0 ? v : 0.0) - (double)y[j] * v + log1p(exp(-fabs(v)));
    }
    sigmoid_all(s, rows);
    for (int j = 0; j < rows; j++)
        s[j] -= y[j];
    return loss;
}

static void logistic_predict(float *s, int64_t ld, int n_out, int rows)
{
    (void)ld, (void)n_out;
    sigmoid_all(s, rows);
}

static void logistic_sums(float *s, int64_t ld, const float *y, int n_out,
                          int rows, double *sums)
{
    for (int j = 0; j < rows; j++)
        sums[2] += (s[j] > 0.0f) == (y[j] > 0.0f) ? 1.0 : 0.0;
    sums[0] += rows;
    sums[1] += logistic_gradient(s, ld, y, n_out, rows);
}

/* s = softmax(s) for up to CHUNK rows; top and total get the maximum of each
 * row and the sum of e^(s - top). */
CV_HOT static void softmax_chunk(float *s, float *restrict top,
                                 float *restrict total, int64_t ld, int n_out,
                                 int rows)
{
    for (int j = 0; j < rows; j++) {
        top[j] = s[j];
        total[j] = 0.0f;
    }
    for (int i = 1; i < n_out; i++) {
        const float *restrict row = s + i * ld;
        for (int j = 0; j < rows; j++)
            top[j] = row[j] > top[j] ? row[j] : top[j];
    }
    for (int i = 0; i < n_out; i++) {
        float *restrict row = s + i * ld;
        for (int j = 0; j < rows; j++) {
            float e = cv_expf(row[j] - top[j]);
            row[j] = e;
            total[j] += e;
        }
    }
    float inverse[CHUNK];
    for (int j = 0; j < rows; j++)
        inverse[j] = 1.0f / total[j];
    for (int i = 0; i < n_out; i++) {
        float *restrict row = s + i * ld;
        for (int j = 0; j < rows; j++)
            row[j] *= inverse[j];
    }
}

static double softmax_gradient(float *s, int64_t ld, const float *y, int n_out,
                               int rows)
{
    double loss = 0.0;
    float own[CHUNK], top[CHUNK], total[CHUNK];
    for (int from = 0; from < rows; from += CHUNK, s += CHUNK, y += CHUNK) {
        int n = rows - from < CHUNK ? rows - from : CHUNK;
        for (int j = 0; j < n; j++)
            own[j] = s[label(y[j], n_out) * ld + j];
        softmax_chunk(s, top, total, ld, n_out, n);
        for (int j = 0; j < n; j++) {
            loss += log((double)total[j]) + (double)top[j] - (double)own[j];
            s[(int)y[j] * ld + j] -= 1.0f;
        }
    }
    return loss;
}

static void softmax_predict(float *s, int64_t ld, int n_out, int rows)
{
    float top[CHUNK], total[CHUNK];
    for (int from = 0; from < rows; from += CHUNK, s += CHUNK)
        softmax_chunk(s, top, total, ld, n_out,
                      rows - from < CHUNK ? rows - from : CHUNK);
}

static void softmax_sums(float *s, int64_t ld, const float *y, int n_out,
                         int rows, double *sums)
{
    for (int j = 0; j < rows; j++) {
        int best = 0;
        for (int i = 1; i < n_out; i++)
            if (s[i * ld + j] > s[best * ld + j])
                best = i;
        sums[2] += best == label(y[j], n_out) ? 1.0 : 0.0;
    }
    sums[0] += rows;
    sums[1] += softmax_gradient(s, ld, y, n_out, rows);
}

/* ---- counts ---- */

CV_HOT static void exp_all(float *s, int n)
{
    for (int j = 0; j < n; j++)
        s[j] = cv_expf(s[j]);
}

static double poisson_gradient(float *s, int64_t ld, const float *y, int n_out,
                               int rows)
{
    (void)ld, (void)n_out;
    double loss = 0.0;
    for (int j = 0; j < rows; j++)
        loss -= (double)y[j] * (double)s[j];
    exp_all(s, rows);
    for (int j = 0; j < rows; j++) {
        loss += (double)s[j];
        s[j] -= y[j];
    }
    return loss;
}

static void poisson_predict(float *s, int64_t ld, int n_out, int rows)
{
    (void)ld, (void)n_out;
    exp_all(s, rows);
}

static void poisson_sums(float *s, int64_t ld, const float *y, int n_out,
                         int rows, double *sums)
{
    (void)ld, (void)n_out;
    for (int j = 0; j < rows; j++) {
        double v = (double)y[j], eta = (double)s[j], mean = exp(eta);
        sums[0] += 1.0;
        sums[1] += mean - v * eta;
        sums[2] += 2.0 * ((v > 0.0 ? v * (log(v) - eta) : 0.0) - (v - mean));
    }
}

static int poisson_metrics(const double *sums, double values[CV_MAX_METRICS],
                           const char *names[CV_MAX_METRICS])
{
    names[0] = "loss";
    values[0] = sums[1] / sums[0];
    names[1] = "deviance";
    values[1] = sums[2] / sums[0];
    return 2;
}

const cv_head cv_head_squared = {"squared",        5,
                                 squared_gradient, squared_predict,
                                 squared_sums,     squared_metrics};
const cv_head cv_head_logistic = {"logistic",        3,
                                  logistic_gradient, logistic_predict,
                                  logistic_sums,     class_metrics};
const cv_head cv_head_softmax = {"softmax",        3,
                                 softmax_gradient, softmax_predict,
                                 softmax_sums,     class_metrics};
const cv_head cv_head_poisson = {"poisson",        3,
                                 poisson_gradient, poisson_predict,
                                 poisson_sums,     poisson_metrics};

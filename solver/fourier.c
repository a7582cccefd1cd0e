#include "solver/fourier.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"

/* Rows whose products are made before their cosines: they stay in a cache. */
enum { BLOCK = 64 };

struct cv_fourier {
    int n_in, n_out;
    double *frequencies; /* (n_out, n_in) */
    double *phases;      /* (n_out) */
    double scale;
};

cv_fourier *cv_fourier_create(int n_in, int n_out, double gamma, uint64_t seed)
{
    CV_CHECK(n_in > 0 && n_out > 0 && gamma > 0.0 && isfinite(gamma));
    cv_fourier *f = CV_NEW(1, cv_fourier);
    f->n_in = n_in;
    f->n_out = n_out;
    f->frequencies = CV_NEW((size_t)n_in * (size_t)n_out, double);
    f->phases = CV_NEW(n_out, double);
    f->scale = sqrt(2.0 / n_out);
    cv_stream s;
    cv_stream_open(&s, seed, "kernel frequencies", 0, 0);
    double *w = f->frequencies, deviation = sqrt(2.0 * gamma);
    for (int k = 0; k < n_out; k++) {
        for (int j = 0; j < n_in; j++)
            *w++ = deviation * cv_stream_normal(&s);
        f->phases[k] = 2.0 * M_PI * cv_stream_uniform(&s);
    }
    cv_stream_close(&s);
    return f;
}

void cv_fourier_destroy(cv_fourier **f)
{
    if (!f || !*f)
        return;
    free((*f)->frequencies);
    free((*f)->phases);
    CV_FREE(*f);
}

void cv_fourier_map(const cv_fourier *f, const double *x, int64_t n, double *z)
{
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        double *out = z + i * f->n_out;
        cv_blas_dgemm(0, 1, m, f->n_out, f->n_in, 1.0, x + i * f->n_in, f->n_in,
                      f->frequencies, f->n_in, 0.0, out, f->n_out);
        for (int64_t r = 0; r < m; r++, out += f->n_out)
            for (int k = 0; k < f->n_out; k++)
                out[k] = f->scale * cos(out[k] + f->phases[k]);
    }
}

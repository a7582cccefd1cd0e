#include "solver/scattering.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "solver/lane_fft.h"
#include "solver/morlet.h"
#include "solver/simd.h"

enum {
    J = CV_MORLET_SCALES,
    L = CV_MORLET_ANGLES,
    STEP = 1 << J, /* pixels an output stands for */
    AT_ONCE = 6    /* products summed before the sum goes to memory */
};
_Static_assert((int)CV_SCATTERING_CHANNELS == 1 + J * L + L * L, "J is 2");
_Static_assert((int)CV_SCATTERING_ROWS == (int)CV_LANES, "a lane each");

/* A plane is an array of points (solver/lane_fft.h): 16 images, in the spatial
 * or the frequency domain. Its parts, real and imaginary, often are two real
 * planes that are worked on together. */

/* An axis: n pixels after padding, whole and at every second pixel. */
typedef struct {
    int n, size, n_out; /* n of the padded axis, of the image, of the output */
    int *from;          /* (n) pixel of the image */
    cv_lane_fft fft[J]; /* of n and n / 2 points */
    float *low[J];      /* (n_out, n >> j): phi at the output's pixels */
} axis;

struct cv_scattering {
    axis y, x;
    float *psi[J][L]; /* (y.n, x.n) */
};

struct cv_scattering_work {
    float *image;    /* (y.n, x.n) points: the image's transform */
    float *band[2];  /* (y.n, x.n) points */
    float *half[2];  /* (y.n / 2, x.n / 2) points */
    float *rows;     /* (y.n_out, x.n) points */
    float *pair;     /* (y.n_out, x.n_out) points */
    float *fft;      /* scratch of the transforms */
    float *features; /* (81, y.n_out, x.n_out, CV_LANES) */
};

/* ---- set-up ----------------------------------------------------------------
 */

static void axis_init(axis *a, int size)
{
    a->size = size;
    a->n = ((size + STEP) / STEP + 1) * STEP;
    a->n_out = a->n / STEP - 2; /* the padding goes again */
    a->from = CV_NEW(a->n, int);
    int before = (a->n - size) / 2;
    for (int i = 0; i < a->n; i++) {
        int p = abs(i - before);
        a->from[i] = p < size ? p : 2 * (size - 1) - p;
    }
    for (int j = 0; j < J; j++) {
        int n = a->n >> j;
        double *phi = CV_NEW(n, double);
        cv_lane_fft_init(&a->fft[j], n);
        a->low[j] = CV_NEW((size_t)a->n_out * (size_t)n, float);
        cv_morlet_low_pass(phi, a->n, j);
        for (int i = 0; i < a->n_out; i++)
            for (int k = 0; k < n; k++) {
                int middle = (i + 1) * (STEP >> j);
                a->low[j][i * n + k] = (float)phi[(middle - k + n) % n];
            }
        free(phi);
    }
}

static void axis_free(axis *a)
{
    free(a->from);
    for (int j = 0; j < J; j++) {
        cv_lane_fft_free(&a->fft[j]);
        free(a->low[j]);
    }
}

int cv_scattering_create(int height, int width, cv_scattering **out,
                         cv_err *err)
{
    *out = NULL;
    if (height < CV_SCATTERING_MIN || width < CV_SCATTERING_MIN ||
        height > CV_SCATTERING_MAX || width > CV_SCATTERING_MAX)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "transform scattering needs images of %d x %d to "
                          "%d x %d pixels; found %d x %d",
                          CV_SCATTERING_MIN, CV_SCATTERING_MIN,
                          CV_SCATTERING_MAX, CV_SCATTERING_MAX, height, width);
    cv_scattering *s = CV_NEW(1, cv_scattering);
    axis_init(&s->y, height);
    axis_init(&s->x, width);
    size_t n = (size_t)s->y.n * (size_t)s->x.n;
    for (int j = 0; j < J; j++)
        for (int t = 0; t < L; t++) {
            s->psi[j][t] = CV_NEW(n, float);
            /* The inverse transforms are not normalised. */
            cv_morlet(s->psi[j][t], s->y.n, s->x.n, j, t, 1.0 / (double)n);
        }
    *out = s;
    return 0;
}

void cv_scattering_destroy(cv_scattering **s)
{
    if (!*s)
        return;
    axis_free(&(*s)->y);
    axis_free(&(*s)->x);
    for (int j = 0; j < J; j++)
        for (int t = 0; t < L; t++)
            free((*s)->psi[j][t]);
    CV_FREE(*s);
}

static int pixels_out(const cv_scattering *s)
{
    return s->y.n_out * s->x.n_out;
}

int cv_scattering_n_out(const cv_scattering *s)
{
    return CV_SCATTERING_CHANNELS * pixels_out(s);
}

cv_scattering_work *cv_scattering_work_create(const cv_scattering *s)
{
    cv_scattering_work *w = CV_NEW(1, cv_scattering_work);
    size_t n = (size_t)s->y.n * (size_t)s->x.n * CV_POINT;
    w->image = CV_NEW(n, float);
    for (int i = 0; i < 2; i++) {
        w->band[i] = CV_NEW(n, float);
        w->half[i] = CV_NEW(n / 4, float);
    }
    w->rows = CV_NEW((size_t)s->y.n_out * (size_t)s->x.n * CV_POINT, float);
    w->pair = CV_NEW((size_t)pixels_out(s) * CV_POINT, float);
    int longest = s->y.n > s->x.n ? s->y.n : s->x.n;
    w->fft = CV_NEW(2 * (size_t)longest * CV_POINT, float);
    w->features = CV_NEW((size_t)cv_scattering_n_out(s) * CV_LANES, float);
    return w;
}

void cv_scattering_work_destroy(cv_scattering_work **work)
{
    cv_scattering_work *w = *work;
    if (!w)
        return;
    free(w->image);
    for (int i = 0; i < 2; i++) {
        free(w->band[i]);
        free(w->half[i]);
    }
    free(w->rows);
    free(w->pair);
    free(w->fft);
    free(w->features);
    CV_FREE(*work);
}

/* ---- loops over planes -----------------------------------------------------
 */

CV_HOT static void multiply(float *restrict out, const float *restrict in,
                            const float *restrict factor, size_t points)
{
    for (size_t i = 0; i < points; i++, out += CV_POINT, in += CV_POINT)
        for (int l = 0; l < CV_POINT; l++)
            out[l] = in[l] * factor[i];
}

/* The same, and only every second pixel kept along both axes: frequencies half
 * a turn apart fall together. out (height / 2, width / 2). */
CV_HOT static void multiply_halve(float *restrict out, const float *restrict in,
                                  const float *restrict factor, int height,
                                  int width)
{
    size_t right = (size_t)width / 2, down = (size_t)width * (size_t)height / 2;
    for (int i = 0; i < height / 2; i++)
        for (int j = 0; j < width / 2; j++, out += CV_POINT) {
            size_t at = (size_t)i * (size_t)width + (size_t)j;
            const float *a = in + at * CV_POINT, *b = a + right * CV_POINT;
            const float *c = a + down * CV_POINT, *d = b + down * CV_POINT;
            const float *f = factor + at;
            for (int l = 0; l < CV_POINT; l++)
                out[l] = (a[l] * f[0] + b[l] * f[right]) +
                         (c[l] * f[down] + d[l] * f[down + right]);
        }
}

/* The modulus of every point, into one part of out. */
CV_HOT static void modulus(float *restrict out, const float *restrict in,
                           size_t points)
{
    for (size_t i = 0; i < points; i++, out += CV_POINT, in += CV_POINT)
        for (int l = 0; l < CV_LANES; l++) {
            float re = in[l], im = in[CV_LANES + l];
            out[l] = sqrtf(re * re + im * im);
        }
}

/* z is the transform of p + i q, p and q real: that of p into p, that of q into
 * z itself. Transforms of real signals are symmetric. */
CV_INLINE void split_point(float *restrict z, float *restrict mirror,
                           float *restrict p, float *restrict p_mirror)
{
    for (int l = 0; l < CV_LANES; l++) {
        float ar = z[l], ai = z[CV_LANES + l];
        float br = mirror[l], bi = mirror[CV_LANES + l];
        float pr = 0.5f * (ar + br), pi = 0.5f * (ai - bi);
        float qr = 0.5f * (ai + bi), qi = 0.5f * (br - ar);
        p[l] = p_mirror[l] = pr;
        p[CV_LANES + l] = pi;
        p_mirror[CV_LANES + l] = -pi;
        z[l] = mirror[l] = qr;
        z[CV_LANES + l] = qi;
        mirror[CV_LANES + l] = -qi;
    }
}

/* A point that is its own mirror image: both transforms are real there. */
CV_INLINE void split_fixed(float *restrict z, float *restrict p)
{
    for (int l = 0; l < CV_LANES; l++) {
        p[l] = z[l];
        z[l] = z[CV_LANES + l];
        p[CV_LANES + l] = z[CV_LANES + l] = 0.0f;
    }
}

CV_HOT static void split(float *restrict z, float *restrict p, int height,
                         int width)
{
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            int at = i * width + j;
            int mirror = (height - i) % height * width + (width - j) % width;
            size_t a = (size_t)at * CV_POINT, b = (size_t)mirror * CV_POINT;
            if (at < mirror)
                split_point(z + a, z + b, p + a, p + b);
            else if (at == mirror)
                split_fixed(z + a, p + a);
        }
}

/* out = sum of c[k] x[k] over n arrays of `length` that lie `next` apart. */
CV_HOT static void combine(float *restrict out, const float *restrict x,
                           const float *restrict c, int n, size_t next,
                           size_t length)
{
    for (int k = 0; k < n; k += AT_ONCE, x += AT_ONCE * next) {
        float f[AT_ONCE];
        const float *a[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            int there = k + i < n;
            f[i] = there ? c[k + i] : 0.0f;
            a[i] = there ? x + (size_t)i * next : x;
        }
        for (size_t l = 0; l < length; l++) {
            float v = ((a[0][l] * f[0] + a[1][l] * f[1]) +
                       (a[2][l] * f[2] + a[3][l] * f[3])) +
                      (a[4][l] * f[4] + a[5][l] * f[5]);
            out[l] = k ? out[l] + v : v;
        }
    }
}

/* ---- the transform ---------------------------------------------------------
 */

static void load(const cv_scattering *s, float *plane, const float *x, int rows)
{
    size_t size = (size_t)s->y.size * (size_t)s->x.size;
    memset(plane, 0,
           (size_t)s->y.n * (size_t)s->x.n * CV_POINT * sizeof *plane);
    for (int i = 0; i < s->y.n; i++)
        for (int j = 0; j < s->x.n; j++, plane += CV_POINT) {
            const float *p =
                x + (size_t)s->y.from[i] * (size_t)s->x.size + s->x.from[j];
            for (int l = 0; l < rows; l++)
                plane[l] = p[(size_t)l * size];
        }
}

/* Smooth both parts of a plane at every 2^j-th pixel: channel and the next. */
static void smooth(const cv_scattering *s, cv_scattering_work *w,
                   const float *plane, int j, int channel, int parts)
{
    int height = s->y.n >> j, width = s->x.n >> j, n = pixels_out(s);
    size_t row = (size_t)width * CV_POINT, wide = (size_t)s->x.n_out * CV_POINT;
    for (int i = 0; i < s->y.n_out; i++) {
        float *line = w->rows + (size_t)i * row;
        combine(line, plane, s->y.low[j] + i * height, height, row, row);
        for (int k = 0; k < s->x.n_out; k++)
            combine(w->pair + (size_t)i * wide + (size_t)k * CV_POINT, line,
                    s->x.low[j] + k * width, width, CV_POINT, CV_POINT);
    }
    for (int c = 0; c < parts; c++)
        for (int i = 0; i < n; i++)
            memcpy(w->features +
                       ((size_t)(channel + c) * (size_t)n + (size_t)i) *
                           CV_LANES,
                   w->pair + (size_t)i * CV_POINT + c * CV_LANES,
                   CV_LANES * sizeof(float));
}

static void forward(const cv_scattering *s, cv_scattering_work *w, float *plane)
{
    cv_lane_fft_2d(&s->y.fft[0], &s->x.fft[0], plane, 0, w->fft);
}

/* The modulus of in * psi_1t at every second pixel, into a part of out. */
static void wavelet_half(const cv_scattering *s, cv_scattering_work *w,
                         const float *in, int t, float *out)
{
    size_t points = (size_t)s->y.n * (size_t)s->x.n / 4;
    multiply_halve(w->half[0], in, s->psi[1][t], s->y.n, s->x.n);
    cv_lane_fft_2d(&s->y.fft[1], &s->x.fft[1], w->half[0], 1, w->fft);
    modulus(out, w->half[0], points);
}

/* | |x| * psi_1u | * phi for all u, from the transform of a plane: 8 channels
 * from `channel` on. */
static void coarse(const cv_scattering *s, cv_scattering_work *w,
                   const float *in, int channel)
{
    for (int u = 0; u < L; u += 2) {
        wavelet_half(s, w, in, u, w->half[1]);
        wavelet_half(s, w, in, u + 1, w->half[1] + CV_LANES);
        smooth(s, w, w->half[1], 1, channel + u, 2);
    }
}

static void scatter(const cv_scattering *s, cv_scattering_work *w)
{
    size_t points = (size_t)s->y.n * (size_t)s->x.n;
    smooth(s, w, w->image, 0, 0, 1);
    forward(s, w, w->image);
    coarse(s, w, w->image, 1 + L);
    for (int t = 0; t < L; t += 2) {
        for (int i = 0; i < 2; i++) {
            multiply(w->band[0], w->image, s->psi[0][t + i], points);
            cv_lane_fft_2d(&s->y.fft[0], &s->x.fft[0], w->band[0], 1, w->fft);
            modulus(w->band[1] + i * CV_LANES, w->band[0], points);
        }
        smooth(s, w, w->band[1], 0, 1 + t, 2);
        forward(s, w, w->band[1]);
        split(w->band[1], w->band[0], s->y.n, s->x.n);
        for (int i = 0; i < 2; i++)
            coarse(s, w, w->band[i], 1 + J * L + (t + i) * L);
    }
}

/* Mean 0 and variance 1 in each of n numbers of every lane. */
CV_HOT static void normalise_group(float *restrict x, int n)
{
    float mean[CV_LANES] = {0}, scale[CV_LANES] = {0};
    for (int i = 0; i < n; i++)
        for (int l = 0; l < CV_LANES; l++)
            mean[l] += x[i * CV_LANES + l];
    for (int l = 0; l < CV_LANES; l++)
        mean[l] /= (float)n;
    for (int i = 0; i < n; i++)
        for (int l = 0; l < CV_LANES; l++) {
            float d = x[i * CV_LANES + l] - mean[l];
            scale[l] += d * d;
        }
    for (int l = 0; l < CV_LANES; l++)
        scale[l] = 1.0f / sqrtf(scale[l] / (float)n + 1e-5f);
    for (int i = 0; i < n; i++)
        for (int l = 0; l < CV_LANES; l++)
            x[i * CV_LANES + l] = (x[i * CV_LANES + l] - mean[l]) * scale[l];
}

void cv_scattering_rows(const cv_scattering *s, cv_scattering_work *work,
                        const float *x, int rows, int normalise, float *out)
{
    int n = cv_scattering_n_out(s), group = n / CV_SCATTERING_GROUPS;
    CV_CHECK(rows > 0 && rows <= CV_LANES);
    load(s, work->image, x, rows);
    scatter(s, work);
    for (int g = 0; normalise && g < CV_SCATTERING_GROUPS; g++)
        normalise_group(work->features + (size_t)g * (size_t)group * CV_LANES,
                        group);
    for (int l = 0; l < rows; l++, out += n)
        for (int i = 0; i < n; i++)
            out[i] = work->features[i * CV_LANES + l];
}

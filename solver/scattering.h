/** Wavelet scattering of images: a fixed feature map that tells textures and
 *  edges apart and hardly moves when the image is shifted or bent a little.
 *
 *  Depth 2 over J = 2 scales and L = 8 angles.  With * the convolution, phi and
 *  psi of solver/morlet.h, and the output kept at every fourth pixel:
 *
 *      S0 = x * phi                                              1 channel
 *      S1(j, t) = |x * psi_jt| * phi                            16 channels
 *      S2(t, u) = ||x * psi_0t| * psi_1u| * phi                 64 channels
 *
 *  in this order (t before u, the last index fastest), as Kymatio's
 *  Scattering2D: images are continued by reflection to the next size but one
 *  that 4 divides, and what is kept at every second or fourth pixel is band
 *  limited by its filter.  An image of (h, w) gives (81, h / 4, w / 4) numbers:
 *  3,969 for 28 x 28.
 *
 *  Scope: local. Single precision, the same bytes on every CPU.
 *  Source: Mallat 2012; Bruna and Mallat 2013; Oyallon and Mallat 2015; group
 *  normalisation: Wu and He 2018, as used by Tramer and Boneh 2021.
 */
#ifndef COVEY_SOLVER_SCATTERING_H
#define COVEY_SOLVER_SCATTERING_H

#include "core/err.h"

enum {
    CV_SCATTERING_MIN = 8, /* least height and width */
    CV_SCATTERING_MAX = 1024,
    CV_SCATTERING_CHANNELS = 81,
    CV_SCATTERING_GROUPS = 27, /* of channels, for the normalisation */
    CV_SCATTERING_ROWS = 16    /* images that are worked on together */
};

typedef struct cv_scattering cv_scattering;
typedef struct cv_scattering_work cv_scattering_work;

/** CV_ERR_INPUT for a size out of range. */
int cv_scattering_create(int height, int width, cv_scattering **out,
                         cv_err *err);
void cv_scattering_destroy(cv_scattering **s);
int cv_scattering_n_out(const cv_scattering *s);

/** Room for one thread. */
cv_scattering_work *cv_scattering_work_create(const cv_scattering *s);
void cv_scattering_work_destroy(cv_scattering_work **work);

/** In:  x (rows, height, width), rows <= CV_SCATTERING_ROWS
 *       normalise: then each group of 3 channels of an image gets mean 0 and
 *       variance 1 (variance + 1e-5 under the root). It looks at one image
 *       alone, so it costs no privacy.
 *  Out: out (rows, n_out). An image's features do not depend on the others. */
void cv_scattering_rows(const cv_scattering *s, cv_scattering_work *work,
                        const float *x, int rows, int normalise, float *out);

#endif

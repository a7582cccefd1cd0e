/** Rows of MNIST's size and type, of random bytes.
 *
 *  To be included once.
 */
#ifndef COVEY_TESTS_BENCH_DIGITS_H
#define COVEY_TESTS_BENCH_DIGITS_H

#include "core/mem.h"
#include "core/rand.h"
#include "solver/train.h"

enum { ROWS = 60000, COLS = 784, HIDDEN = 200, CLASSES = 10 };

static void make_data(cv_samples *data)
{
    uint8_t *x = cv_calloc((size_t)ROWS * COLS, 1);
    float *y = CV_NEW(ROWS, float), *mul = CV_NEW(COLS, float);
    float *add = CV_NEW(COLS, float);
    cv_stream s;
    cv_stream_open(&s, 1, "bench", 0, 0);
    cv_stream_bytes(&s, x, (size_t)ROWS * COLS);
    for (int i = 0; i < ROWS; i++)
        y[i] = (float)cv_stream_below(&s, CLASSES);
    cv_stream_close(&s);
    for (int j = 0; j < COLS; j++)
        mul[j] = 1.0f / 255.0f;
    *data = (cv_samples){ROWS, COLS, 1, x, y, mul, add};
}

#endif

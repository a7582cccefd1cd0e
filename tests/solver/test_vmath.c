#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "solver/vmath.h"

/* Distance in units in the last place of the right value. */
static double ulps(float got, double want)
{
    float near = fabsf((float)want);
    double unit = (double)nextafterf(near, INFINITY) - (double)near;
    return fabs((double)got - want) / unit;
}

static double ref_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static const struct {
    const char *name;
    float (*f)(float);
    double (*exact)(double);
    double low, high, limit;
} cases[] = {
    {"exp", cv_expf, exp, -87.3, 88.7, 1.1},
    {"tanh", cv_tanhf, tanh, -200.0, 200.0, 3.0},
    {"sigmoid", cv_sigmoidf, ref_sigmoid, -87.0, 200.0, 3.0},
};

static void test_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double worst = 0.0;
        /* Steps through the bits: every exponent, both signs. */
        for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 997) {
            uint32_t word = (uint32_t)bits;
            float x;
            memcpy(&x, &word, 4);
            if (!(fabsf(x) > 1e-36f && (double)x > cases[i].low &&
                  (double)x < cases[i].high))
                continue;
            double e = ulps(cases[i].f(x), cases[i].exact((double)x));
            worst = e > worst ? e : worst;
        }
        print_message("%s: %.2f ulp\n", cases[i].name, worst);
        assert_true(worst < cases[i].limit);
    }
}

static void test_ends(void **state)
{
    (void)state;
    assert_true(cv_expf(0.0f) == 1.0f);
    assert_true(isinf(cv_expf(89.0f)) && cv_expf(89.0f) > 0);
    assert_true(isinf(cv_expf(INFINITY)) && isinf(cv_expf(3e38f)));
    assert_true(cv_expf(-INFINITY) == 0.0f && cv_expf(-3e38f) == 0.0f);
    assert_true(cv_expf(-100.0f) > 0.0f && cv_expf(-100.0f) < 1e-43f);
    assert_true(cv_tanhf(0.0f) == 0.0f);
    assert_true(cv_tanhf(INFINITY) == 1.0f && cv_tanhf(-INFINITY) == -1.0f);
    assert_true(cv_sigmoidf(INFINITY) == 1.0f);
    assert_true(cv_sigmoidf(-INFINITY) == 0.0f && cv_sigmoidf(0.0f) == 0.5f);
    assert_true(isnan(cv_expf(NAN)) && isnan(cv_tanhf(NAN)) &&
                isnan(cv_sigmoidf(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

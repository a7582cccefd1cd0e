/* The accountant: one PLD evaluation at 10,000 steps (limit 1 s, one core), and
 * what a run asks for at its start:  build/tests/bench/bench_accountant */
#include <math.h>
#include <stdio.h>

#include "core/fs.h"
#include "privacy/accountant.h"
#include "privacy/pld.h"

enum { REPEAT = 5 };

static const double LIMIT = 1.0;

/* Seconds of the fastest of several; noise comes from other programs. */
static double one_pld(const cv_pld_part *part, double delta, double *epsilon)
{
    double best = INFINITY;
    for (int i = 0; i < REPEAT; i++) {
        cv_pld *p;
        double t = cv_now();
        cv_pld_create(&p, part, 1, delta);
        *epsilon = cv_pld_epsilon(p, delta);
        cv_pld_destroy(&p);
        best = fmin(best, cv_now() - t);
    }
    return best;
}

int main(void)
{
    static const double q[] = {0.1, 0.01, 0.001}, z[] = {0.5, 0.8, 1.1, 4.0};
    double worst = 0.0, e;
    printf("one PLD evaluation, 10,000 steps, delta 1e-5\n");
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            cv_pld_part p = {z[j], q[i], 10000.0};
            double t = one_pld(&p, 1e-5, &e);
            worst = fmax(worst, t);
            printf("  noise %-4g sampling %-6g epsilon %10.5f  %.3f s\n", z[j],
                   q[i], e, t);
        }

    cv_segment s = {.sampling = 0.01, .steps = 10000};
    double noise;
    int64_t steps;
    double t0 = cv_now();
    cv_accountant_noise(NULL, &noise, &s, CV_ACCOUNT_PLD, 3.0, 1e-5, NULL);
    double t1 = cv_now();
    s.noise_multiplier = noise;
    cv_accountant_steps(NULL, &steps, &s, CV_ACCOUNT_PLD, 3.0, 1e-5, NULL);
    double t2 = cv_now();
    printf("noise for epsilon 3: %.6f, %.2f s; steps it allows: %lld, %.2f s\n",
           noise, t1 - t0, (long long)steps, t2 - t1);
    printf("row\tone PLD evaluation, 10,000 steps\t%.3f s\t%.1f s\t%.2f\t%s\n",
           worst, LIMIT, worst / LIMIT, worst < LIMIT ? "yes" : "no");
    return 0;
}

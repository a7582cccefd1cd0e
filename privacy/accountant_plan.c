/* Planning: how many steps a budget allows, how much noise it asks for. */
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "privacy/accountant.h"

typedef struct {
    const cv_accountant *a; /* may be NULL */
    cv_segment next;
    cv_account_method method;
    double epsilon, delta;
    double precision; /* of x, see refine */
    int whole;        /* x is a number of steps, else ln of the noise */
} plan;

/* ln(epsilon spent / budget) with x more steps, or at noise e^x. */
static double excess(const plan *p, double x)
{
    cv_accountant *a;
    cv_segment s = p->next;
    cv_spent spent = {.epsilon = INFINITY};
    size_t n = 0;
    const cv_segment *old =
        p->a != NULL ? cv_accountant_segments(p->a, &n) : NULL;
    if (p->whole)
        s.steps = (int64_t)x;
    else
        s.noise_multiplier = exp(x);
    cv_accountant_create(&a);
    for (size_t i = 0; i < n; i++)
        (void)cv_accountant_add(a, old + i, NULL);
    if (cv_accountant_add(a, &s, NULL) == 0) /* else: too little noise */
        cv_accountant_epsilon(a, &spent, p->method, p->delta);
    cv_accountant_destroy(&a);
    if (spent.epsilon <= p->epsilon) /* exactly, whatever the logarithm says */
        return fmin(log(spent.epsilon / p->epsilon), 0.0);
    return fmax(log(spent.epsilon / p->epsilon), 1e-300);
}

/* Between good (within the budget) and bad: the next place to look. The secant
 * lands near the border; a nudge to either side in turn closes the bracket. */
static double next_place(const plan *p, double good, double bad, double eg,
                         double eb, int side)
{
    double x = 0.5 * (good + bad), width = fabs(bad - good);
    if (isfinite(eg) && isfinite(eb) && side != 0)
        x = good + (bad - good) * (eg / (eg - eb)) +
            0.4 * p->precision * (side > 0 ? 1.0 : -1.0) *
                (bad > good ? 1.0 : -1.0);
    double margin = fmin(0.3 * p->precision, 0.4 * width);
    x = fmin(fmax(x, fmin(good, bad) + margin), fmax(good, bad) - margin);
    if (p->whole)
        x = fmin(fmax(round(x), fmin(good, bad) + 1.0), fmax(good, bad) - 1.0);
    return x;
}

/* The last good x, with a bad one within precision of it. */
static double refine(const plan *p, double good, double bad)
{
    double eg = excess(p, good), eb = excess(p, bad), before = INFINITY;
    int side = 1, slow = 0;
    while (fabs(bad - good) > p->precision) {
        double width = fabs(bad - good);
        slow = width > 0.5 * before ? slow + 1 : 0;
        before = width;
        double x = next_place(p, good, bad, eg, eb, slow >= 2 ? 0 : side);
        double e = excess(p, x);
        if (e <= 0.0) {
            good = x, eg = e, side = 1;
        } else {
            bad = x, eb = e, side = -1;
        }
    }
    return good;
}

static int check_budget(double epsilon, double delta, cv_err *err)
{
    if (!(epsilon > 0.0) || isinf(epsilon))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "epsilon must be a positive number, found %g",
                          epsilon);
    if (!(delta > 0.0 && delta < 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "delta must be between 0 and 1, found %g", delta);
    return 0;
}

static int check_next(const cv_segment *next, cv_err *err)
{
    cv_accountant *a;
    cv_accountant_create(&a);
    int rc = cv_accountant_add(a, next, err);
    cv_accountant_destroy(&a);
    return rc;
}

/* ---- steps -------------------------------------------------------------- */

static double most_steps(plan *p, double good)
{
    double top = (double)CV_MAX_STEPS, jump = fmax(1.0, ceil(good / 4.0));
    for (;;) {
        double x = fmin(good + jump, top);
        if (excess(p, x) > 0.0)
            return refine(p, good, x);
        if (x >= top)
            return top;
        good = x;
        jump *= 2.0;
    }
}

int cv_accountant_steps(const cv_accountant *a, int64_t *steps,
                        const cv_segment *next, cv_account_method method,
                        double epsilon, double delta, cv_err *err)
{
    plan p = {.a = a,
              .next = *next,
              .method = CV_ACCOUNT_RDP,
              .epsilon = epsilon,
              .delta = delta,
              .precision = 1.0,
              .whole = 1};
    *steps = 0;
    int rc = check_budget(epsilon, delta, err);
    p.next.steps = 1;
    if (rc == 0)
        rc = check_next(&p.next, err);
    if (rc != 0)
        return rc;
    /* RDP never allows more than PLD: a cheap place to start from. */
    double x = 0.0;
    if (excess(&p, 0.0) <= 0.0)
        x = most_steps(&p, 0.0);
    p.method = method;
    if (method == CV_ACCOUNT_PLD && (x > 0.0 || excess(&p, 0.0) <= 0.0))
        x = most_steps(&p, x);
    *steps = (int64_t)x;
    return 0;
}

/* ---- noise -------------------------------------------------------------- */

/* Down from a noise that is enough to the smallest, logarithms. */
static double least_noise(const plan *p, double good)
{
    double jump = 0.05;
    for (;;) {
        double x = good - jump;
        if (x < log(1e-6))
            return good;
        if (excess(p, x) > 0.0)
            return refine(p, good, x);
        good = x;
        jump *= 2.0;
    }
}

int cv_accountant_noise(const cv_accountant *a, double *noise,
                        const cv_segment *next, cv_account_method method,
                        double epsilon, double delta, cv_err *err)
{
    plan p = {.a = a,
              .next = *next,
              .method = CV_ACCOUNT_RDP,
              .epsilon = epsilon,
              .delta = delta,
              .precision = 2e-5};
    *noise = INFINITY;
    int rc = check_budget(epsilon, delta, err);
    p.next.noise_multiplier = 1e12; /* the rest must be in order */
    if (rc == 0)
        rc = check_next(&p.next, err);
    if (rc != 0)
        return rc;
    double x = 0.0, top = log(1e9);
    while (excess(&p, x) > 0.0 && x < top)
        x += 1.0;
    if (x >= top && method == CV_ACCOUNT_PLD) {
        p.method = method;
        for (x = 0.0; x < top && excess(&p, x) > 0.0;)
            x += 2.0;
    }
    if (x >= top)
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "no amount of noise keeps epsilon within %g at delta "
                          "%g; what is spent already leaves no room",
                          epsilon, delta);
    x = least_noise(&p, x);
    if (method == CV_ACCOUNT_PLD && p.method != method) {
        p.method = method;
        x = least_noise(&p, x);
    }
    *noise = exp(x);
    return 0;
}

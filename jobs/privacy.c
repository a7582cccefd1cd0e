/* `covey privacy`: what so many noisy steps cost, or how much noise a budget
 * asks for. Arithmetic only: needs no job and no data. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/text.h"
#include "jobs/commands.h"
#include "jobs/json.h"
#include "privacy/accountant.h"

typedef struct {
    const char *noise, *epsilon, *sampling, *steps, *delta; /* as typed */
    int json;
} options;

typedef struct {
    cv_segment segment;
    double budget, delta; /* budget 0: the noise was given */
    double rdp, pld;      /* epsilon; +infinity if there is no bound */
} answer;

/* ---- arguments ---------------------------------------------------------- */

/* From low to high; the ends themselves do only where `closed`. */
typedef struct {
    const char *option, *expected;
    double low, high;
    int low_closed, high_closed;
} range;

static const range
    noise_range = {"noise", "a number from 0", 0.0, INFINITY, 1, 0},
    epsilon_range = {"epsilon", "a number above 0, at most a million",
                     0.0,       1e6,
                     0,         1},
    sampling_range = {"sampling", "a number above 0, at most 1", 0.0, 1.0, 0,
                      1},
    delta_range = {"delta", "a number between 0 and 1", 0.0, 1.0, 0, 0};

/* text NULL leaves *out as it is. */
static int get_f64(double *out, const range *r, const char *text, cv_err *err)
{
    double v;
    if (!text)
        return 0;
    if (cv_parse_f64(&v, text) != 0 ||
        !(v > r->low || (r->low_closed && v == r->low)) ||
        !(v < r->high || (r->high_closed && v == r->high)))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "--%s: expected %s, found '%s'", r->option,
                          r->expected, text);
    *out = v;
    return 0;
}

static int get_steps(int64_t *out, const char *text, cv_err *err)
{
    if (!text ||
        (cv_parse_i64(out, text) == 0 && *out >= 1 && *out <= CV_MAX_STEPS))
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "--steps: expected a whole number from 1 to %lld, found "
                      "'%s'",
                      (long long)CV_MAX_STEPS, text);
}

static int get_question(answer *a, const options *o, cv_err *err)
{
    if (!o->noise == !o->epsilon || !o->delta)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected either --noise or --epsilon, and --delta; "
                          "see `covey help privacy`");
    a->segment.sampling = 1.0;
    a->segment.steps = 1;
    int rc = get_f64(&a->segment.noise_multiplier, &noise_range, o->noise, err);
    if (!rc)
        rc = get_f64(&a->budget, &epsilon_range, o->epsilon, err);
    if (!rc)
        rc = get_f64(&a->segment.sampling, &sampling_range, o->sampling, err);
    if (!rc)
        rc = get_f64(&a->delta, &delta_range, o->delta, err);
    return rc ? rc : get_steps(&a->segment.steps, o->steps, err);
}

/* ---- the answer --------------------------------------------------------- */

static int spend(answer *a, cv_err *err)
{
    cv_accountant *acc;
    cv_spent spent;
    cv_accountant_create(&acc);
    int rc = cv_accountant_add(acc, &a->segment, err);
    if (!rc) {
        cv_accountant_epsilon(acc, &spent, CV_ACCOUNT_RDP, a->delta);
        a->rdp = spent.epsilon;
        cv_accountant_epsilon(acc, &spent, CV_ACCOUNT_PLD, a->delta);
        a->pld = spent.epsilon;
    }
    cv_accountant_destroy(&acc);
    return rc;
}

/* Up to the next number of six digits: what is shown may be copied into a job,
 * and must not promise too much. */
static double round_up(double v)
{
    char text[40];
    double shown, more = v;
    if (!isfinite(v) || v == 0.0)
        return v;
    do {
        snprintf(text, sizeof text, "%.6g", more);
        shown = strtod(text, NULL);
        more += 5e-7 * v;
    } while (shown < v);
    return shown;
}

static int calibrate(answer *a, cv_err *err)
{
    double noise;
    int rc = cv_accountant_noise(NULL, &noise, &a->segment, CV_ACCOUNT_PLD,
                                 a->budget, a->delta, err);
    if (rc == CV_ERR_PRIVACY)
        return cv_err_set(err, rc, NULL, 0,
                          "no noise multiplier up to 1e9 keeps epsilon within "
                          "%g at delta %g; expected a larger epsilon or delta, "
                          "or fewer steps",
                          a->budget, a->delta);
    a->segment.noise_multiplier = round_up(noise);
    return rc;
}

/* ---- output ------------------------------------------------------------- */

static void print_json(const answer *a)
{
    cv_buf b = {0};
    cv_json_open(&b, NULL, '{');
    cv_json_f64(&b, "noise_multiplier", a->segment.noise_multiplier);
    cv_json_f64(&b, "sampling", a->segment.sampling);
    cv_json_i64(&b, "steps", a->segment.steps);
    cv_json_f64(&b, "delta", a->delta);
    if (a->budget > 0.0)
        cv_json_f64(&b, "epsilon", a->budget);
    cv_json_f64(&b, "epsilon_rdp", a->rdp);
    cv_json_f64(&b, "epsilon_pld", a->pld);
    cv_json_close(&b, '}');
    puts(cv_buf_text(&b));
    cv_buf_free(&b);
}

static void print_epsilon(const char *method, double epsilon)
{
    if (isinf(epsilon))
        printf("  by %s            no bound\n", method);
    else
        printf("  by %s            %.6g\n", method, round_up(epsilon));
}

static void print_text(const answer *a)
{
    char steps[32];
    cv_format_count(steps, sizeof steps, a->segment.steps);
    printf("noise multiplier    %.10g%s\n", a->segment.noise_multiplier,
           a->budget > 0.0 ? "  (the least that keeps the budget)" : "");
    printf("sampling            %.10g\n", a->segment.sampling);
    printf("steps               %s\n", steps);
    printf("delta               %.10g\n", a->delta);
    if (a->budget > 0.0)
        printf("epsilon, budget     %.10g\n", a->budget);
    printf("epsilon, spent\n");
    print_epsilon("RDP", a->rdp);
    print_epsilon("PLD", a->pld);
    printf("\nGaussian mechanism; noise multiplier = standard deviation / "
           "sensitivity.\nPoisson sampling: each record (or silo) is in a step "
           "by a coin of its own.\nAdjacency: one record (or silo) is replaced "
           "by null. PLD is the tighter method.\n");
}

int cv_cmd_privacy(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"noise", required_argument, NULL, 'n'},
        {"epsilon", required_argument, NULL, 'e'},
        {"sampling", required_argument, NULL, 'q'},
        {"steps", required_argument, NULL, 's'},
        {"delta", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0}};
    options o = {0};
    answer a = {0};
    int c;
    while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        switch (c) {
        case 'n':
            o.noise = optarg;
            break;
        case 'e':
            o.epsilon = optarg;
            break;
        case 'q':
            o.sampling = optarg;
            break;
        case 's':
            o.steps = optarg;
            break;
        case 'd':
            o.delta = optarg;
            break;
        case 'j':
            o.json = 1;
            break;
        default:
            return cv_bad_option("privacy", c, argv, longs, err);
        }
    }
    if (optind != argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "unexpected argument '%s'; see `covey help privacy`",
                          argv[optind]);
    int rc = get_question(&a, &o, err);
    if (!rc && a.budget > 0.0)
        rc = calibrate(&a, err);
    if (!rc)
        rc = spend(&a, err);
    if (rc)
        return rc;
    if (o.json)
        print_json(&a);
    else
        print_text(&a);
    return 0;
}

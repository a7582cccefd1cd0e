/* What the chain section makes of a job, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "io/job.h"

#define A "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'"
#define B "'0xfB6916095Ca1df60bB79Ce92cE3Ea74c37c5d359'"

static const char text[] =
    "covey: 1\n"                                                 /* 1 */
    "name: paid\n"                                               /* 2 */
    "silos: [{name: a}, {name: b}, {name: c}, {name: d},\n"      /* 3 */
    "  {name: e}, {name: f}]\n"                                  /* 4 */
    "simulate: {source: x.h5, test: t.h5}\n"                     /* 5 */
    "model: {kind: softmax}\n"                                   /* 6 */
    "training: {rounds: 3, weights: equal, local: {steps: 5}}\n" /* 7 */
    "secure_aggregation: {collusion: 1}\n"                       /* 8 */
    "chain:\n"                                                   /* 9 */
    "  network: local\n"                                         /* 10 */
    "  federation: " A "\n"                                      /* 11 */
    "  rewards:\n"                                               /* 12 */
    "    token: " B "\n"                                         /* 13 */
    "    sponsor: " A "\n"                                       /* 14 */
    "    pool: '1000'\n"                                         /* 15 */
    "    method: equal\n";                                       /* 16 */

static char *edit(const char *from, const char *to)
{
    const char *at = from ? strstr(text, from) : text;
    if (!at)
        print_message("not there: %s\n", from);
    assert_non_null(at);
    return from ? cv_asprintf("%.*s%s%s", (int)(at - text), text, to,
                              at + strlen(from))
                : cv_strdup(text);
}

static void defaults(void **state)
{
    (void)state;
    cv_job *job = NULL;
    cv_err err = {0};
    assert_int_equal(cv_job_parse(text, "job.yaml", &job, &err), 0);
    assert_true(job->chain.enabled && job->chain.rewards.enabled);
    assert_string_equal(job->chain.network, "local");
    assert_int_equal(job->chain.settle.batch, 50);
    assert_int_equal(job->chain.settle.finality, CV_FINALITY_FINALIZED);
    assert_int_equal(job->chain.rewards.method, CV_REWARD_EQUAL);
    assert_int_equal(job->chain.rewards.decimals, 18);
    assert_string_equal(job->chain.rewards.pool, "1000");
    assert_true(job->chain.rewards.cap == 1.0);
    assert_int_equal(job->silos[0].share, 0); /* not used */
    assert_null(job->silos[0].payee);
    cv_job_destroy(&job);
}

static const struct {
    const char *from, *to;
    int line;
    const char *says;
} wrong[] = {
    {"network: local", "network: basis", 10, "did you mean 'base'"},
    {"network: local", "network: base", 10, "simulated silos"},
    {"  federation: " A "\n", "", 9, "federation"},
    {A, "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe'", 11, "40 hex digits"},
    {A, "0x12", 11, "40 hex digits"},
    {"secure_aggregation: {collusion: 1}\n", "", 9, "secure_aggregation"},
    {"{collusion: 1}", "{enabled: false}", 10, "enabled 'false'"},
    {"  network: local\n  federation: " A "\n", "  network: none\n", 11,
     "network none"},
    {"'1000'", "'1e3'", 15, "an amount of tokens"},
    {"'1000'", "'.5'", 15, "an amount of tokens"},
    {"'1000'", "'-5'", 15, "an amount of tokens"},
    {"'1000'", "'1.'", 15, "an amount of tokens"},
    {"    sponsor: " A "\n", "", 12, "sponsor"},
    {"method: equal", "method: equally", 16, "did you mean 'equal'"},
    {"method: equal", "method: validation", 16, "test_fraction"},
    {"method: equal", "cap: 0.1", 16, "at least 1/6"},
    {"method: equal", "cap: 1.5", 16, "cap"},
    {"{name: a}", "{name: a, share: 0}", 3, "share"},
    {"{name: a}", "{name: a, share: 3}", 3, "share"},
    {"method: equal", "groups: 2", 16, "groups"},
    {"method: equal", "method: shapley\n    groups: 3", 17, "need 9 silos"},
    {"{source: x.h5, test: t.h5}", "{source: x.h5}", 0, NULL}, /* holds */
    {"model: {kind: softmax}", "model: {kind: linear}", 0, NULL},
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cv_job *job = NULL;
        cv_err err = {0};
        char *edited = edit(wrong[i].from, wrong[i].to);
        int rc = cv_job_parse(edited, "job.yaml", &job, &err);
        if (!wrong[i].says) {
            assert_int_equal(rc, 0);
        } else {
            if (rc != CV_ERR_INPUT || err.line != wrong[i].line ||
                !strstr(err.text, wrong[i].says))
                print_message("%s -> %s\n%d: %s\n", wrong[i].from, wrong[i].to,
                              err.line, err.text);
            assert_int_equal(rc, CV_ERR_INPUT);
            assert_int_equal(err.line, wrong[i].line);
            assert_non_null(strstr(err.text, wrong[i].says));
        }
        cv_job_destroy(&job);
        free(edited);
    }
}

/* Edits of a job by shapley, and of one with privacy. */
static const struct {
    const char *from, *to, *says;
} by_groups[] = {
    {NULL, NULL, NULL},
    {"test: t.h5", "partition: iid", "public test rows"},
    {"rounds: 3", "rounds: 3, participation: 0.5", "participation"},
    {"rounds: 3", "rounds: 3, tolerance: 0.1", "tolerance"},
    {"rounds: 3", "rounds: 3, strategy: fedadam", "fedavg"},
    {"kind: softmax", "kind: poisson", "classes"},
};

static void groups(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof by_groups / sizeof *by_groups; i++) {
        cv_job *job = NULL;
        cv_err err = {0};
        char *first = edit(by_groups[i].from, by_groups[i].to);
        char *at = strstr(first, "method: equal");
        char *edited =
            cv_asprintf("%.*smethod: shapley\n", (int)(at - first), first);
        int rc = cv_job_parse(edited, "job.yaml", &job, &err);
        if (by_groups[i].says && !strstr(err.text, by_groups[i].says))
            print_message("%s\n", err.text);
        assert_int_equal(rc, by_groups[i].says ? CV_ERR_INPUT : 0);
        assert_true(!by_groups[i].says || strstr(err.text, by_groups[i].says));
        cv_job_destroy(&job);
        free(first);
        free(edited);
    }
}

/* With privacy nothing that depends on data may decide about money. */
static void with_privacy(void **state)
{
    (void)state;
    static const char *const methods[] = {"equal", "declared", "data_size",
                                          "shapley"};
    for (size_t i = 0; i < 4; i++) {
        cv_job *job = NULL;
        cv_err err = {0};
        char *edited = cv_asprintf(
            "%.*smethod: %s\nprivacy: {epsilon: 3, sampling: 0.1}\n",
            (int)(strstr(text, "method: equal") - text), text, methods[i]);
        int rc = cv_job_parse(edited, "job.yaml", &job, &err);
        assert_int_equal(rc, i < 2 ? 0 : CV_ERR_INPUT);
        assert_true(i < 2 || strstr(err.text, "expected equal or declared"));
        cv_job_destroy(&job);
        free(edited);
    }
}

static void shares_within_the_cap(void **state)
{
    (void)state;
    static const struct {
        const char *shares, *cap;
        int fits;
    } cases[] = {{"share: 5", "0.5", 1},
                 {"share: 6", "0.5", 0},
                 {"share: 1000000", "1", 1}};
    for (size_t i = 0; i < 3; i++) {
        cv_job *job = NULL;
        cv_err err = {0};
        char to[60];
        snprintf(to, sizeof to, "{name: a, %s}", cases[i].shares);
        char *first = edit("{name: a}", to);
        char *edited = cv_asprintf(
            "%.*smethod: declared\n    cap: %s\n",
            (int)(strstr(first, "method: equal") - first), first, cases[i].cap);
        int rc = cv_job_parse(edited, "job.yaml", &job, &err);
        assert_int_equal(rc, cases[i].fits ? 0 : CV_ERR_INPUT);
        assert_true(cases[i].fits || strstr(err.text, "silo a declares"));
        cv_job_destroy(&job);
        free(first);
        free(edited);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(refusals),
        cmocka_unit_test(groups),
        cmocka_unit_test(with_privacy),
        cmocka_unit_test(shares_within_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

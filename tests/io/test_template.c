/* The files of `covey init` are right as they are and with every option taken
 * out of its comment; damaged in thousands of ways they crash nothing. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/rand.h"
#include "io/job.h"
#include "io/silo.h"
#include "io/template.h"

/* "#  key: value" and "#key:" lose the '#'; "# prose" stays a comment. */
static char *with_options(const char *text, int *n_options)
{
    char *out = cv_strdup(text), *to = out;
    *n_options = 0;
    for (const char *s = text; *s; s++) {
        int at_start = s == text || s[-1] == '\n';
        size_t blanks = at_start && *s == '#' ? strspn(s + 1, " ") : 1;
        if (blanks != 1 && s[1 + blanks] != '\n') {
            (*n_options)++;
            continue;
        }
        *to++ = *s;
    }
    *to = '\0';
    return out;
}

/* Lines that are neither empty nor a comment. */
static int count_lines(const char *text)
{
    int n = 0;
    for (const char *s = text; *s; s += strcspn(s, "\n") + 1)
        n += *s != '\n' && s[strspn(s, " ")] != '#';
    return n;
}

static void test_job_template(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_job *job = NULL, *all = NULL;
    int rc = cv_job_parse(cv_template_job, "job.yaml", &job, &err);
    print_message("%d: %s\n", err.line, err.text);
    assert_int_equal(rc, 0);
    assert_int_equal(job->n_silos, 2);
    assert_int_equal(count_lines(cv_template_job), 10);
    int options;
    char *text = with_options(cv_template_job, &options);
    rc = cv_job_parse(text, "job.yaml", &all, &err);
    print_message("%d options; %d: %s\n", options, err.line, err.text);
    assert_int_equal(rc, 0);
    assert_int_equal(options, 25);
    assert_string_equal(all->text, job->text);
    for (const char *s = cv_template_job; *s; s += strcspn(s, "\n") + 1)
        assert_true(strcspn(s, "\n") <= 80);
    free(text);
    cv_job_destroy(&job);
    cv_job_destroy(&all);
}

/* The example that begins so in a template; malloc'd. */
static char *example(const char *text, const char *begins)
{
    char *mark = cv_asprintf("\n# e.g. %s", begins);
    const char *at = strstr(text, mark);
    assert_non_null(at);
    at += strlen("\n# e.g. ");
    assert_null(strstr(at, mark));
    char *out = cv_asprintf("%.*s", (int)strcspn(at, "\n"), at);
    free(mark);
    return out;
}

/* Masks and privacy are examples, for they need more of the job. */
static void test_private_examples(void **state)
{
    (void)state;
    static const char *const privacy[] = {NULL, "privacy: {epsilon",
                                          "privacy: {unit: silo"};
    char *masks = example(cv_template_job, "secure_aggregation:");
    char *levels = example(cv_template_job, "target_levels:");
    for (int i = 0; i < 3; i++) {
        char *section =
            i ? example(cv_template_job, privacy[i]) : cv_strdup("");
        char *text = cv_asprintf(
            "covey: 1\nname: e\nsilos: {count: 3}\nsimulate: {source: x}\n"
            "data:\n  %s\nmodel: {kind: logistic}\n"
            "training: {rounds: 1, weights: equal, local: {steps: 100}}\n"
            "%s\n%s\n",
            levels, i ? "secure_aggregation: {}" : masks, section);
        cv_job *job = NULL;
        cv_err err = {0};
        int rc = cv_job_parse(text, "job.yaml", &job, &err);
        if (rc)
            print_message("%s\n%d: %s\n", text, err.line, err.text);
        assert_int_equal(rc, 0);
        assert_int_equal(job->secure_aggregation.enabled, 1);
        assert_int_equal(job->privacy.enabled, i > 0);
        assert_int_equal(job->privacy.unit == CV_UNIT_SILO, i == 2);
        assert_int_equal(job->privacy.adaptive.enabled, i == 2);
        cv_job_destroy(&job);
        free(section);
        free(text);
    }
    free(masks);
    free(levels);
}

/* Fits are examples, for their data have no target; what is shown of
 * disclosure is what holds when nobody says anything. */
static void test_fit_examples(void **state)
{
    (void)state;
    static const char *const kinds[] = {"glm", "cox", "ridge"};
    char *limits = example(cv_template_job, "disclosure:");
    for (int i = 0; i < 3; i++) {
        char *begins = cv_asprintf("model: {kind: %s", kinds[i]);
        char *model = example(cv_template_job, begins);
        char *plain = cv_asprintf("covey: 1\nname: e\nsilos: [{name: north}]\n"
                                  "training: {rounds: 25}\n%s\n",
                                  model);
        char *whole = cv_asprintf("%s%s\n", plain, limits);
        cv_job *job = NULL, *same = NULL;
        cv_err err = {0};
        int rc = cv_job_parse(plain, "job.yaml", &job, &err);
        if (rc)
            print_message("%s\n%d: %s\n", plain, err.line, err.text);
        assert_int_equal(rc, 0);
        assert_string_equal(job->model.kind, kinds[i]);
        assert_int_equal(cv_job_parse(whole, "job.yaml", &same, &err), 0);
        assert_string_equal(job->text, same->text);
        cv_job_destroy(&job);
        cv_job_destroy(&same);
        free(begins);
        free(model);
        free(plain);
        free(whole);
    }
    free(limits);
}

static void test_silo_template(void **state)
{
    (void)state;
    char dir[] = "/tmp/covey-template-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = cv_fs_join(dir, "silo.yaml");
    int options;
    char *key = example(cv_template_silo, "key:");
    char *pass = example(cv_template_silo, "password_file:");
    char *limits = example(cv_template_silo, "limits:");
    char *shown = example(cv_template_silo, "disclosure:");
    char *texts[] = {cv_strdup(cv_template_silo),
                     with_options(cv_template_silo, &options),
                     cv_asprintf("%s%s\n%s\n%s\n%s\n", cv_template_silo, key,
                                 pass, limits, shown)};
    free(shown);
    free(key);
    free(pass);
    free(limits);
    assert_int_equal(options, 1);
    for (int i = 0; i < 3; i++) {
        cv_silo *silo = NULL;
        cv_err err = {0};
        assert_int_equal(
            cv_fs_write(path, texts[i], strlen(texts[i]), 0644, NULL), 0);
        assert_int_equal(cv_silo_load(path, &silo, &err), 0);
        assert_string_equal(silo->silo, "north");
        assert_int_equal(silo->threads, 1);
        assert_int_equal(silo->limits.given, i == 2);
        assert_int_equal(silo->disclosure.given, i == 2);
        assert_int_equal(silo->disclosure.min_rows, i == 2 ? 10 : 0);
        cv_silo_destroy(&silo);
        free(texts[i]);
    }
    unlink(path);
    rmdir(dir);
    free(path);
}

/* A text with room to grow, damaged in one place. */
typedef struct {
    char *s;
    size_t n, cap;
} damaged;

static void splice(damaged *d, size_t at, size_t cut, const char *add, size_t n)
{
    if (at + cut > d->n)
        cut = d->n - at;
    if (d->n - cut + n > d->cap)
        return;
    memmove(d->s + at + n, d->s + at + cut, d->n - at - cut);
    memcpy(d->s + at, add, n);
    d->n += n - cut;
}

static void damage(damaged *d, cv_stream *r)
{
    static const char *const bits[] = {
        ":",         ": ",      "\n",          "\t",       "- ",
        "[",         "]",       "{",           "}",        ",",
        "\"",        "'",       "#",           "&a ",      "*a",
        "!x ",       "~",       "|\n",         ">",        "\\",
        "\\0",       "\xff",    "0",           "-1",       "1e9",
        ".5",        "? ",      "---\n",       "...\n",    "\r",
        "%",         "null",    "yes",         "\x1b",     "\xe2\x80\xa8",
        "fedadam",   "mlp",     "hidden: [3]", "count: 7", "simulate:",
        "features:", "server:", "privacy:",    "record",   "<<: ",
        "~",         "C(x)",    "offset(w)",   "Surv(",    "glm",
        "ridge",     "pca",     "binomial",    "bins:",    "strata: silo"};
    size_t at = d->n ? cv_stream_below(r, d->n) : 0, from;
    char piece[64];
    switch (cv_stream_below(r, 5)) {
    case 0: /* another byte */
        piece[0] = (char)cv_stream_below(r, 256);
        splice(d, at, 1, piece, 1);
        break;
    case 1: /* less */
        splice(d, at, cv_stream_below(r, 40), "", 0);
        break;
    case 2: /* a piece of YAML */
    case 3:
        from = cv_stream_below(r, sizeof bits / sizeof *bits);
        splice(d, at, cv_stream_below(r, 2) * strlen(bits[from]), bits[from],
               strlen(bits[from]));
        break;
    default: /* a piece of itself */
        from = d->n ? cv_stream_below(r, d->n) : 0;
        size_t n = cv_stream_below(r, sizeof piece);
        n = n < d->n - from ? n : d->n - from;
        memcpy(piece, d->s + from, n);
        splice(d, at, 0, piece, n);
    }
}

static int try_parse(const char *text)
{
    cv_err err = {0}, again = {0};
    cv_job *job = NULL, *same = NULL;
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    if (rc) {
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_null(job);
        assert_true(err.text[0] != '\0');
        assert_true(err.line >= 0 && (size_t)err.line <= strlen(text) + 1);
        return 0;
    }
    rc = cv_job_parse(job->text, "job.yaml", &same, &again);
    if (rc)
        print_message("%s\n%d: %s\n", text, again.line, again.text);
    assert_int_equal(rc, 0);
    assert_string_equal(job->text, same->text);
    cv_job_destroy(&job);
    cv_job_destroy(&same);
    return 1;
}

static void test_damaged(void **state)
{
    (void)state;
    static const char counted[] =
        "covey: 1\nname: c\nsilos: {count: 12, prefix: s}\n"
        "simulate: {source: x, partition: dirichlet, alpha: 0.5}\n"
        "data: {features: [{name: a, bounds: [0, 1]}, {name: b, type: "
        "category, levels: [u, v]}], standardize: bounds}\n"
        "model: {kind: mlp, hidden: [20, 10]}\n"
        "training: {rounds: 3, strategy: fedadam, server: {beta2: 0.9}}\n";
    int options, accepted = 0, tried = 0, fits = 0;
    char *all = with_options(cv_template_job, &options);
    static const char private[] =
        "covey: 1\nname: p\nsilos: {count: 12, prefix: s}\n"
        "simulate: {source: x}\ndata: {target_levels: [u, v]}\n"
        "model: {kind: softmax, transform: scattering, image: [4, 4]}\n"
        "training: {rounds: 3, weights: equal, local: {steps: 5}}\n"
        "secure_aggregation: {collusion: 2, enabled: true}\n"
        "privacy: {unit: silo, epsilon: 3, adaptive: {rate: 0.1}}\n";
    static const char fit[] =
        "covey: 1\nname: f\nsilos: {count: 3}\nsimulate: {source: x}\n"
        "data: {features: [{name: x, bounds: [0, 1]}, {name: s, type: "
        "category, levels: [u, v]}], target_levels: [u, v]}\n"
        "model: {kind: glm, family: binomial, link: logit, ridge: 0.5,\n"
        "  formula: 'y ~ x*C(s) + offset(log(t)) + I(x^2)', weights: w}\n"
        "training: {rounds: 25, strategy: newton, tolerance: 1e-9}\n"
        "disclosure: {min_rows: 20, min_cell: 5, rows_per_parameter: 2.5}\n";
    static const char survival[] =
        "covey: 1\nname: s\nsilos: [{name: a}, {name: b}]\n"
        "model: {kind: cox, formula: 'Surv(t, d == 2) ~ a + b:c + .',\n"
        "  strata: none, bins: ['0', '30.5', '60'], ties: breslow}\n"
        "data: {features: [{name: a}, {name: b}, {name: c}, {name: e}]}\n"
        "training: {rounds: 5}\n";
    const char *const seeds[] = {cv_template_job, all, counted,
                                 private,         fit, survival};
    cv_stream r = {0};
    cv_stream_open(&r, 1, "damaged jobs", 0, 0);
    damaged d = {.cap = 8000};
    d.s = cv_realloc(NULL, d.cap + 1, 1);
    for (int i = 0; i < 12000; i++) {
        d.n = strlen(seeds[i % 6]);
        memcpy(d.s, seeds[i % 6], d.n);
        for (uint64_t k = 1 + cv_stream_below(&r, 3); k > 0; k--)
            damage(&d, &r);
        d.s[d.n] = '\0';
        int ok = try_parse(d.s);
        accepted += ok;
        fits += ok && i % 6 >= 4;
        tried++;
    }
    print_message("%d damaged files, %d still jobs, %d of fits\n", tried,
                  accepted, fits);
    assert_true(fits > 20 && fits < tried / 4);
    /* Damage in comments and strings leaves a job; damage is not only that. */
    assert_true(accepted > tried / 20 && accepted < tried * 19 / 20);
    cv_stream_close(&r);
    free(d.s);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_template),
        cmocka_unit_test(test_private_examples),
        cmocka_unit_test(test_fit_examples),
        cmocka_unit_test(test_silo_template),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists that two rooms keep, for neither may include the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/job.h"
#include "solver/family.h"
#include "solver/model.h"
#include "solver/strategy.h"
#include "solver/transform.h"

/* What is fitted has no entry in the tables of what is trained. */
static const char *const fitted[] = {"glm",          "cox", "ridge",
                                     "kernel_ridge", "pca", "newton"};

static int is_fitted(const char *word)
{
    int is = 0;
    for (size_t k = 0; k < sizeof fitted / sizeof *fitted; k++)
        is |= strcmp(word, fitted[k]) == 0;
    return is;
}

static void same(const char *path, const char *const *want, size_t n_want)
{
    size_t n, trained = 0;
    const char *const *words = cv_job_words(path, &n);
    for (size_t i = 0; i < n; i++) {
        size_t found = 0;
        for (size_t k = 0; k < n_want; k++)
            found += strcmp(words[i], want[k]) == 0;
        assert_int_equal(found, !is_fitted(words[i]));
        trained += found;
    }
    assert_int_equal(trained, n_want);
}

/* Families and links of the job are those of solver/, and the first link that
 * the job's check lists is the canonical one. */
static void families_have_the_same_links(void **state)
{
    (void)state;
    size_t nf, nl;
    const char *const *family = cv_job_words("model.family", &nf);
    const char *const *link = cv_job_words("model.link", &nl);
    for (size_t f = 0; f < nf; f++) {
        cv_family canonical, this;
        assert_int_equal(cv_family_find(&canonical, family[f], NULL), 0);
        for (size_t l = 0; l < nl; l++) {
            char text[400];
            cv_job *job = NULL;
            cv_err err;
            snprintf(text, sizeof text,
                     "covey: 1\nname: t\nsilos: [{name: a}]\n"
                     "model: {kind: glm, family: %s, link: %s, "
                     "formula: \"y ~ x\"}\ntraining: {rounds: 5}\n",
                     family[f], link[l]);
            int known = cv_family_find(&this, family[f], link[l]) == 0;
            int rc = cv_job_parse(text, "t.yaml", &job, &err);
            assert_int_equal(rc == 0, known);
            cv_job_destroy(&job);
        }
        char text[400];
        cv_job *job = NULL;
        cv_err err;
        snprintf(text, sizeof text,
                 "covey: 1\nname: t\nsilos: [{name: a}]\n"
                 "model: {kind: glm, family: %s, formula: \"y ~ x\"}\n"
                 "training: {rounds: 5}\n",
                 family[f]);
        assert_int_equal(cv_job_parse(text, "t.yaml", &job, &err), 0);
        assert_string_equal(job->model.link, cv_link_name(&canonical));
        cv_job_destroy(&job);
    }
}

static void job_and_solver_know_the_same_words(void **state)
{
    (void)state;
    size_t n;
    const char *const *w = cv_model_kinds(&n);
    same("model.kind", w, n);
    w = cv_model_activations(&n);
    same("model.activation", w, n);
    w = cv_transform_names(&n);
    same("model.transform", w, n);
    w = cv_strategy_names(&n);
    same("training.strategy", w, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_and_solver_know_the_same_words),
        cmocka_unit_test(families_have_the_same_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

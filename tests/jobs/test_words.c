/* Lists that two rooms keep, for neither may include the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "io/job.h"
#include "solver/model.h"
#include "solver/strategy.h"
#include "solver/transform.h"

static void same(const char *path, const char *const *want, size_t n_want)
{
    size_t n;
    const char *const *words = cv_job_words(path, &n);
    assert_int_equal(n, n_want);
    for (size_t i = 0; i < n; i++) {
        size_t found = 0;
        for (size_t k = 0; k < n_want; k++)
            found += strcmp(words[i], want[k]) == 0;
        assert_int_equal(found, 1);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

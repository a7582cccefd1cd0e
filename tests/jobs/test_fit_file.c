/* Fits in a file and out of it: what is written comes back, what nobody has
 * written is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobs/fit_result.h"
#include "tests/jobs/fit_fixture.h"

#define FOLDER_FILE "run.h5"
#include "tests/io/folder_fixture.h"

static void near(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        assert_true(isnan(a) && isnan(b));
        return;
    }
    if (!(fabs(a - b) <= 1e-10 * fabs(b)))
        fail_msg("%.17g is not %.17g", a, b);
}

static void comes_back(fixture (*make)(void))
{
    fixture f = make();
    cv_saved s;
    uint8_t root_[32], want[32];
    OK(fixture_save(&f, file, &err));
    OK(cv_saved_open(file, &s, &err));
    assert_null(s.model);
    assert_null(s.w);
    assert_non_null(s.fit);
    assert_int_equal(s.fit->params.n, f.m->params.n);
    assert_memory_equal(s.v, f.v, f.m->params.n * sizeof *f.v);
    cv_saved_root(&s, root_);
    cv_params_root_f64(want, f.v, f.m->params.n);
    assert_memory_equal(root_, want, 32);
    OK(cv_fit_result_check(s.file, s.fit, s.job, s.v, &err));
    cv_saved_close(&s);
    fixture_free(&f);
}

static fixture infert_dropped(void)
{
    fixture f = fixture_infert();
    int q = f.m->q;
    cv_fit_view(f.m, f.v, "dropped")[1] = 1.0;
    cv_fit_view(f.m, f.v, "coefficients")[1] = NAN;
    cv_fit_view(f.m, f.v, "standard_errors")[1] = NAN;
    for (int j = 0; j < q; j++)
        cv_fit_view(f.m, f.v, "covariance")[q + j] = NAN;
    return f;
}

static fixture arrests_scaled(void)
{
    return fixture_arrests(1);
}

static fixture unfinished(void)
{
    fixture f = fixture_infert();
    fixture_scalars(&f)[CV_FIT_STAGE] = 2.0;
    fixture_scalars(&f)[CV_FIT_PREVIOUS] = INFINITY;
    fixture_scalars(&f)[CV_FIT_LOGLIK] = NAN;
    return f;
}

static fixture not_begun(void)
{
    fixture f = fixture_infert();
    cv_fit_start(f.m, f.v);
    return f;
}

static void files_hold_all(void **state)
{
    (void)state;
    comes_back(fixture_infert);
    comes_back(fixture_cars);
    comes_back(fixture_lung);
    comes_back(infert_dropped);
    comes_back(arrests_scaled);
    comes_back(unfinished);
    comes_back(not_begun);
}

static void results_are_named(void **state)
{
    (void)state;
    fixture f = fixture_lung();
    cv_h5_reader *r = NULL;
    char **names = NULL, *text = NULL;
    double ratio[3], value;
    int64_t whole;
    size_t n;
    OK(fixture_save(&f, file, &err));
    OK(cv_h5_open(file, CV_FORMAT_VERSION, &r, &err));
    OK(cv_h5_table_columns(r, "/result/coefficients", &names, &n, &err));
    assert_int_equal(n, 8);
    assert_string_equal(names[0], "name");
    assert_string_equal(names[7], "ratio");
    cv_strings_free(&names, n);
    OK(cv_h5_get_column(r, "/result/coefficients", "ratio", CV_H5_F64, ratio, 3,
                        &err));
    near(ratio[1], 5.7544455619049184e-01);
    OK(cv_h5_get_attr_i64(r, "/result", "events", &whole, &err));
    assert_int_equal(whole, 164);
    OK(cv_h5_get_attr_f64(r, "/result", "concordance", &value, &err));
    near(value, 6.3713549300045491e-01);
    OK(cv_h5_get_attr_string(r, "/result", "formula", &text, &err));
    assert_string_equal(text, f.m->formula->text);
    free(text);
    assert_true(cv_h5_has(r, "/result/covariance"));
    assert_false(cv_h5_has(r, "/result/loadings"));
    cv_h5_close(&r);
    fixture_free(&f);

    f = unfinished();
    OK(fixture_save(&f, file, &err));
    OK(cv_h5_open(file, CV_FORMAT_VERSION, &r, &err));
    assert_false(cv_h5_has(r, "/result"));
    cv_h5_close(&r);
    fixture_free(&f);

    f = fixture_arrests(1);
    OK(fixture_save(&f, file, &err));
    OK(cv_h5_open(file, CV_FORMAT_VERSION, &r, &err));
    assert_true(cv_h5_has(r, "/result/loadings"));
    assert_false(cv_h5_has(r, "/result/coefficients"));
    cv_h5_close(&r);
    fixture_free(&f);
}

/* What /result says is held against the vector, number by number. */
static void other_results_are_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *view;
        int at;
        double by;
    } rows[] = {
        {"coefficients", 2, 1e-6},     {"standard_errors", 1, 1e-6},
        {"covariance", 5, 1e-6},       {"scalars", CV_FIT_DEVIANCE, 1e-4},
        {"scalars", CV_FIT_ROWS, 1.0}, {"scalars", CV_FIT_LOGLIK, 1e-3}};
    fixture f = fixture_infert();
    cv_h5_reader *r = NULL;
    OK(fixture_save(&f, file, &err));
    OK(cv_h5_open(file, CV_FORMAT_VERSION, &r, &err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double *v = cv_fit_view(f.m, f.v, rows[i].view) + rows[i].at, old = *v;
        OK(cv_fit_result_check(r, f.m, f.job, f.v, &err));
        *v += rows[i].by;
        assert_int_equal(cv_fit_result_check(r, f.m, f.job, f.v, &err),
                         CV_ERR_VERIFY);
        *v = old;
    }
    cv_h5_close(&r);
    fixture_free(&f);
}

static void hostile_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *view;
        int at;
        double v;
    } rows[] = {
        {"scalars", CV_FIT_STAGE, 4.0},
        {"scalars", CV_FIT_STAGE, -1.0},
        {"scalars", CV_FIT_STAGE, 2.5},
        {"scalars", CV_FIT_STAGE, NAN},
        {"scalars", CV_FIT_STAGE, INFINITY},
        {"scalars", CV_FIT_CONVERGED, 2.0},
        {"scalars", CV_FIT_CONVERGED, NAN},
        {"scalars", CV_FIT_RANK, 5.0},
        {"scalars", CV_FIT_RANK, 1.5},
        {"scalars", CV_FIT_ITERATIONS, -1.0},
        {"scalars", CV_FIT_ITERATIONS, 1e300},
        {"scalars", CV_FIT_HALVINGS, NAN},
        {"scalars", CV_FIT_INTERCEPTS, NAN},
        {"coefficients", 1, NAN},
        {"coefficients", 1, INFINITY},
        {"standard_errors", 0, -INFINITY},
        {"covariance", 15, INFINITY},
        {"working", 0, NAN},
        {"previous", 0, INFINITY},
        {"step", 3, NAN},
        {"centre", 0, NAN},
        {"unit", 1, 0.0},
        {"unit", 1, -1.0},
        {"unit", 1, NAN},
        {"dropped", 1, 1.0},
        {"dropped", 1, 0.5},
        {"dropped", 1, NAN},
        {"norm", 2, INFINITY},
        {"first_variance", 2, NAN},
    };
    fixture f = fixture_infert();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double *v = cv_fit_view(f.m, f.v, rows[i].view) + rows[i].at, old = *v;
        cv_saved s;
        *v = rows[i].v;
        OK(fixture_save(&f, file, &err));
        *v = old;
        if (cv_saved_open(file, &s, &err) != CV_ERR_VERIFY)
            fail_msg("%s[%d] = %g was taken", rows[i].view, rows[i].at,
                     rows[i].v);
        if (!strstr(err.text, rows[i].view) &&
            !strstr(err.text, "coefficients"))
            fail_msg("%s: %s", rows[i].view, err.text);
    }
    fixture_free(&f);
}

/* The job in the file claims another model than the file has. */
static void hostile_shapes(void **state)
{
    (void)state;
    static const char *const models[] = {
        "kind: glm, family: binomial, formula: case ~ age + parity",
        "kind: ridge, ridge: 1, formula: case ~ age + parity + spontaneous",
        "kind: pca, components: 2, formula: '~ age + parity + spontaneous'",
        "kind: kernel_ridge, features: 65536, ridge: 1, formula: case ~ age",
        "kind: cox, formula: 'Surv(case, parity) ~ age + spontaneous'",
    };
    fixture f = fixture_infert();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        fixture lie = {.job = fixture_job(models[i]),
                       .schema = f.schema,
                       .m = f.m,
                       .v = f.v};
        cv_saved s;
        assert_non_null(lie.job);
        /* Views are those of f; labels and job those of the lie. */
        fixture_scalars(&f)[CV_FIT_STAGE] = 2.0;
        OK(fixture_save(&lie, file, &err));
        fixture_scalars(&f)[CV_FIT_STAGE] = 3.0;
        assert_int_equal(cv_saved_open(file, &s, &err), CV_ERR_VERIFY);
        cv_job_destroy(&lie.job);
    }
    fixture_free(&f);
}

/* One bit of the vector, and the file's own digest says so. */
static void digest_of_doubles(void **state)
{
    (void)state;
    fixture f = fixture_infert();
    uint8_t a[32], b[32];
    cv_params_digest_f64(a, f.v, f.m->params.n);
    fixture_scalars(&f)[CV_FIT_PEARSON] = 5e-324;
    cv_params_digest_f64(b, f.v, f.m->params.n);
    assert_memory_not_equal(a, b, 32);

    cv_h5_writer *w = NULL;
    cv_saved s;
    char *schema = cv_schema_to_text(f.schema);
    OK(cv_h5_create(file, 0644, &w, &err));
    OK(cv_h5_attr_i64(w, "/", "format_version", 1, &err));
    OK(cv_h5_attr_i64(w, "/", "round", 1, &err));
    for (int i = 0; i < 4; i++) {
        static const char *const name[] = {"run_id", "job_digest", "created",
                                           "program"};
        OK(cv_h5_attr_string(w, "/", name[i], "00", &err));
    }
    OK(cv_h5_put_string(w, "/job", f.job->text, NULL, &err));
    OK(cv_h5_put_string(w, "/data/schema", schema, NULL, &err));
    char hex[65];
    cv_hex(hex, a, 32); /* of the vector before */
    OK(cv_h5_attr_string(w, "/model", "digest", hex, &err));
    OK(cv_fit_save(w, f.m, f.job, f.v, &err));
    OK(cv_h5_commit(&w, &err));
    assert_int_equal(cv_saved_open(file, &s, &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "own digest"));
    free(schema);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_all),
        cmocka_unit_test(results_are_named),
        cmocka_unit_test(other_results_are_noticed),
        cmocka_unit_test(hostile_vectors),
        cmocka_unit_test(hostile_shapes),
        cmocka_unit_test(digest_of_doubles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

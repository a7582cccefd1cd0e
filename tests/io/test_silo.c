/* silo.yaml: paths, refusals that keep the site's affairs at the site, and the
 * search through a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "core/mem.h"
#include "io/silo.h"

#define KEY(x)                                                                 \
    "0x02" x "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char dir[64];

static char *put(const char *name, const char *text)
{
    char *path = cv_fs_join(dir, name);
    assert_int_equal(cv_fs_write(path, text, strlen(text), 0644, NULL), 0);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/covey-silo-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char *command = cv_asprintf("rm -r '%s'", dir);
    int rc = system(command);
    free(command);
    return rc;
}

static void test_load(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_silo *silo = NULL;
    char *path = put("north.yaml", "silo: north\n"
                                   "data: ./../d/x.h5\n"
                                   "state: covey state\n"
                                   "threads: 8\n");
    assert_int_equal(cv_silo_load(path, &silo, &err), 0);
    char *data = cv_asprintf("%s/../d/x.h5", dir);
    char *kept = cv_asprintf("%s/covey state", dir);
    assert_string_equal(silo->file, path);
    assert_string_equal(silo->silo, "north");
    assert_string_equal(silo->data, data);
    assert_string_equal(silo->state, kept);
    assert_int_equal(silo->threads, 8);
    cv_silo_destroy(&silo);
    assert_null(silo);
    cv_silo_destroy(&silo);
    free(path);

    path = put("north.yaml", "silo: north\ndata: /data/north.h5\n");
    assert_int_equal(cv_silo_load(path, &silo, &err), 0);
    assert_string_equal(silo->data, "/data/north.h5");
    assert_null(silo->state);
    assert_int_equal(silo->threads, 1);
    assert_null(silo->key);
    assert_null(silo->password_file);
    assert_int_equal(silo->n_trusted, 0);
    assert_int_equal(silo->limits.given, 0);
    assert_true(silo->limits.epsilon == 0 && silo->limits.delta == 0);
    assert_int_equal(silo->limits.min_silos, 0);
    assert_int_equal(silo->disclosure.given, 0);
    assert_int_equal(silo->disclosure.min_rows, 0);
    assert_int_equal(silo->disclosure.min_cell, 0);
    cv_silo_destroy(&silo);
    free(path);
    free(data);
    free(kept);
}

static void test_identity(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_silo *silo = NULL;
    char *path =
        put("north.yaml",
            "silo: north\ndata: x\n"
            "key: keys/north.json\n"
            "password_file: /run/secret\n"
            "trusted: [\"" KEY("B") "\", " KEY(
                "c") "]\n"
                     "limits: {epsilon: 0.5, delta: 1.0e-6, min_silos: 4}\n");
    int rc = cv_silo_load(path, &silo, &err);
    if (rc)
        print_message("%d: %s\n", err.line, err.site);
    assert_int_equal(rc, 0);
    char *key = cv_asprintf("%s/keys/north.json", dir);
    assert_string_equal(silo->key, key);
    assert_string_equal(silo->password_file, "/run/secret");
    assert_int_equal(silo->n_trusted, 2);
    /* One key has one text. */
    assert_string_equal(silo->trusted[0], KEY("b"));
    assert_string_equal(silo->trusted[1], KEY("c"));
    assert_int_equal(silo->limits.given, 1);
    assert_true(silo->limits.epsilon == 0.5);
    assert_true(silo->limits.delta == 1e-6);
    assert_int_equal(silo->limits.min_silos, 4);
    cv_silo_destroy(&silo);
    free(path);
    free(key);
    path = put("north.yaml", "silo: north\ndata: x\nlimits: {}\n");
    assert_int_equal(cv_silo_load(path, &silo, &err), 0);
    assert_int_equal(silo->limits.given, 1);
    assert_true(silo->limits.epsilon == 0 && silo->limits.delta == 0);
    cv_silo_destroy(&silo);
    free(path);
}

/* What a site says of itself, and what it leaves to the job. */
static void test_disclosure(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        int min_rows, min_cell;
        double rows_per_parameter;
    } cases[] = {
        {"{}", 0, 0, -1},
        {"", 0, 0, -1},
        {"{min_rows: 50}", 50, 0, -1},
        {"{min_cell: 5}", 0, 5, -1},
        {"{rows_per_parameter: 0}", 0, 0, 0},
        {"{min_rows: 0, min_cell: 0, rows_per_parameter: -1}", 0, 0, -1},
        {"{min_rows: 1000000000, min_cell: 1, rows_per_parameter: 2.5}",
         1000000000, 1, 2.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = cv_asprintf("silo: north\ndata: x\ndisclosure: %s\n",
                                 cases[i].section);
        char *path = put("north.yaml", text);
        cv_silo *silo = NULL;
        cv_err err = {0};
        assert_int_equal(cv_silo_load(path, &silo, &err), 0);
        assert_int_equal(silo->disclosure.given, 1);
        assert_int_equal(silo->disclosure.min_rows, cases[i].min_rows);
        assert_int_equal(silo->disclosure.min_cell, cases[i].min_cell);
        assert_true(silo->disclosure.rows_per_parameter ==
                    cases[i].rows_per_parameter);
        cv_silo_destroy(&silo);
        free(path);
        free(text);
    }
}

/* Named from within its folder, or from beside it, the paths are the same. */
static void test_relative(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_silo *silo = NULL;
    char *path = put("north.yaml", "silo: north\ndata: x.h5\n");
    char *want = cv_asprintf("%s/x.h5", dir), *old = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(cv_silo_load("north.yaml", &silo, &err), 0);
    assert_string_equal(silo->data, want);
    cv_silo_destroy(&silo);
    assert_int_equal(cv_silo_load("./north.yaml", &silo, &err), 0);
    assert_string_equal(silo->data, want);
    cv_silo_destroy(&silo);
    assert_int_equal(chdir("/tmp"), 0);
    assert_int_equal(cv_silo_load(path + 5, &silo, &err), 0);
    assert_string_equal(silo->data, want);
    cv_silo_destroy(&silo);
    assert_int_equal(chdir(old), 0);
    free(path);
    free(want);
    free(old);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *says;
    } cases[] = {
        {"", 1, "empty file"},
        {"silo: north\n", 1, "missing key 'data' (the site's data set)"},
        {"data: secret.h5\n", 1, "missing key 'silo'"},
        {"silo: no rth\ndata: x\n", 1, "silo: expected the name of the silo"},
        {"silo: [north]\ndata: x\n", 1, "found a list of 1"},
        {"silo: north\ndata:\n", 2, "data: expected a path"},
        {"silo: north\ndata: ''\n", 2, "data: expected a path"},
        {"silo: north\ndata: ~/secret.h5\n", 2, "'~' is not expanded"},
        {"silo: north\ndata: ~\n", 2, "data: expected a path"},
        {"silo: north\ndata: \"secret\\nx\"\n", 2, "data: expected a path"},
        {"silo: north\ndata: x\nstate: [x]\n", 3, "state: expected a path"},
        {"silo: north\ndata: x\nthreads: 0\n", 3,
         "threads: expected a whole number from 1 to 1024; found '0'"},
        {"silo: north\ndata: x\nthreads: 1025\n", 3, "found '1025'"},
        {"silo: north\ndata: x\nthreads: '2'\n", 3, "quotes"},
        {"silo: north\ndata: x\nthread: 2\n", 3,
         "unknown key 'thread'; did you mean 'threads'?"},
        {"silo: north\ndata: x\npayee: secret\n", 3,
         "unknown key 'payee'; the keys here are silo, data, state, threads, "
         "key, password_file, trusted, limits"},
        {"silo: north\ndata: x\nkey: ~/secret.json\n", 3,
         "key: expected a path"},
        {"silo: north\ndata: x\nkey: k\npassword_file: ''\n", 4,
         "password_file: expected a path"},
        {"silo: north\ndata: x\npassword_file: secret\n", 3,
         "password_file: used only with key"},
        {"silo: north\ndata: x\ntrusted: []\n", 3,
         "trusted: expected a list of public keys, each 0x02 or 0x03"},
        {"silo: north\ndata: x\ntrusted: " KEY("b") "\n", 3,
         "trusted: expected a list"},
        {"silo: north\ndata: x\ntrusted:\n- " KEY("b") "\n- secret\n", 5,
         "found 'secret'"},
        {"silo: north\ndata: x\ntrusted: [" KEY("") "]\n", 3, "trusted"},
        {"silo: north\ndata: x\ntrusted: [" KEY("g") "]\n", 3, "trusted"},
        {"silo: north\ndata: x\ntrusted:\n- " KEY("b") "\n- " KEY("B") "\n", 5,
         "trusted: expected each only once"},
        {"silo: north\ndata: x\nlimits: 3\n", 3,
         "limits: expected 'key: value' lines below it; found '3'"},
        {"silo: north\ndata: x\nlimits: {epsilon: 0}\n", 3,
         "limits.epsilon: expected a number > 0; found '0'"},
        {"silo: north\ndata: x\nlimits: {delta: 1}\n", 3,
         "limits.delta: expected a number > 0 and < 1"},
        {"silo: north\ndata: x\nlimits: {min_silos: -1}\n", 3,
         "limits.min_silos: expected a whole number from 0 to 1000000"},
        {"silo: north\ndata: x\ndisclosure: 3\n", 3,
         "disclosure: expected 'key: value' lines below it; found '3'"},
        {"silo: north\ndata: x\ndisclosure: {min_rows: -1}\n", 3,
         "disclosure.min_rows: expected a whole number from 0 to 1000000000"},
        {"silo: north\ndata: x\ndisclosure:\n  min_cell: secret\n", 4,
         "disclosure.min_cell: expected a whole number from 0 to 1000000000; "
         "found 'secret'"},
        {"silo: north\ndata: x\ndisclosure: {rows_per_parameter: -2}\n", 3,
         "disclosure.rows_per_parameter: expected a number >= -1; found '-2'"},
        {"silo: north\ndata: x\ndisclosure: {rows_per_parameter: .inf}\n", 3,
         "found '.inf'"},
        {"silo: north\ndata: x\ndisclosure: {min_row: 3}\n", 3,
         "unknown key 'min_row'; did you mean 'min_rows'?"},
        {"silo: north\ndata: x\ndata: secret\n", 3, "'data' is given twice"},
        {"silo: north\ndata: x\nsecret\n", 4, "expected ':'"},
        {"- silo: north\n", 1, "expected 'key: value' lines"},
        {"silo: north\n\tdata: secret\n", 2, "tab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_err err = {0};
        cv_silo *silo = (cv_silo *)1;
        char *path = put("bad.yaml", cases[i].text);
        int rc = cv_silo_load(path, &silo, &err);
        print_message("%s:%d: %s\n", err.file, err.line, err.site);
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_null(silo);
        assert_int_equal(err.line, cases[i].line);
        assert_string_equal(err.file, "bad.yaml");
        /* What may travel holds neither the path nor a value. */
        assert_null(strstr(err.text, "secret"));
        assert_null(strstr(err.text, dir));
        assert_non_null(strstr(err.site, path));
        assert_non_null(strstr(err.site, cases[i].says));
        cv_err_merge_site(&err);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_int_equal(cv_silo_load(path, &silo, NULL), CV_ERR_INPUT);
        free(path);
    }
    cv_err err = {0};
    cv_silo *silo = NULL;
    char *path = cv_fs_join(dir, "none.yaml");
    assert_int_equal(cv_silo_load(path, &silo, &err), CV_ERR_INPUT);
    assert_null(strstr(err.text, dir));
    assert_non_null(strstr(err.site, "No such file"));
    free(path);
}

static void find(const char *name, const char *file, const char *says)
{
    cv_err err = {0};
    char *path = (char *)1;
    int rc = cv_silo_find(dir, name, &path, &err);
    if (!file) {
        print_message("%s: %s\n", err.file, err.text);
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_null(path);
        assert_non_null(strstr(err.text, says));
        return;
    }
    assert_int_equal(rc, 0);
    char *want = cv_fs_join(dir, file);
    assert_string_equal(path, want);
    free(want);
    free(path);
}

static void test_find(void **state)
{
    (void)state;
    find("north", NULL, "'silo: north'; found: none");
    free(put("b.yaml", "silo: north\ndata: x\n"));
    free(put("a.yml", "data: x\nsilo: 'south'\nlimits: {of: later}\n"));
    free(put("job.yaml", "name: north\nsilos: [{name: north}]\n"));
    free(put("broken.yaml", "silo: [north\n"));
    free(put("list.yaml", "silo: [north]\n"));
    free(put(".hidden.yaml", "silo: north\n"));
    free(put("north.txt", "silo: north\n"));
    free(put("b.yaml~", "silo: north\n"));
    char *sub = cv_fs_join(dir, "dir.yaml"), *fifo = cv_fs_join(dir, "p.yaml");
    assert_int_equal(mkdir(sub, 0755), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    find("north", "b.yaml", NULL);
    find("south", "a.yml", NULL);
    find("east", NULL,
         "'silo: east'; found: south, north; 3 of 7 files could not");
    find("", NULL, "found: south, north");
    find("norht", NULL, "is 'north' a typing error?");
    free(put("c.yaml", "silo: north\n"));
    find("north", NULL, "found two: b.yaml and c.yaml");
    find("south", "a.yml", NULL);
    free(sub);
    free(fifo);

    cv_err err = {0};
    char *path = NULL;
    assert_int_equal(cv_silo_find("/nonexistent", "north", &path, &err),
                     CV_ERR_INPUT);
    assert_string_equal(err.file, "/nonexistent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_disclosure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_relative, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

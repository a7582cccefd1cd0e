/* `covey convert`: CSV and IDX files to the HDF5 data layout. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/names.h"
#include "io/table.h"
#include "jobs/commands.h"

static void free_features(cv_feature *f, int n)
{
    for (int i = 0; i < n; i++)
        free(f[i].name);
    free(f);
}

static int no_column(const char *option, const char *name, const char *path,
                     const char *const *names, size_t n, cv_err *err)
{
    char hint[480];
    cv_names_hint(hint, sizeof hint, name, names, n);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "%s: no column '%s' in %s; %s", option, name, path, hint);
}

/* Do the columns that the options name stand in the file? An IDX file has no
 * names: there --target gives the labels one. */
static int check_columns(const char *path, cv_format format, const char *target,
                         const cv_feature *features, int n, cv_err *err)
{
    char **names = NULL;
    size_t n_names = 0;
    if (format != CV_FORMAT_CSV && n)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "--category is for CSV files, found another format; "
                          "leave it out");
    if (format != CV_FORMAT_CSV || (!n && !target))
        return 0;
    int rc = cv_table_csv_header(path, path, &names, &n_names, err);
    const char *const *words = (const char *const *)names;
    if (!rc && target && cv_word_index(target, words, n_names) < 0)
        rc = no_column("--target", target, path, words, n_names, err);
    for (int i = 0; i < n && !rc; i++)
        if (cv_word_index(features[i].name, words, n_names) < 0)
            rc = no_column("--category", features[i].name, path, words, n_names,
                           err);
    for (size_t i = 0; names && i < n_names; i++)
        free(names[i]);
    free((void *)names);
    return rc;
}

static int check_target(const cv_table *t, const char *path, const char *target,
                        cv_err *err)
{
    const char **words = CV_NEW(t->n_cols + 1, const char *);
    size_t n = 0;
    int rc = 0;
    for (int32_t j = 0; j < t->n_cols; j++)
        words[n++] = t->cols[j].name;
    if (t->target.name)
        words[n++] = t->target.name;
    if (cv_word_index(target, words, n) < 0)
        rc = no_column("--target", target, path, words, n, err);
    free((void *)words);
    return rc;
}

int cv_cmd_convert(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {
        {"target", required_argument, NULL, 't'},
        {"category", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0}};
    const char *target = NULL;
    cv_feature *features = NULL;
    int c, n = 0, rc = 0;
    while ((c = getopt_long(argc, argv, ":t:c:", longs, NULL)) != -1) {
        if (c == 't') {
            target = optarg;
        } else if (c == 'c') {
            features = cv_realloc(features, (size_t)n + 1, sizeof *features);
            features[n++] = (cv_feature){.name = cv_strdup(optarg),
                                         .type = CV_FEATURE_CATEGORY};
        } else {
            rc = cv_bad_option("convert", c, argv, longs, err);
            goto out;
        }
    }
    if (optind + 2 != argc) {
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "usage: covey convert IN OUT.h5 [--target COLUMN] "
                        "[--category COLUMN]...");
        goto out;
    }
    const char *in = argv[optind], *to = argv[optind + 1];
    cv_format format;
    cv_table *table = NULL;
    rc = cv_table_guess_format(in, &format, err);
    if (!rc)
        rc = check_columns(in, format, target, features, n, err);
    if (!rc)
        rc = cv_table_read_for(CV_ADVISE_OPTION, in, format, in, NULL, features,
                               n, target, &table, err);
    if (!rc && target && format == CV_FORMAT_HDF5)
        rc = check_target(table, in, target, err);
    if (!rc)
        rc = cv_table_write_hdf5(to, table, err);
    if (!rc) {
        char rows[32];
        cv_format_count(rows, sizeof rows, table->n_rows);
        fprintf(stderr, "%s: %s rows, %d columns%s%s\n", to, rows,
                table->n_cols, table->y ? ", target " : "",
                table->y ? table->target.name : "");
    }
    cv_table_destroy(&table);
    cv_err_merge_site(err); /* the data are the reader's own */
out:
    free_features(features, n);
    return rc;
}

/* `covey convert`: CSV and IDX files to the HDF5 data layout. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/table.h"
#include "jobs/commands.h"

static void free_features(cv_feature *f, int n)
{
    for (int i = 0; i < n; i++)
        free(f[i].name);
    free(f);
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
        rc = cv_table_read(in, format, in, NULL, features, n, target, &table,
                           err);
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

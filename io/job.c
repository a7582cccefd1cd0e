#include "io/job.h"

#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "io/job_keys.h"

typedef struct {
    const char *name;
    int number;
} named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static void sort_silos(cv_job *job)
{
    size_t n = (size_t)job->n_silos;
    named *sorted = cv_realloc(NULL, n, sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (named){job->silos[i].name, (int)i};
    qsort(sorted, n, sizeof *sorted, by_name);
    job->silos_by_name = CV_NEW(n, int);
    for (size_t i = 0; i < n; i++)
        job->silos_by_name[i] = sorted[i].number;
    free(sorted);
}

/* The canonical text must be readable again: it is what the other ranks and
 * every later run parse. Defaults make it longer than the file it came from. */
static int write_text(cv_job *job, cv_err *err)
{
    cv_buf text = {0}, lasting = {0};
    int rc = 0;
    size_t nodes = cv_keys_write(&cv_job_keys, &text, job, 0);
    cv_keys_write(&cv_job_keys, &lasting, job, CV_KEY_NO_DIGEST);
    cv_sha256_of(job->digest, cv_buf_text(&lasting), lasting.len);
    job->text = cv_strdup(cv_buf_text(&text));
    if (text.len > CV_YAML_MAX_BYTES || nodes > CV_YAML_MAX_NODES)
        rc = cv_err_set(err, CV_ERR_INPUT, job->file, 0,
                        "the job with its defaults filled in is too large; "
                        "expected at most %d bytes and %d values, found %zu "
                        "and %zu",
                        CV_YAML_MAX_BYTES, CV_YAML_MAX_NODES, text.len, nodes);
    cv_buf_free(&text);
    cv_buf_free(&lasting);
    return rc;
}

static int parse(const char *text, size_t len, const char *file, cv_job **out,
                 cv_err *err)
{
    cv_yaml *tree = NULL;
    cv_job *job = NULL;
    *out = NULL;
    int rc = cv_yaml_parse(text, len, file, &tree, err);
    if (rc)
        goto out;
    job = CV_NEW(1, cv_job);
    job->file = cv_strdup(file ? file : "");
    rc = cv_keys_read(&cv_job_keys, job, tree, job->file, err);
    if (!rc)
        rc = cv_job_check(job, tree, err);
    if (!rc)
        rc = write_text(job, err);
    if (rc)
        goto out;
    sort_silos(job);
    *out = job;
    job = NULL;
out:
    cv_yaml_destroy(&tree);
    cv_job_destroy(&job);
    return rc;
}

int cv_job_parse(const char *text, const char *file, cv_job **job, cv_err *err)
{
    return parse(text, strlen(text), file, job, err);
}

int cv_job_load(const char *path, cv_job **job, cv_err *err)
{
    char *text = NULL;
    size_t len;
    *job = NULL;
    int rc = cv_fs_read(path, CV_YAML_MAX_BYTES, &text, &len, err);
    if (!rc)
        rc = parse(text, len, path, job, err);
    free(text);
    return rc;
}

void cv_job_destroy(cv_job **job)
{
    if (!*job)
        return;
    cv_keys_free(&cv_job_keys, *job);
    free((*job)->file);
    free((*job)->silos_by_name);
    free((*job)->text);
    CV_FREE(*job);
}

int cv_job_silo_index(const cv_job *job, const char *name)
{
    int lo = 0, hi = job->n_silos;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, at = job->silos_by_name[mid];
        int d = strcmp(name, job->silos[at].name);
        if (d == 0)
            return at;
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return -1;
}

const char *const *cv_job_words(const char *path, size_t *n)
{
    const cv_key *key = cv_keys_find(&cv_job_keys, path, strlen(path));
    CV_CHECK(key && key->words);
    for (*n = 0; key->words[*n];)
        ++*n;
    return key->words;
}

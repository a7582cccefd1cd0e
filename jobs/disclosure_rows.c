/* Which rows were in earlier fits: STATE/silo-NAME.rows.
 *
 * Without noise, two fits whose rows differ by few show these few: the second sum
 * less the first.  A row is known by a keyed hash of all that the file says of
 * it, so neither another formula nor another order of rows hides that it is the
 * same.  The file: 8 bytes of name, a key of 16 random bytes, then for each set
 * its number of rows and their sorted hashes (64 bits, little-endian), then the
 * first 16 bytes of SHA-256 over all before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/secret.h"
#include "io/siphash.h"
#include "jobs/disclosure.h"
#include "jobs/fit.h"
#include "jobs/site.h"

#define MAGIC "covrows1"
enum { HEAD = 24, CHECK = 16 };

/* A site keeps sets of rows of all its fits: equal ones once. */
static const size_t MOST_BYTES = (size_t)4 << 30;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t *hash_rows(const cv_frame *f, const uint8_t key[16])
{
    uint64_t *h = CV_NEW(f->n, uint64_t);
    for (int64_t i = 0; i < f->n; i++) {
        uint8_t word[8];
        cv_put_le64(word, f->content[i]);
        h[i] = cv_siphash(key, word, sizeof word);
    }
    qsort(h, (size_t)f->n, sizeof *h, by_value);
    return h;
}

/* Rows of one set that the other lacks, both ways; equal rows count as often as
 * they are there. */
static int64_t difference(const uint64_t *a, int64_t n, const uint8_t *b,
                          int64_t m)
{
    int64_t i = 0, j = 0, d = 0;
    while (i < n && j < m) {
        uint64_t y = cv_get_le64(b + 8 * j);
        if (a[i] == y) {
            i++;
            j++;
        } else {
            d++;
            if (a[i] < y)
                i++;
            else
                j++;
        }
    }
    return d + (n - i) + (m - j);
}

static int damaged(const char *path, cv_err *err)
{
    cv_err_set(err, CV_ERR_VERIFY, path, 0,
               "the file that knows the rows of earlier fits is damaged; "
               "restore it from a backup");
    return CV_ERR_VERIFY;
}

static int read_sets(const char *path, char **data, size_t *n, cv_err *err)
{
    uint8_t digest[32];
    if (!cv_fs_exists(path)) {
        *n = HEAD;
        *data = cv_calloc(HEAD, 1);
        memcpy(*data, MAGIC, 8);
        cv_entropy(*data + 8, 16);
        return 0;
    }
    int rc = cv_fs_read(path, MOST_BYTES, data, n, err);
    if (rc)
        return rc;
    if (*n < HEAD + CHECK || memcmp(*data, MAGIC, 8) != 0)
        return damaged(path, err);
    *n -= CHECK;
    cv_sha256_of(digest, *data, *n);
    return memcmp(digest, *data + *n, CHECK) == 0 ? 0 : damaged(path, err);
}

/* *known: this very set is there. CV_ERR_PRIVACY if one differs by few. */
static int compare_sets(const cv_hosted *h, const char *path,
                        const uint64_t *mine, int64_t n, const char *data,
                        size_t len, int min_rows, int *known, cv_err *err)
{
    size_t at = HEAD;
    *known = 0;
    while (at < len) {
        if (len - at < 8)
            return damaged(path, err);
        uint64_t m = cv_get_le64((const uint8_t *)data + at);
        at += 8;
        if (m > (len - at) / 8)
            return damaged(path, err);
        int64_t d = difference(mine, n, (const uint8_t *)data + at, (int64_t)m);
        int64_t more = n > (int64_t)m ? n - (int64_t)m : (int64_t)m - n;
        /* All rows new, and yet so many as before but for a few: a file that
         * was written anew, most likely, of the same people. */
        int rewritten = d == n + (int64_t)m && more > 0;
        if (d > 0 && (d < min_rows || (rewritten && more < min_rows)))
            return cv_err_set(
                err, CV_ERR_PRIVACY, NULL, 0,
                "silo %s: its rows differ from those of an earlier fit by "
                "fewer "
                "than %d (disclosure.min_rows), and the difference of the two "
                "fits would show these; use the rows of that fit (the same "
                "data, "
                "the same columns with missing values), or wait until more "
                "have "
                "changed",
                h->name, min_rows);
        *known |= d == 0;
        at += 8 * m;
    }
    return 0;
}

static int write_sets(const char *path, const char *data, size_t len,
                      const uint64_t *mine, int64_t n, cv_err *err)
{
    cv_buf b = {0};
    uint8_t word[8], digest[32];
    cv_buf_add(&b, data, len);
    cv_put_le64(word, (uint64_t)n);
    cv_buf_add(&b, word, 8);
    for (int64_t i = 0; i < n; i++) {
        cv_put_le64(word, mine[i]);
        cv_buf_add(&b, word, 8);
    }
    cv_sha256_of(digest, b.data, b.len);
    cv_buf_add(&b, digest, CHECK);
    int rc = cv_fs_write(path, b.data, b.len, 0600, err);
    cv_buf_free(&b);
    return rc;
}

/* With masks the journal remembers that there were fits of these data. */
static int is_missing(const cv_run *run, int s, const char *path)
{
    const cv_journal *j = run->secure ? run->secure->party[s].journal : NULL;
    size_t n = 0;
    const cv_journal_entry *e = j ? cv_journal_entries(j, &n) : NULL;
    int fits = 0;
    for (size_t i = 0; i < n; i++)
        fits |= e[i].kind == CV_JOURNAL_ATTEMPT && cv_attempt_is_fit(&e[i]) &&
                cv_journal_same_data(&e[i], run->secure->party[s].data,
                                     run->secure->party[s].place);
    return fits && !cv_fs_exists(path);
}

int cv_disclosure_note_rows(const cv_run *run, int hosted, cv_err *err)
{
    const cv_hosted *h = &run->hosted[hosted];
    const cv_frame *f = run->fit->rows[hosted].frame;
    if (!h->site || run->job->privacy.enabled)
        return 0;
    char *path = cv_asprintf("%s/silo-%s.rows", h->state_dir, h->name);
    char *data = NULL;
    size_t len = 0;
    uint64_t *mine = NULL;
    int known = 0, rc;
    if (is_missing(run, hosted, path)) {
        rc = cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                        "silo %s: the file that knows the rows of its earlier "
                        "fits is gone from its state folder; restore it from a "
                        "backup",
                        h->name);
        goto out;
    }
    rc = read_sets(path, &data, &len, err);
    if (rc) {
        cv_site_error(run, h, err);
        goto out;
    }
    mine = hash_rows(f, (const uint8_t *)data + 8);
    rc = compare_sets(h, path, mine, f->n, data, len,
                      cv_disclosure_of(run, h).min_rows, &known, err);
    if (rc == CV_ERR_VERIFY)
        cv_site_error(run, h, err);
    if (!rc && !known) {
        rc = write_sets(path, data, len, mine, f->n, err);
        if (rc)
            cv_site_error(run, h, err);
    }
out:
    free(mine);
    free(data);
    free(path);
    return rc;
}

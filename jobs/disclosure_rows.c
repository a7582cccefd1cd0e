/* Which rows were in earlier fits: STATE/silo-NAME.rows.
 *
 * Without noise, two fits whose rows differ by few show these few: the second sum
 * less the first.  A row is known by a keyed hash of all that the file says of
 * it, and of its weight and offset in the fit, so neither another formula nor
 * another order of rows hides that it is the same, and a weight or offset that
 * differs in few rows counts as other rows; rows of weight 0 are not there.  The
 * file: 8 bytes of name, a key of 16 random bytes, then for each set a digest of
 * the partners, the number of rows and their sorted hashes (64 bits,
 * little-endian), then the first 16 bytes of SHA-256 over all before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "io/siphash.h"
#include "jobs/disclosure.h"
#include "jobs/disclosure_rows.h"
#include "jobs/fit.h"
#include "jobs/site.h"
#include "mpi/agree.h"

#define MAGIC "covrows1"
enum { HEAD = 24, CHECK = 16, PARTNERS = 32 };

/* A site keeps sets of rows of all its fits: equal ones once. */
static const size_t MOST_BYTES = (size_t)4 << 30;

typedef struct {
    const cv_hosted *h;
    int masks, min_rows;
    uint8_t partners[PARTNERS];
    char *path, *data; /* (len) earlier sets, without the check */
    size_t len;
    uint64_t *mine; /* (n) sorted hashes of the rows at hand */
    int64_t n;
} site_rows;

/* By bytes, lowest first: hashes are spread evenly, and a comparison sort of
 * 500,000 takes as long as half an iteration of their fit. */
static void sort_hashes(uint64_t *h, int64_t n)
{
    uint64_t *from = h, *to = CV_NEW(n, uint64_t), *spare = to;
    for (int shift = 0; shift < 64; shift += 8) {
        int64_t start[257] = {0};
        for (int64_t i = 0; i < n; i++)
            start[(from[i] >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            start[b + 1] += start[b];
        for (int64_t i = 0; i < n; i++)
            to[start[from[i] >> shift & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    free(spare); /* eight passes end where they began */
}

/* Rows as the fit sees them, sorted; *n of them. */
static uint64_t *hash_rows(const cv_frame *f, const uint8_t key[16], int64_t *n)
{
    uint64_t *h = CV_NEW(f->n, uint64_t);
    *n = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double w = f->weights ? f->weights[i] : 1.0;
        double o = f->offset ? f->offset[i] : 0.0;
        uint8_t row[24];
        uint64_t bits;
        if (!(w > 0.0))
            continue;
        cv_put_le64(row, f->content[i]);
        memcpy(&bits, &w, sizeof bits);
        cv_put_le64(row + 8, bits);
        memcpy(&bits, &o, sizeof bits);
        cv_put_le64(row + 16, o == 0.0 ? 0 : bits);
        h[(*n)++] = cv_siphash(key, row, sizeof row);
    }
    sort_hashes(h, *n);
    return h;
}

typedef struct {
    int64_t gone, new, common; /* rows; equal ones as often as they are there */
} overlap;

static overlap compare(const uint64_t *a, int64_t n, const uint8_t *b,
                       int64_t m)
{
    int64_t i = 0, j = 0;
    overlap o = {0};
    while (i < n && j < m) {
        uint64_t y = cv_get_le64(b + 8 * j);
        if (a[i] == y) {
            o.common++;
            i++;
            j++;
        } else if (a[i] < y) {
            o.new ++;
            i++;
        } else {
            o.gone++;
            j++;
        }
    }
    o.new += n - i;
    o.gone += m - j;
    return o;
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

static int refuse_few(const cv_hosted *h, int min_rows, cv_err *err)
{
    return cv_err_set(
        err, CV_ERR_PRIVACY, NULL, 0,
        "silo %s: its rows (or their weights or offsets) differ from those of "
        "an earlier fit by fewer than %d (disclosure.min_rows), and the "
        "difference of the two fits would show these; use the rows of that fit "
        "(the same data without what is missing in either), or wait until more "
        "have changed",
        h->name, min_rows);
}

/* One earlier set, of m rows at b. */
static int check_set(const site_rows *r, const uint8_t *partners,
                     const uint8_t *b, int64_t m, int *known, cv_err *err)
{
    overlap o = compare(r->mine, r->n, b, m);
    int64_t most = o.gone > o.new ? o.gone : o.new;
    int64_t more = r->n > m ? r->n - m : m - r->n;
    /* All rows new, and yet so many as before but for a few: a file that was
     * written anew, most likely, of the same people. */
    int rewritten = o.common == 0 && more > 0 && more < r->min_rows;
    if (r->masks && o.common > 0 && memcmp(partners, r->partners, PARTNERS))
        return cv_err_set(
            err, CV_ERR_PRIVACY, NULL, 0,
            "silo %s: rows of it were in a fit with other partners, and the "
            "difference of the two fits would show single silos; fit with the "
            "partners of then, or with `privacy`",
            r->h->name);
    if (most > 0 && (most < r->min_rows || rewritten))
        return refuse_few(r->h, r->min_rows, err);
    *known |= most == 0;
    return 0;
}

/* *known: this very set is there. CV_ERR_PRIVACY if one differs by few. */
static int compare_sets(const site_rows *r, int *known, cv_err *err)
{
    size_t at = HEAD;
    int rc = 0;
    *known = 0;
    while (at < r->len && !rc) {
        const uint8_t *set = (const uint8_t *)r->data + at;
        if (r->len - at < PARTNERS + 8)
            return damaged(r->path, err);
        uint64_t m = cv_get_le64(set + PARTNERS);
        at += PARTNERS + 8;
        if (m > (r->len - at) / 8)
            return damaged(r->path, err);
        rc = check_set(r, set, set + PARTNERS + 8, (int64_t)m, known, err);
        at += 8 * m;
    }
    return rc;
}

static int write_sets(const site_rows *r, cv_err *err)
{
    cv_buf b = {0};
    uint8_t word[8], digest[32];
    cv_buf_add(&b, r->data, r->len);
    cv_buf_add(&b, r->partners, PARTNERS);
    cv_put_le64(word, (uint64_t)r->n);
    cv_buf_add(&b, word, 8);
    for (int64_t i = 0; i < r->n; i++) {
        cv_put_le64(word, r->mine[i]);
        cv_buf_add(&b, word, 8);
    }
    cv_sha256_of(digest, b.data, b.len);
    cv_buf_add(&b, digest, CHECK);
    int rc = cv_fs_write(r->path, b.data, b.len, 0600, err);
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

static void digest_partners(const cv_run *run, uint8_t out[PARTNERS])
{
    size_t n = (size_t)run->fed.n_silos;
    cv_part part[] = {{run->secure->identity, n * sizeof(cv_pubkey)}};
    cv_tagged_hash(out, "covey fit partners v1", part, 1);
}

static void close_rows(site_rows *r)
{
    free(r->path);
    free(r->data);
    free(r->mine);
}

/* Read and compare: *known 1 if there is nothing to add. */
static int open_rows(const cv_run *run, int s, site_rows *r, int *known,
                     cv_err *err)
{
    const cv_hosted *h = &run->hosted[s];
    *r = (site_rows){.h = h,
                     .masks = run->secure->masks,
                     .min_rows = cv_disclosure_of(run->job, h->site).min_rows};
    r->path = cv_asprintf("%s/silo-%s.rows", h->state_dir, h->name);
    digest_partners(run, r->partners);
    if (is_missing(run, s, r->path))
        return cv_err_set(
            err, CV_ERR_PRIVACY, NULL, 0,
            "silo %s: the file that knows the rows of its earlier "
            "fits is gone from its state folder; restore it from "
            "a backup",
            h->name);
    int rc = read_sets(r->path, &r->data, &r->len, err);
    if (!rc) {
        r->mine = hash_rows(run->fit->rows[s].frame,
                            (const uint8_t *)r->data + 8, &r->n);
        rc = compare_sets(r, known, err);
    }
    if (rc && rc != CV_ERR_PRIVACY)
        cv_site_error(run, h, err);
    return rc;
}

int cv_disclosure_note_rows_all(const cv_run *run, cv_err *err)
{
    int n = run->fed.n_hosted, rc = 0;
    int on = cv_fed_is_leader(&run->fed) && !run->job->simulate.enabled &&
             !run->job->privacy.enabled;
    site_rows *rows = CV_NEW(n, site_rows);
    int *known = CV_NEW(n, int);
    for (int s = 0; s < n && on && !rc; s++)
        rc = open_rows(run, s, &rows[s], &known[s], err);
    /* Noted only when no site refuses, or a lead could use up others' rows. */
    rc = cv_agree_all(run->fed.world, rc, err);
    for (int s = 0; s < n && on && !rc; s++) {
        if (known[s])
            continue;
        rc = write_sets(&rows[s], err);
        if (rc)
            cv_site_error(run, &run->hosted[s], err);
    }
    for (int s = 0; s < n; s++)
        close_rows(&rows[s]);
    free(rows);
    free(known);
    return cv_agree_all(run->fed.world, rc, err);
}

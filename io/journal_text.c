/* The journal's text: the first line, and the check that ties each line to the
 * one before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/secret.h"
#include "io/journal_parts.h"

#define MAGIC      "covey journal "
#define CHECK_WORD " check="

/* " check=" and the digits. */
enum { SEAL = sizeof CHECK_WORD - 1 + 2 * CV_JOURNAL_CHECK };

/* ---- writing ------------------------------------------------------------ */

/* check of the line before -> check of this one. */
static void next_check(uint8_t check[CV_JOURNAL_CHECK], const char *text,
                       size_t len)
{
    uint8_t digest[32];
    cv_sha256 *h = cv_sha256_create();
    cv_sha256_add(h, check, CV_JOURNAL_CHECK);
    cv_sha256_add(h, text, len);
    cv_sha256_end(h, digest);
    cv_sha256_destroy(&h);
    memcpy(check, digest, CV_JOURNAL_CHECK);
}

void cv_journal_seal(cv_buf *b, uint8_t check[CV_JOURNAL_CHECK])
{
    char hex[2 * CV_JOURNAL_CHECK + 1];
    next_check(check, cv_buf_text(b), b->len);
    cv_hex(hex, check, CV_JOURNAL_CHECK);
    cv_buf_printf(b, CHECK_WORD "%s\n", hex);
}

/* NAME of .../silo-NAME.journal; of another name, all of it. */
static void silo_name(char *out, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/'), *s = slash ? slash + 1 : path;
    if (strncmp(s, "silo-", 5) == 0)
        s += 5;
    snprintf(out, size, "%s", s);
    char *dot = strrchr(out, '.');
    if (dot && dot != out)
        *dot = '\0';
    for (char *p = out; *p; p++)
        if (*p <= ' ' || *p > '~')
            *p = '_';
}

/* The id makes the checks of two journals differ from their first line on, so
 * that no line of one fits into the other. */
void cv_journal_first_line(cv_buf *b, const char *path)
{
    uint8_t check[CV_JOURNAL_CHECK] = {0}, id[16];
    char name[256], made[32], hex[33];
    time_t now = time(NULL);
    struct tm tm;
    silo_name(name, sizeof name, path);
    gmtime_r(&now, &tm);
    strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", &tm);
    cv_entropy(id, sizeof id);
    cv_hex(hex, id, sizeof id);
    cv_buf_printf(b, MAGIC "1 silo %s made=%s id=%s", name, made, hex);
    cv_journal_seal(b, check);
}

/* ---- reading ------------------------------------------------------------ */

static int damaged(const cv_journal *j, cv_err *err, const char *what)
{
    return cv_err_set(err, CV_ERR_VERIFY, j->path, j->lines + 1,
                      "the journal is damaged: %s; put a whole copy of it "
                      "back, or ask who changed it",
                      what);
}

static int check_first(const cv_journal *j, const char *text, size_t len,
                       cv_err *err)
{
    size_t n = sizeof MAGIC - 1;
    if (len < n || memcmp(text, MAGIC, n) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, j->path, 1,
                          "expected a journal, found something else; put the "
                          "journal back");
    if (len < n + 2 || memcmp(text + n, "1 ", 2) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, j->path, 1,
                          "expected version 1 of the journal's format, found "
                          "another; use the covey that wrote it");
    return 0;
}

void cv_journal_push(cv_journal *j, const cv_journal_entry *e)
{
    if (j->n == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 64;
        j->entries = cv_realloc(j->entries, j->cap, sizeof *j->entries);
    }
    j->entries[j->n++] = *e;
}

/* A line without its end. */
static int take_line(cv_journal *j, const char *line, size_t len, cv_err *err)
{
    uint8_t check[CV_JOURNAL_CHECK];
    char hex[2 * CV_JOURNAL_CHECK + 1];
    int rc = j->lines == 0 ? check_first(j, line, len, err) : 0;
    if (rc)
        return rc;
    if (len < SEAL)
        return damaged(j, err, "the line is too short");
    size_t text = len - SEAL;
    memcpy(check, j->check, sizeof check);
    next_check(check, line, text);
    cv_hex(hex, check, sizeof check);
    if (memcmp(line + text, CHECK_WORD, sizeof CHECK_WORD - 1) != 0 ||
        memcmp(line + len - 2 * CV_JOURNAL_CHECK, hex, sizeof hex - 1) != 0)
        return damaged(j, err,
                       j->lines == 0
                           ? "the line does not have its own check"
                           : "the line was changed, or does not follow the "
                             "one before it");
    if (j->lines > 0) {
        cv_journal_entry e;
        const char *wrong = cv_journal_entry_parse(&e, line, text);
        if (wrong)
            return cv_err_set(err, CV_ERR_VERIFY, j->path, j->lines + 1,
                              "the line has its check, but not the '%s' that "
                              "this covey writes; use the one that wrote it",
                              wrong);
        cv_journal_push(j, &e);
    }
    memcpy(j->check, check, sizeof check);
    j->lines++;
    j->size += (int64_t)len + 1;
    return 0;
}

/* A piece of the last line that a power cut kept from the disk reads as zeros,
 * though the line's end may be there. Text has none, and a damaged byte does
 * not look like it: pieces are whole sectors of the file. at: of the line. */
static int has_hole(const char *line, size_t len, int64_t at)
{
    enum { SECTOR = 512 };
    const char *from = memchr(line, '\0', len), *to = from;
    if (!from)
        return 0;
    while (to < line + len && *to == '\0')
        to++;
    return (from == line || (at + (from - line)) % SECTOR == 0) &&
           (to == line + len || (at + (to - line)) % SECTOR == 0);
}

int cv_journal_take(cv_journal *j, const char *text, size_t len, size_t *used,
                    cv_err *err)
{
    *used = 0;
    while (*used < len) {
        const char *line = text + *used;
        size_t left = len - *used;
        const char *end =
            memchr(line, '\n', left < CV_JOURNAL_LINE ? left : CV_JOURNAL_LINE);
        if (!end)
            return left < CV_JOURNAL_LINE
                       ? 0
                       : damaged(j, err, "the line is too long");
        size_t n = (size_t)(end - line);
        if (n + 1 == left && has_hole(line, left, j->size))
            return 0; /* damage only if something follows */
        int rc = take_line(j, line, n, err);
        if (rc)
            return rc;
        *used += n + 1;
    }
    return 0;
}

/* A line that was cut short ends before its check does. */
static int is_cut_short(const char *text, size_t len, int64_t at)
{
    const char *seal = memmem(text, len, CHECK_WORD, sizeof CHECK_WORD - 1);
    return has_hole(text, len, at) || !seal ||
           (size_t)(seal - text) + SEAL >= len;
}

int cv_journal_rest(const cv_journal *j, const char *text, size_t len,
                    cv_err *err)
{
    if (j->lines == 0) /* it is made whole or not at all */
        return damaged(j, err, "the first line is missing or cut short");
    return len == 0 || is_cut_short(text, len, j->size)
               ? 0
               : damaged(j, err, "text follows the check of the last line");
}

/* libFuzzer target: a silo's journal from anybody.
 *
 * An input that begins with '+' gets the first line and the checks of its whole
 * lines from here, one with '-' is a list of (place, byte) that changes a
 * journal of ours: so that an empty corpus gets past both.
 */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/journal_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void first_line(cv_buf *b, uint8_t check[CV_JOURNAL_CHECK])
{
    memset(check, 0, CV_JOURNAL_CHECK);
    cv_buf_printf(b, "covey journal 1 silo north made=now id=0");
    cv_journal_seal(b, check);
}

static void add_sealed(cv_buf *b, const char *text, size_t len,
                       uint8_t check[CV_JOURNAL_CHECK])
{
    cv_buf line = {0};
    cv_buf_add(&line, text, len);
    cv_journal_seal(&line, check);
    cv_buf_add(b, line.data, line.len);
    cv_buf_free(&line);
}

/* With checks; what follows the last line end has none. */
static void sealed(cv_buf *b, const char *text, size_t len)
{
    uint8_t check[CV_JOURNAL_CHECK];
    const char *end;
    first_line(b, check);
    while ((end = memchr(text, '\n', len))) {
        add_sealed(b, text, (size_t)(end - text), check);
        len -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    cv_buf_add(b, text, len);
}

/* Two entries; some bytes of their text are replaced before they are sealed. */
static void mixed(cv_buf *b, const uint8_t *data, size_t size)
{
    cv_journal_entry e = {.kind = CV_JOURNAL_ATTEMPT,
                          .run_id = {1},
                          .round = 1,
                          .attempt = 20,
                          .draw = 2,
                          .cost = {1.1, 0.01, 20, 65536.0, 3, 1000, 1e-30, 1,
                                   1}},
                     s = {.kind = CV_JOURNAL_SIGNED, .head = {7}};
    cv_buf text = {0};
    cv_journal_entry_text(&text, &e);
    cv_buf_add(&text, "\n", 1);
    cv_journal_entry_text(&text, &s);
    cv_buf_add(&text, "\n", 1);
    for (size_t i = 0; i + 3 <= size; i += 3)
        text.data[(data[i] | (size_t)data[i + 1] << 8) % text.len] =
            (char)data[i + 2];
    sealed(b, text.data, text.len);
    cv_buf_free(&text);
}

/* As from a file that is read in pieces. */
static int load(cv_journal *j, const char *text, size_t len, size_t piece,
                cv_err *err)
{
    char *buf = malloc(piece); /* of its own, so that over-reads are seen */
    size_t have = 0, used = 0;
    int rc = 0;
    while (len && !rc) {
        size_t n = piece - have < len ? piece - have : len;
        CV_CHECK(n > 0);
        memcpy(buf + have, text, n);
        have += n;
        text += n;
        len -= n;
        rc = cv_journal_take(j, buf, have, &used, err);
        CV_CHECK(used <= have);
        memmove(buf, buf + used, have - used);
        have -= used;
    }
    char *rest = malloc(have + !have);
    memcpy(rest, buf, have);
    if (!rc)
        rc = cv_journal_rest(j, rest, have, err);
    free(rest);
    free(buf);
    return rc;
}

/* What was taken may be written, and comes back. */
static void check_entries(const cv_journal *j)
{
    for (size_t i = 0; i < j->n; i++) {
        cv_journal_entry again;
        cv_buf a = {0}, b = {0};
        CV_CHECK(cv_journal_entry_fault(j->entries + i) == NULL);
        cv_journal_entry_text(&a, j->entries + i);
        CV_CHECK(a.len < CV_JOURNAL_LINE - 100);
        CV_CHECK(cv_journal_entry_parse(&again, a.data, a.len) == NULL);
        cv_journal_entry_text(&b, &again);
        CV_CHECK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
        CV_CHECK(again.cost.noise_multiplier ==
                     j->entries[i].cost.noise_multiplier &&
                 again.cost.sampler == j->entries[i].cost.sampler);
        cv_buf_free(&a);
        cv_buf_free(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cv_buf b = {0};
    char path[] = "silo-north.journal";
    if (size && data[0] == '+')
        sealed(&b, (const char *)data + 1, size - 1);
    else if (size && data[0] == '-')
        mixed(&b, data + 1, size - 1);
    else
        cv_buf_add(&b, data, size);
    static const size_t piece[] = {1 << 16, CV_JOURNAL_LINE + 1, 3001};
    cv_journal j[3] = {0};
    cv_err err[3] = {0};
    int rc[3];
    for (int i = 0; i < 3; i++) {
        j[i].path = path;
        j[i].fd = -1;
        rc[i] = load(&j[i], cv_buf_text(&b), b.len, piece[i], &err[i]);
        CV_CHECK(rc[i] == 0 || (rc[i] == CV_ERR_VERIFY && err[i].line >= 1 &&
                                err[i].text[0]));
        CV_CHECK(rc[i] == rc[0] && err[i].line == err[0].line);
        CV_CHECK(j[i].n == j[0].n && j[i].size == j[0].size);
        CV_CHECK(memcmp(j[i].check, j[0].check, CV_JOURNAL_CHECK) == 0);
        CV_CHECK(j[i].size <= (int64_t)b.len);
        check_entries(&j[i]);
        free(j[i].entries);
    }
    cv_buf_free(&b);
    return 0;
}

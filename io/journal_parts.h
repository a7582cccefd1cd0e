/** The inside of io/journal: lines (journal_line.c), entries from text
 *  (journal_text.c), the file (journal.c). Local. */
#ifndef COVEY_IO_JOURNAL_PARTS_H
#define COVEY_IO_JOURNAL_PARTS_H

#include "core/bytes.h"
#include "io/journal.h"

enum {
    CV_JOURNAL_CHECK = 16, /* bytes of a check */
    CV_JOURNAL_LINE = 2048 /* longest line; an entry has 500 to 1000 bytes */
};
/* Largest file: a million attempts and more. */
#define CV_JOURNAL_BYTES ((int64_t)1 << 30)

struct cv_journal {
    char *path;
    int fd;       /* -1: read only */
    int stuck;    /* the file could not be put back: no more appends */
    int64_t size; /* bytes of the whole lines */
    int32_t lines;
    uint8_t check[CV_JOURNAL_CHECK]; /* of the last line */
    cv_journal_entry *entries;       /* (n) */
    size_t n, cap;
};

/** NULL, or what keeps an entry from being written. */
const char *cv_journal_entry_fault(const cv_journal_entry *e);

/** The text of an entry, without check and line end, appended to b. */
void cv_journal_entry_text(cv_buf *b, const cv_journal_entry *e);

/** Read such a text. Returns NULL, or a word for what is wrong: where
 *  something else was expected. */
const char *cv_journal_entry_parse(cv_journal_entry *e, const char *text,
                                   size_t len);

/** Append " check=HEX\n" to a line's text, all of b. check: of the line before;
 *  then of this one. */
void cv_journal_seal(cv_buf *b, uint8_t check[CV_JOURNAL_CHECK]);

/** First line, sealed, for a new file at path. */
void cv_journal_first_line(cv_buf *b, const char *path);

/** Take the whole lines at the start of text[len]: check them, add their
 *  entries. What is not taken must come again, with what follows it.
 *
 *  Out:      used  bytes taken
 *  Returns:  0; CV_ERR_VERIFY naming the line
 */
int cv_journal_take(cv_journal *j, const char *text, size_t len, size_t *used,
                    cv_err *err);

/** What is left when nothing follows: 0 if it is nothing, or a line that was
 *  cut short; else CV_ERR_VERIFY. */
int cv_journal_rest(const cv_journal *j, const char *text, size_t len,
                    cv_err *err);

void cv_journal_push(cv_journal *j, const cv_journal_entry *e);

#endif

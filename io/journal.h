/** A site's private, append-only journal of the attempts it took part in: what
 *  was sent with which noise, and what that cost. It is the privacy ledger as
 *  well: what was spent is the sum over its entries (PROTOCOL, Attempts, and
 *  Budget).
 *
 *  Scope: local. One file per silo at the site, STATE/silo-NAME.journal, mode
 *  0600, over all runs of that silo. Text, a line an entry:
 *
 *      covey journal 1 silo NAME made=... id=... check=...
 *      attempt run=... job=... round=3 attempt=4 draw=4 ... check=...
 *      signed run=... job=... round=3 attempt=4 draw=4 ... check=...
 *
 *  A digest of zeros is written as "-". Numbers read back exactly. check is the
 *  first 16 bytes of SHA-256(check of the line before, text before " check="),
 *  with 16 zero bytes before the first line: an entry cannot be changed,
 *  removed or moved unless all after it are written anew. The check has no
 *  key; it finds damage and mistakes. That the end of the file, or all of it,
 *  was put back to an older state cannot be told from the file: the caller
 *  compares it with the checkpoint.
 *
 *  Errors name the file, which is a private path of the site: what leaves the
 *  site must not repeat it.
 */
#ifndef COVEY_IO_JOURNAL_H
#define COVEY_IO_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef enum {
    CV_JOURNAL_ATTEMPT = 1,
    CV_JOURNAL_SIGNED = 2,
    CV_JOURNAL_COMPUTED = 3 /* a record that the silo computed itself; the
                             * fields of SIGNED, vector: digest of the run's
                             * state that goes with it */
} cv_journal_kind;

/** What one mechanism costs, as the accountant wants it
 *  (privacy/accountant.h); all zero: nothing is charged. */
typedef struct {
    double noise_multiplier;
    double sampling; /* in [0, 1] */
    int64_t steps;   /* 0 .. 2^50 */
    double sensitivity;
    int64_t shares;    /* 0 .. 2^31 */
    int64_t dimension; /* 0 .. 2^53 */
    double sampler;    /* in [0, 1] */
    int64_t collusion; /* 0 .. 2^31 */
    int32_t unit;      /* 0 a record, 1 a silo */
} cv_journal_cost;

typedef struct {
    cv_journal_kind kind;
    uint8_t run_id[32], job_digest[32];
    uint8_t data[32];       /* fingerprint of the data set's content */
    uint8_t place[32];      /* digest of the data set's path */
    int64_t round, attempt; /* 0 .. 2^53 */
    int64_t draw; /* the attempt whose noise and sample are used: this one, or
                   * an earlier one in a free replay */
    uint8_t model[32];    /* digest of the model at the start */
    uint8_t members[32];  /* who */
    uint8_t vector[32];   /* H(noised vector), zero if not kept */
    cv_journal_cost cost; /* of an ATTEMPT; a free replay costs nothing */
    uint8_t head[32],
        supersedes[32]; /* not ATTEMPT: the record's digest, and the
                                       * one it replaces (zero: none) */
} cv_journal_entry;

typedef struct cv_journal cv_journal;

/** Open the journal, making it if it is not there (its folder must be), and
 *  hold it alone until it is closed or the process ends however it ends. Every
 *  entry is read and checked, and is on the disk afterwards. A last line that
 *  was cut short by a crash was never durable: it is taken off.
 *
 *  Returns:  0; CV_ERR_ENV if another run of the silo holds it, or what is
 *            there is not a file (a symbolic link is not followed), or the disk
 *            fails; CV_ERR_VERIFY, with the line, if it is damaged.
 *            *out is NULL on an error.
 *  A file that others may read, or that belongs to somebody else, is warned of
 *  in the log.
 */
int cv_journal_open(const char *path, cv_journal **out, cv_err *err);

/** Read it without a lock and without changes: for covey inspect and an
 *  auditor. Returns as cv_journal_open; CV_ERR_INPUT if it is not there. */
int cv_journal_read(const char *path, cv_journal **out, cv_err *err);

/** Add an entry: on the disk when this returns 0.
 *
 *  Returns:  0; CV_ERR_ENV if it could not be made durable, or the file was
 *            moved or changed by something else; CV_ERR_BUG for numbers out of
 *            range, a cost in an entry that is no ATTEMPT or a head in an ATTEMPT.
 *  On an error the entry does not count and the file is as it was. Where a
 *  failing disk does not let it be put back, all further appends are refused;
 *  the entry may then be found, and counts, when the journal is next opened.
 */
int cv_journal_append(cv_journal *j, const cv_journal_entry *e, cv_err *err);

/** All entries (n), oldest first; j's, until the next append. */
const cv_journal_entry *cv_journal_entries(const cv_journal *j, size_t *n);

/** Last ATTEMPT of a run: of any round (round <= 0), or of one. NULL if none;
 *  j's, until the next append. */
const cv_journal_entry *
cv_journal_last(const cv_journal *j, const uint8_t run_id[32], int64_t round);
/** Last SIGNED entry of a run. */
const cv_journal_entry *cv_journal_last_signed(const cv_journal *j,
                                               const uint8_t run_id[32]);

/** Does the entry count for a data set? The same content or the same place, so
 *  that neither moving a file nor changing a byte of it refills a budget. */
int cv_journal_same_data(const cv_journal_entry *e, const uint8_t data[32],
                         const uint8_t place[32]);

/** Close and let go of it; NULL-safe. */
void cv_journal_close(cv_journal **j);

#endif

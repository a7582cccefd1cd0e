/** Errors: one code, one message, the same on every rank.
 *
 *  A function that can fail returns 0 or a negative cv_code and fills the
 *  cv_err its caller passed.  The struct has a fixed size and no pointers, so
 *  that one rank can broadcast it (mpi/agree.h).
 *
 *  What a silo must not tell the others (values, row numbers, private paths)
 *  goes into `site`, which never leaves the process: it is written to the
 *  site's own log.
 */
#ifndef COVEY_CORE_ERR_H
#define COVEY_CORE_ERR_H

#include <stdint.h>

typedef enum {
    CV_OK = 0,
    CV_ERR_OTHER = -1,
    CV_ERR_INPUT = -2,   /* job, data or command line is wrong */
    CV_ERR_ENV = -3,     /* disk, network, memory, MPI set-up */
    CV_ERR_PRIVACY = -4, /* refused: a limit or rule would be broken */
    CV_ERR_SILOS = -5,   /* fewer silos than the job allows */
    CV_ERR_VERIFY = -6,  /* something signed or hashed does not hold */
    CV_ERR_NUMERIC = -7, /* not finite, singular, diverged */
    CV_ERR_BUG = -70,
    CV_REQUEUE = -75 /* stopped on request, checkpoint written */
} cv_code;

typedef struct {
    int32_t code;   /* cv_code */
    int32_t rank;   /* world rank that failed, -1 if unknown */
    int32_t line;   /* line of the input file, 0 if none */
    char file[200]; /* input file as the user named it, or "" */
    char text[800]; /* expected, found, what to do; may leave the silo */
    char site[800]; /* values, rows, private paths; never leaves the site */
} cv_err;

/** Fill err (which may be NULL) and return code.
 *
 *  Scope:    local
 *  In:       code   negative cv_code;  file  input file or NULL;
 *            line   1-based line or 0; fmt   sentence: what was expected,
 *                   what was found, what to do
 *  Returns:  code, so that callers write `return cv_err_set(...)`
 */
int cv_err_set(cv_err *err, int code, const char *file, int line,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/** Add the detail that must stay at the site. Returns err's code. */
int cv_err_site(cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Put "prefix: " before the message, e.g. a silo's name. Returns err's code.
 */
int cv_err_prefix(cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Move the site's detail into the message: for commands and simulated runs
 *  in which data, job and reader are one party. */
void cv_err_merge_site(cv_err *err);

/** Write "covey: error: FILE:LINE: TEXT" to buf (always terminated). */
void cv_err_format(const cv_err *err, char *buf, int size);

/** Process exit code for a cv_code: 0, 1, 2, 3, 4, 5, 6, 70 or 75. */
int cv_exit_code(int code);

/** A broken assumption is a bug: log it and abort. Always on. */
#define CV_CHECK(cond)                                                         \
    do {                                                                       \
        if (!(cond))                                                           \
            cv_bug(__FILE__, __LINE__, #cond);                                 \
    } while (0)

_Noreturn void cv_bug(const char *file, int line, const char *what);

#endif

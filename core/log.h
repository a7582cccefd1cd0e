/** Log lines: "2026-11-22T08:41:12Z round_end round=3 loss=0.41".
 *
 *  Scope: local. Messages for the user go to stderr at or below the level that
 *  -q and -v choose; a second sink (RUN/covey.log) gets everything.
 */
#ifndef COVEY_CORE_LOG_H
#define COVEY_CORE_LOG_H

typedef enum {
    CV_LOG_ERROR = 0,
    CV_LOG_WARN = 1,
    CV_LOG_INFO = 2,
    CV_LOG_DEBUG = 3
} cv_log_level;

/** Level for stderr; everything above it is silent there. Default WARN. */
void cv_log_set_level(cv_log_level level);
cv_log_level cv_log_get_level(void);

/** Also append every line to this file, created with mode. NULL stops.
 *  Returns 0, or -1 with errno set. */
int cv_log_open(const char *path, int mode);

/** Details that must not leave the site go to the site's own log, and nowhere
 *  else; without one they are dropped. Returns as cv_log_open. */
int cv_log_open_site(const char *path);
void cv_log_site(const char *event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** One line: an event word and "key=value" pairs. */
void cv_log(cv_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

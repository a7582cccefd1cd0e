#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cv_err_set(cv_err *err, int code, const char *file, int line,
               const char *fmt, ...)
{
    CV_CHECK(code < 0);
    if (!err)
        return code;
    memset(err, 0, sizeof *err);
    err->code = code;
    err->rank = -1;
    err->line = line;
    if (file)
        snprintf(err->file, sizeof err->file, "%s", file);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return code;
}

int cv_err_site(cv_err *err, const char *fmt, ...)
{
    if (!err)
        return CV_ERR_OTHER;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->site, sizeof err->site, fmt, ap);
    va_end(ap);
    return err->code;
}

int cv_err_prefix(cv_err *err, const char *fmt, ...)
{
    if (!err)
        return CV_ERR_OTHER;
    char head[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head - 2, fmt, ap);
    va_end(ap);
    strcat(head, ": ");
    /* The end of the old text makes room where it must. */
    size_t n = strlen(head), old = strlen(err->text);
    size_t room = sizeof err->text - 1 - n;
    memmove(err->text + n, err->text, old < room ? old : room);
    err->text[n + (old < room ? old : room)] = '\0';
    memcpy(err->text, head, n);
    return err->code;
}

void cv_err_merge_site(cv_err *err)
{
    if (!err || !err->site[0])
        return;
    size_t at = strlen(err->text);
    snprintf(err->text + at, sizeof err->text - at, " (%s)", err->site);
    err->site[0] = '\0';
}

void cv_err_format(const cv_err *err, char *buf, int size)
{
    if (err->file[0] && err->line > 0)
        snprintf(buf, (size_t)size, "covey: error: %s:%d: %s", err->file,
                 (int)err->line, err->text);
    else if (err->file[0])
        snprintf(buf, (size_t)size, "covey: error: %s: %s", err->file,
                 err->text);
    else
        snprintf(buf, (size_t)size, "covey: error: %s", err->text);
}

int cv_exit_code(int code)
{
    switch (code) {
    case CV_OK:
        return 0;
    case CV_ERR_INPUT:
    case CV_ERR_ENV:
    case CV_ERR_PRIVACY:
    case CV_ERR_SILOS:
    case CV_ERR_VERIFY:
    case CV_ERR_BUG:
    case CV_REQUEUE:
        return -code;
    default:
        return 1;
    }
}

_Noreturn void cv_bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "covey: bug: %s:%d: %s does not hold; please report it\n",
            file, line, what);
    fflush(stderr);
    abort();
}

#include "core/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/progress.h"

static cv_log_level g_level = CV_LOG_WARN;
static int g_fd = -1;

void cv_log_set_level(cv_log_level level)
{
    g_level = level;
}

cv_log_level cv_log_get_level(void)
{
    return g_level;
}

int cv_log_open(const char *path, int mode)
{
    if (g_fd >= 0)
        close(g_fd);
    g_fd = -1;
    if (!path)
        return 0;
    g_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode);
    return g_fd < 0 ? -1 : 0;
}

void cv_log(cv_log_level level, const char *event, const char *fmt, ...)
{
    if (level > g_level && g_fd < 0)
        return;
    char line[1200], when[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(line, sizeof line, "%s %s ", when, event);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (size_t)(m > 0 ? m : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = 0; i < len; i++) /* one event, one line */
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[len++] = '\n';
    /* A log that cannot be written must not end a run: ignore the result. */
    if (g_fd >= 0 && write(g_fd, line, len) < 0) {
    }
    if (level <= g_level) {
        cv_progress_clear();
        fwrite(line, 1, len, stderr);
        fflush(stderr);
    }
}

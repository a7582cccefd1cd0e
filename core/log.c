#include "core/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/progress.h"

static cv_log_level g_level = CV_LOG_WARN;
static int g_fd = -1, g_site_fd = -1;

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

int cv_log_open_site(const char *path)
{
    if (g_site_fd >= 0)
        close(g_site_fd);
    g_site_fd = -1;
    if (!path)
        return 0;
    g_site_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return g_site_fd < 0 ? -1 : 0;
}

/* "time event text\n" into line; returns its length. */
static size_t format_line(char *line, size_t size, const char *event,
                          const char *fmt, va_list ap)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(line, size, "%s %s ", when, event);
    int m = vsnprintf(line + n, size - (size_t)n - 1, fmt, ap);
    size_t len = (size_t)n + (size_t)(m > 0 ? m : 0);
    if (len > size - 2)
        len = size - 2;
    for (size_t i = 0; i < len; i++) /* one event, one line */
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    line[len++] = '\n';
    return len;
}

/* A log that cannot be written must not end a run: the result is ignored. */
static void append(int fd, const char *line, size_t len)
{
    if (fd >= 0 && write(fd, line, len) < 0) {
    }
}

void cv_log(cv_log_level level, const char *event, const char *fmt, ...)
{
    if (level > g_level && g_fd < 0)
        return;
    char line[1200];
    va_list ap;
    va_start(ap, fmt);
    size_t len = format_line(line, sizeof line, event, fmt, ap);
    va_end(ap);
    append(g_fd, line, len);
    if (level <= g_level) {
        cv_progress_clear();
        fwrite(line, 1, len, stderr);
        fflush(stderr);
    }
}

void cv_log_site(const char *event, const char *fmt, ...)
{
    char line[1200];
    va_list ap;
    va_start(ap, fmt);
    size_t len = format_line(line, sizeof line, event, fmt, ap);
    va_end(ap);
    append(g_site_fd, line, len);
}

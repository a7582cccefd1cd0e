#include "core/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rest_is_blank(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return *s == '\0';
}

int cv_parse_i64(int64_t *out, const char *s)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (end == s || errno || !rest_is_blank(end))
        return -1;
    *out = v;
    return 0;
}

int cv_parse_f64(double *out, const char *s)
{
    char *end;
    errno = 0;
    /* The program never calls setlocale, so '.' is the decimal point. */
    double v = strtod(s, &end);
    if (end == s || !rest_is_blank(end))
        return -1;
    if (errno == ERANGE && !isfinite(v))
        return -1;
    *out = v;
    return 0;
}

/* Optimal string alignment distance, case ignored; words are short. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { MAX = 48 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX)
        return n > m ? n : m;
    unsigned char d[MAX][MAX];
    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned char)i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]);
            int y = tolower((unsigned char)b[j - 1]);
            size_t best = d[i - 1][j - 1] + (size_t)(x != y);
            if (d[i - 1][j] + 1u < best)
                best = d[i - 1][j] + 1u;
            if (d[i][j - 1] + 1u < best)
                best = d[i][j - 1] + 1u;
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) &&
                d[i - 2][j - 2] + 1u < best)
                best = d[i - 2][j - 2] + 1u;
            d[i][j] = (unsigned char)best;
        }
    return d[n][m];
}

const char *cv_closest(const char *s, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t best_d = strlen(s) / 3 + 2; /* more than this is another word */
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(s, words[i]);
        if (d < best_d) {
            best_d = d;
            best = words[i];
        }
    }
    return best;
}

int cv_word_index(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0)
            return (int)i;
    return -1;
}

void cv_format_count(char *out, int size, int64_t n)
{
    char digits[32], text[48];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        text[at++] = digits[i];
        int left = len - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            text[at++] = ',';
    }
    text[at] = '\0';
    snprintf(out, (size_t)size, "%s", text);
}

void cv_format_bytes(char *out, int size, double bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    int u = 0;
    while (bytes >= 999.5 && u < 4) {
        bytes /= 1000.0;
        u++;
    }
    snprintf(out, (size_t)size, u ? "%.1f %s" : "%.0f %s", bytes, unit[u]);
}

void cv_format_f64(char out[CV_F64_TEXT], double v)
{
    if (!isfinite(v)) {
        snprintf(out, CV_F64_TEXT, "%s",
                 isnan(v) ? "NaN"
                 : v < 0  ? "-Inf"
                          : "Inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, CV_F64_TEXT, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
}

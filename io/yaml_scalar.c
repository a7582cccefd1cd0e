/* Single values of a YAML file, read strictly and written canonically. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "io/yaml.h"

static int is_plain(const cv_yaml *node)
{
    return node->kind == CV_YAML_SCALAR && !node->quoted;
}

int cv_yaml_is_null(const cv_yaml *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return is_plain(node) &&
           cv_word_index(node->text, words, sizeof words / sizeof *words) >= 0;
}

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Length of a decimal integer at s, 0 if there is none. A leading zero is
 * refused: 010 is ten to some readers of YAML and eight to others. */
static size_t whole_number(const char *s)
{
    size_t sign = *s == '-' || *s == '+', n = digits(s + sign);
    if (n == 0 || (n > 1 && s[sign] == '0'))
        return 0;
    return sign + n;
}

int cv_yaml_i64(const cv_yaml *node, int64_t *v)
{
    if (!is_plain(node))
        return -1;
    size_t n = whole_number(node->text);
    return n && node->text[n] == '\0' ? cv_parse_i64(v, node->text) : -1;
}

static int is_decimal(const char *s)
{
    size_t n = whole_number(s);
    if (n == 0) { /* .5 */
        n = *s == '-' || *s == '+';
        if (s[n] != '.' || digits(s + n + 1) == 0)
            return 0;
    }
    s += n;
    if (*s == '.')
        s += 1 + digits(s + 1);
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        if (digits(s) == 0)
            return 0;
        s += digits(s);
    }
    return *s == '\0';
}

int cv_yaml_f64(const cv_yaml *node, double *v)
{
    double x;
    if (!is_plain(node) || !is_decimal(node->text) ||
        cv_parse_f64(&x, node->text) != 0 || !isfinite(x))
        return -1;
    *v = x + 0.0; /* -0 becomes 0, which prints as people write it */
    return 0;
}

int cv_yaml_bool(const cv_yaml *node, int *v)
{
    if (!is_plain(node))
        return -1;
    int is_true = strcmp(node->text, "true") == 0;
    if (!is_true && strcmp(node->text, "false") != 0)
        return -1;
    *v = is_true;
    return 0;
}

void cv_yaml_put_f64(cv_buf *out, double v)
{
    char text[40];
    double back;
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, v);
        if (cv_parse_f64(&back, text) == 0 && back == v)
            break;
    }
    cv_buf_printf(out, "%s", text);
}

void cv_yaml_put_text(cv_buf *out, const char *text)
{
    cv_buf_add(out, "\"", 1);
    for (const char *s = text; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            cv_buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            cv_buf_printf(out, "\\x%02x", c);
        else
            cv_buf_add(out, s, 1);
    }
    cv_buf_add(out, "\"", 1);
}

/* One character of valid UTF-8; *n is its length in bytes. */
static uint32_t decode(const char *s, size_t *n)
{
    unsigned char c = (unsigned char)*s;
    *n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    uint32_t v = *n == 1 ? c : c & (0x7fu >> *n);
    for (size_t i = 1; i < *n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) { /* never out of libyaml */
            *n = i;
            return 0;
        }
        v = v << 6 | ((unsigned char)s[i] & 0x3fu);
    }
    return v;
}

static int is_clean_char(uint32_t c)
{
    return !(c < 0x20 || (c >= 0x7f && c <= 0x9f) || /* controls */
             (c >= 0x2028 && c <= 0x202e) ||         /* line ends, directions */
             (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffe ||
             c == 0xffff);
}

int cv_yaml_is_clean(const char *text)
{
    size_t n;
    for (; *text; text += n)
        if (!is_clean_char(decode(text, &n)))
            return 0;
    return 1;
}

void cv_yaml_excerpt(char out[80], const char *text)
{
    size_t at = 0, n;
    for (; *text && at < 60; text += n) {
        if (is_clean_char(decode(text, &n))) {
            memcpy(out + at, text, n);
            at += n;
        } else {
            out[at++] = '?';
        }
    }
    snprintf(out + at, 80 - at, "%s", *text ? "..." : "");
}

typedef struct {
    const char *text;
    size_t at;
} placed;

static int by_text_then_place(const void *a, const void *b)
{
    const placed *p = a, *q = b;
    int d = strcmp(p->text, q->text);
    return d ? d : (p->at > q->at) - (p->at < q->at);
}

int cv_yaml_repeat(const char *const *texts, size_t n, size_t *first,
                   size_t *second)
{
    placed *sorted = cv_realloc(NULL, n, sizeof *sorted);
    size_t m = 0, best = n;
    for (size_t i = 0; i < n; i++)
        if (texts[i])
            sorted[m++] = (placed){texts[i], i};
    qsort(sorted, m, sizeof *sorted, by_text_then_place);
    for (size_t i = 1; i < m; i++)
        if (sorted[i].at < best &&
            strcmp(sorted[i].text, sorted[i - 1].text) == 0) {
            best = sorted[i].at;
            *first = sorted[i - 1].at;
            *second = best;
        }
    free(sorted);
    return best < n;
}

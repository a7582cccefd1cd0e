#include "jobs/json.h"

#include <math.h>

#include "core/text.h"

static void quote(cv_buf *b, const char *s)
{
    cv_buf_add(b, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            cv_buf_printf(b, "\\%c", c);
        else if (c < 0x20)
            cv_buf_printf(b, "\\u%04x", c);
        else
            cv_buf_add(b, s, 1);
    }
    cv_buf_add(b, "\"", 1);
}

static void start(cv_buf *b, const char *key)
{
    if (b->len) {
        char last = b->data[b->len - 1];
        if (last != '{' && last != '[')
            cv_buf_add(b, ", ", 2);
    }
    if (key) {
        quote(b, key);
        cv_buf_add(b, ": ", 2);
    }
}

void cv_json_open(cv_buf *b, const char *key, char bracket)
{
    start(b, key);
    cv_buf_add(b, &bracket, 1);
}

void cv_json_close(cv_buf *b, char bracket)
{
    cv_buf_add(b, &bracket, 1);
}

void cv_json_string(cv_buf *b, const char *key, const char *text)
{
    start(b, key);
    quote(b, text);
}

void cv_json_i64(cv_buf *b, const char *key, int64_t v)
{
    start(b, key);
    cv_buf_printf(b, "%lld", (long long)v);
}

void cv_json_f64(cv_buf *b, const char *key, double v)
{
    start(b, key);
    if (!isfinite(v)) {
        cv_buf_printf(b, "null");
        return;
    }
    char text[CV_F64_TEXT];
    cv_format_f64(text, v);
    cv_buf_printf(b, "%s", text);
}

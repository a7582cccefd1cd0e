#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "io/formula_parts.h"

size_t cv_token_character(const char *text, size_t at)
{
    size_t n = 1;
    for (size_t i = 0; i < at; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One character of a name beyond ASCII, as R takes it in a UTF-8 locale: no
 * tables of letters here, but blanks and punctuation that look like nothing or
 * like ASCII are none. Whether the bytes are UTF-8 is seen to by
 * cv_name_fault. */
static size_t wide_letter(const unsigned char *s)
{
    size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = n ? s[0] & (0x7fu >> n) : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    int blank = c <= 0xa0 || (c >= 0x2000 && c <= 0x206f) || c == 0x3000 ||
                c == 0xfeff || (c >= 0xfff0 && c <= 0xffff);
    return blank ? 0 : n;
}

static size_t name_character(const char *s)
{
    unsigned char c = (unsigned char)*s;
    if (c >= 0x80)
        return wide_letter((const unsigned char *)s);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(*s) ||
           c == '.' || c == '_';
}

static int begins_name(const char *s)
{
    if (*s == '.')
        return !is_digit(s[1]);
    return *s != '_' && !is_digit(*s) && name_character(s) > 0;
}

static int is_reserved(const char *name)
{
    static const char *const words[] = {
        "if",       "else", "repeat",        "while", "function",
        "for",      "next", "break",         "TRUE",  "FALSE",
        "NULL",     "Inf",  "NaN",           "NA",    "NA_integer_",
        "NA_real_", "in",   "NA_character_", "..."};
    if (cv_word_index(name, words, sizeof words / sizeof *words) >= 0)
        return 1;
    if (strncmp(name, "..", 2) != 0 || !name[2])
        return 0;
    return name[2 + strspn(name + 2, "0123456789")] == '\0'; /* ..1 */
}

int cv_token_is_plain(const char *name)
{
    if (strcmp(name, ".") == 0 || !begins_name(name) || is_reserved(name))
        return 0;
    while (*name) {
        size_t n = name_character(name);
        if (n == 0)
            return 0;
        name += n;
    }
    return 1;
}

typedef struct {
    cv_token *token;
    const char *text;
    cv_err *err;
} reader;

static int fault(const reader *r, const char *what)
{
    return cv_err_set(r->err, CV_ERR_INPUT, NULL, 0,
                      "formula: at character %zu: %s",
                      cv_token_character(r->text, r->token->at), what);
}

static int name_fault(const reader *r, const char *why)
{
    return cv_err_set(r->err, CV_ERR_INPUT, NULL, 0,
                      "formula: at character %zu: a name that %s",
                      cv_token_character(r->text, r->token->at), why);
}

/* A name in backquotes; a backslash takes the next one and the backquote as
 * they are, as in R. */
static int read_quoted(const reader *r)
{
    cv_token *t = r->token;
    const char *s = r->text + t->at + 1;
    size_t n = 0;
    t->kind = CV_TOKEN_NAME;
    t->quoted = 1;
    for (; *s != '`'; s++) {
        if (*s == '\\') {
            if (s[1] != '`' && s[1] != '\\')
                return fault(r, "in backquotes, a backslash stands before "
                                "another one or a backquote");
            s++;
        }
        if (!*s)
            return fault(r, "a backquote that is never closed");
        if (n == CV_NAME_MAX)
            return name_fault(r, "is longer than 256 bytes");
        t->name[n++] = *s;
    }
    t->name[n] = '\0';
    t->len = (size_t)(s + 1 - r->text) - t->at;
    const char *why = cv_name_fault(t->name, n);
    return why ? name_fault(r, why) : 0;
}

static int read_name(const reader *r)
{
    cv_token *t = r->token;
    const char *s = r->text + t->at;
    size_t n;
    t->kind = CV_TOKEN_NAME;
    while ((n = name_character(s + t->len)) > 0)
        t->len += n;
    const char *why = cv_name_fault(s, t->len);
    if (why)
        return name_fault(r, why);
    memcpy(t->name, s, t->len);
    t->name[t->len] = '\0';
    if (is_reserved(t->name))
        return cv_err_set(r->err, CV_ERR_INPUT, NULL, 0,
                          "formula: at character %zu: '%s' is a word of R; if "
                          "a column is called so, put it in backquotes",
                          cv_token_character(r->text, t->at), t->name);
    return 0;
}

static int read_number(const reader *r)
{
    cv_token *t = r->token;
    const char *start = r->text + t->at, *s = start;
    t->kind = CV_TOKEN_NUMBER;
    while (is_digit(*s))
        s++;
    if (*s == '.')
        s++;
    while (is_digit(*s))
        s++;
    if (*s == 'e' || *s == 'E') {
        const char *e = s + 1;
        e += *e == '-' || *e == '+';
        while (is_digit(*e))
            s = ++e;
    }
    t->len = (size_t)(s - start);
    if (name_character(s))
        return fault(r, "a number that goes on as a name: a column whose name "
                        "begins with a digit is put in backquotes");
    if (cv_number(&t->number, start, t->len) != 0)
        return fault(r, "a number that is too large");
    return 0;
}

/* %in%, or what is written like it. */
static int read_special(const reader *r)
{
    cv_token *t = r->token;
    const char *s = r->text + t->at;
    size_t n = 1 + strspn(s + 1, "abcdefghijklmnopqrstuvwxyz/*>");
    if (s[n] != '%' || n > 20)
        return fault(r, "'%' has no meaning here");
    t->kind = CV_TOKEN_SPECIAL;
    t->len = n + 1;
    return 0;
}

static int read_other(const reader *r)
{
    cv_token *t = r->token;
    const char *s = r->text + t->at;
    unsigned char c = (unsigned char)*s;
    t->len = 1;
    if (s[0] == '=' && s[1] == '=') {
        t->kind = CV_TOKEN_EQUAL;
        t->len = 2;
        return 0;
    }
    if (strchr("+-*/:^(),~|", c)) {
        t->kind = c;
        return 0;
    }
    char what[80];
    if (c > 0x20 && c < 0x7f)
        snprintf(what, sizeof what, "'%c' has no meaning in a formula", c);
    else
        snprintf(what, sizeof what,
                 "a character (byte 0x%02x) that has no meaning in a formula",
                 c);
    return fault(r, what);
}

int cv_token_read(cv_token *token, const char *text, size_t at, cv_err *err)
{
    const reader r = {token, text, err};
    at += strspn(text + at, " \t\r\n");
    token->kind = CV_TOKEN_END;
    token->at = at;
    token->len = 0;
    token->quoted = 0;
    const char *s = text + at;
    if (*s == '\0')
        return 0;
    if (*s == '`')
        return read_quoted(&r);
    if (is_digit(*s) || (*s == '.' && is_digit(s[1])))
        return read_number(&r);
    if (begins_name(s))
        return read_name(&r);
    return *s == '%' ? read_special(&r) : read_other(&r);
}

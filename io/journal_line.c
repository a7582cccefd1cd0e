/* One entry of the journal as text: a table of fields, in their order. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/journal_parts.h"

typedef enum { DIGEST, COUNT, REAL, UNIT } field_type;

enum { ATTEMPT = 1, SIGNED = 2, BOTH = 3 }; /* who has a field */

typedef struct {
    const char *name;
    size_t at; /* in a cv_journal_entry */
    field_type type;
    int kinds;
    double max; /* of a number, whose least is 0 */
} field;

#define AT(member) offsetof(cv_journal_entry, member)

static const field fields[] = {
    {"run", AT(run_id), DIGEST, BOTH, 0},
    {"job", AT(job_digest), DIGEST, BOTH, 0},
    {"round", AT(round), COUNT, BOTH, 0x1p53},
    {"attempt", AT(attempt), COUNT, BOTH, 0x1p53},
    {"draw", AT(draw), COUNT, BOTH, 0x1p53},
    {"noise_multiplier", AT(cost.noise_multiplier), REAL, ATTEMPT, DBL_MAX},
    {"sampling", AT(cost.sampling), REAL, ATTEMPT, 1.0},
    {"steps", AT(cost.steps), COUNT, ATTEMPT, 0x1p50},
    {"sensitivity", AT(cost.sensitivity), REAL, ATTEMPT, DBL_MAX},
    {"shares", AT(cost.shares), COUNT, ATTEMPT, 0x1p31},
    {"dimension", AT(cost.dimension), COUNT, ATTEMPT, 0x1p53},
    {"sampler", AT(cost.sampler), REAL, ATTEMPT, 1.0},
    {"collusion", AT(cost.collusion), COUNT, ATTEMPT, 0x1p31},
    {"unit", AT(cost.unit), UNIT, ATTEMPT, 0},
    {"data", AT(data), DIGEST, BOTH, 0},
    {"place", AT(place), DIGEST, BOTH, 0},
    {"model", AT(model), DIGEST, BOTH, 0},
    {"members", AT(members), DIGEST, BOTH, 0},
    {"vector", AT(vector), DIGEST, BOTH, 0},
    {"head", AT(head), DIGEST, SIGNED, 0},
    {"supersedes", AT(supersedes), DIGEST, SIGNED, 0},
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static const char *const kind_words[] = {"", "attempt", "signed", "computed"};
static const char *const unit_words[] = {"record", "silo"};
static const uint8_t zeros[32];

static int fields_of(const cv_journal_entry *e)
{
    return e->kind == CV_JOURNAL_ATTEMPT ? ATTEMPT : SIGNED;
}

static int64_t get_count(const cv_journal_entry *e, const field *f)
{
    int64_t v;
    memcpy(&v, (const char *)e + f->at, sizeof v);
    return v;
}

static double get_real(const cv_journal_entry *e, const field *f)
{
    double v;
    memcpy(&v, (const char *)e + f->at, sizeof v);
    return v;
}

static const uint8_t *get_digest(const cv_journal_entry *e, const field *f)
{
    return (const uint8_t *)e + f->at;
}

/* ---- may it be written? ------------------------------------------------- */

static int in_range(const cv_journal_entry *e, const field *f)
{
    switch (f->type) {
    case COUNT:
        return get_count(e, f) >= 0 && get_count(e, f) <= (int64_t)f->max;
    case REAL: /* not NaN */
        return get_real(e, f) >= 0.0 && get_real(e, f) <= f->max;
    case UNIT:
        return e->cost.unit == 0 || e->cost.unit == 1;
    default:
        return 1;
    }
}

/* A field that the entry's kind does not have would be lost. */
static int is_empty(const cv_journal_entry *e, const field *f)
{
    switch (f->type) {
    case COUNT:
        return get_count(e, f) == 0;
    case REAL:
        return get_real(e, f) == 0.0;
    case UNIT:
        return e->cost.unit == 0;
    default:
        return memcmp(get_digest(e, f), zeros, 32) == 0;
    }
}

const char *cv_journal_entry_fault(const cv_journal_entry *e)
{
    if (e->kind < CV_JOURNAL_ATTEMPT || e->kind > CV_JOURNAL_COMPUTED)
        return "kind";
    for (int i = 0; i < N_FIELDS; i++)
        if (fields[i].kinds & fields_of(e) ? !in_range(e, fields + i)
                                           : !is_empty(e, fields + i))
            return fields[i].name;
    return e->draw <= e->attempt ? NULL : "draw";
}

/* ---- writing ------------------------------------------------------------ */

/* The shortest that reads back as the same number. */
static void real_text(cv_buf *b, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v + 0.0); /* no -0 */
        if (strtod(text, NULL) == v)
            break;
    }
    cv_buf_printf(b, "%s", text);
}

static void digest_text(cv_buf *b, const uint8_t digest[32])
{
    char hex[65] = "-";
    if (memcmp(digest, zeros, 32) != 0)
        cv_hex(hex, digest, 32);
    cv_buf_printf(b, "%s", hex);
}

void cv_journal_entry_text(cv_buf *b, const cv_journal_entry *e)
{
    cv_buf_printf(b, "%s", kind_words[e->kind]);
    for (int i = 0; i < N_FIELDS; i++) {
        const field *f = fields + i;
        if (!(f->kinds & fields_of(e)))
            continue;
        cv_buf_printf(b, " %s=", f->name);
        if (f->type == COUNT)
            cv_buf_printf(b, "%lld", (long long)get_count(e, f));
        else if (f->type == REAL)
            real_text(b, get_real(e, f));
        else if (f->type == UNIT)
            cv_buf_printf(b, "%s", unit_words[e->cost.unit]);
        else
            digest_text(b, get_digest(e, f));
    }
}

/* ---- reading ------------------------------------------------------------ */

typedef struct {
    const char *at, *end;
} cursor;

static int take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return 0;
    c->at += n;
    return 1;
}

/* The value up to the next blank, terminated; 0 if it has no room. */
static int take_value(cursor *c, char *out, size_t size)
{
    size_t n = 0;
    while (c->at + n < c->end && c->at[n] != ' ')
        n++;
    if (n == 0 || n >= size)
        return 0;
    memcpy(out, c->at, n);
    out[n] = '\0';
    c->at += n;
    return 1;
}

static int parse_count(int64_t *out, const char *s, double max)
{
    size_t n = strspn(s, "0123456789");
    if (n == 0 || n > 18 || s[n] != '\0' || (s[0] == '0' && n > 1))
        return 0;
    *out = strtoll(s, NULL, 10);
    return *out <= (int64_t)max;
}

static int parse_real(double *out, const char *s, double max)
{
    char *end;
    if (s[0] < '0' || s[0] > '9' || s[strspn(s, "0123456789.e+-")] != '\0')
        return 0;
    *out = strtod(s, &end);
    return *end == '\0' && *out >= 0.0 && *out <= max;
}

static int parse_digest(uint8_t out[32], const char *s)
{
    if (strcmp(s, "-") == 0) {
        memcpy(out, zeros, 32);
        return 1;
    }
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64 &&
           cv_unhex(out, s, 32) == 0 && memcmp(out, zeros, 32) != 0;
}

static int parse_value(cv_journal_entry *e, const field *f, const char *s)
{
    char *out = (char *)e + f->at;
    int64_t count;
    double real;
    switch (f->type) {
    case COUNT:
        if (!parse_count(&count, s, f->max))
            return 0;
        memcpy(out, &count, sizeof count);
        return 1;
    case REAL:
        if (!parse_real(&real, s, f->max))
            return 0;
        memcpy(out, &real, sizeof real);
        return 1;
    case UNIT:
        e->cost.unit = strcmp(s, unit_words[1]) == 0;
        return strcmp(s, unit_words[e->cost.unit]) == 0;
    default:
        return parse_digest((uint8_t *)out, s);
    }
}

const char *cv_journal_entry_parse(cv_journal_entry *e, const char *text,
                                   size_t len)
{
    cursor c = {text, text + len};
    char value[80];
    *e = (cv_journal_entry){0};
    if (take_word(&c, kind_words[CV_JOURNAL_ATTEMPT]))
        e->kind = CV_JOURNAL_ATTEMPT;
    else if (take_word(&c, kind_words[CV_JOURNAL_SIGNED]))
        e->kind = CV_JOURNAL_SIGNED;
    else if (take_word(&c, kind_words[CV_JOURNAL_COMPUTED]))
        e->kind = CV_JOURNAL_COMPUTED;
    else
        return "attempt, signed or computed";
    for (int i = 0; i < N_FIELDS; i++) {
        const field *f = fields + i;
        if (!(f->kinds & fields_of(e)))
            continue;
        if (!take_word(&c, " ") || !take_word(&c, f->name) ||
            !take_word(&c, "=") || !take_value(&c, value, sizeof value) ||
            !parse_value(e, f, value))
            return f->name;
    }
    if (c.at != c.end)
        return "check";
    return e->draw <= e->attempt ? NULL : "draw";
}

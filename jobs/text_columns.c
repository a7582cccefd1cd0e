#include "jobs/text_columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* ---- the table ------------------------------------------------------------------------ */

cv_text_columns cv_text_columns_create(int n_rows, int n_cols,
                                       const char *const *name)
{
    cv_text_columns t = {.n_rows = n_rows, .n_cols = n_cols, .name = name};
    t.head = cv_calloc((size_t)n_cols, sizeof *t.head);
    t.cell = cv_calloc((size_t)n_rows * (size_t)n_cols, sizeof *t.cell);
    return t;
}

void cv_text_columns_free(cv_text_columns *t)
{
    CV_FREE(t->head);
    CV_FREE(t->cell);
}

char *cv_text_cell(const cv_text_columns *t, int row, int col)
{
    return t->cell[(size_t)row * (size_t)t->n_cols + (size_t)col];
}

/* Columns that a name takes on a terminal: its code points. */
static int places(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* The name in `most` places, padded to `pad`. */
static void print_name(FILE *out, const char *s, int most, int pad)
{
    int n = places(s), cut = n > most ? most - 3 : n, at = 0;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        at += (c & 0xc0) != 0x80;
        if (at > cut)
            break;
        fputc(c < ' ' || c == 127 ? '?' : c, out);
    }
    if (n > cut)
        fputs("...", out);
    fprintf(out, "%*s", pad > n ? pad - n : 0, "");
}

/* Width of each column, and what is left for names. */
static int measure(const cv_text_columns *t, int width, int *col_width)
{
    int left = width, widest = 0;
    for (int c = 0; c < t->n_cols; c++) {
        col_width[c] = (int)strlen(t->head[c]);
        for (int i = 0; i < t->n_rows; i++) {
            int n = (int)strlen(cv_text_cell(t, i, c));
            if (n > col_width[c])
                col_width[c] = n;
        }
        left -= col_width[c] + 1;
    }
    for (int i = 0; i < t->n_rows; i++) {
        int n = places(t->name[i]);
        if (n <= left && n > widest)
            widest = n;
    }
    return widest;
}

/* Without blanks at the end of the line. */
static void print_cells(FILE *out, const cv_text_columns *t,
                        char (*cell)[CV_CELL_TEXT], const int *width)
{
    int last = t->n_cols;
    while (last > 0 && !cell[last - 1][0])
        last--;
    for (int c = 0; c < last; c++)
        fprintf(out, " %*s", width[c], cell[c]);
    fputc('\n', out);
}

void cv_text_columns_print(FILE *out, const cv_text_columns *t, int width)
{
    int *col_width = CV_NEW(t->n_cols, int);
    int names = measure(t, width, col_width);
    fprintf(out, "%*s", names, "");
    print_cells(out, t, t->head, col_width);
    for (int i = 0; i < t->n_rows; i++) {
        print_name(out, t->name[i], width, names);
        if (places(t->name[i]) > names)
            fprintf(out, "\n%*s", names, "");
        print_cells(out, t, t->cell + (size_t)i * (size_t)t->n_cols, col_width);
    }
    free(col_width);
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* Decimals that v needs for so many digits, zeros at the end left out. */
static int decimals_of(double v, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(v));
    int exponent = atoi(strchr(text, 'e') + 1), n = digits;
    while (n > 1 && text[n] == '0') /* "1.500e+00": digit n is text[n] */
        n--;
    int need = n - 1 - exponent;
    return need > 0 ? need : 0;
}

cv_number_format cv_number_format_of(const double *v, size_t n, int digits,
                                     int most)
{
    enum { WIDEST = 11 };
    cv_number_format f = {0, digits};
    double largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i]) || v[i] == 0.0)
            continue;
        int need = decimals_of(v[i], digits);
        f.decimals = need > f.decimals ? need : f.decimals;
        largest = fmax(largest, fabs(v[i]));
    }
    if (f.decimals > most)
        f.decimals = most;
    int whole = largest < 10.0 ? 1 : 1 + (int)floor(log10(largest));
    if (whole + f.decimals + (f.decimals > 0) + 1 > WIDEST)
        f.decimals = -1;
    return f;
}

cv_number_format cv_number_format_both(cv_number_format a, cv_number_format b)
{
    if (a.decimals < 0 || b.decimals < 0)
        a.decimals = -1;
    else if (b.decimals > a.decimals)
        a.decimals = b.decimals;
    return a;
}

void cv_number_text(char out[CV_CELL_TEXT], double v, cv_number_format f)
{
    if (isnan(v))
        snprintf(out, CV_CELL_TEXT, "NA");
    else if (!isfinite(v))
        snprintf(out, CV_CELL_TEXT, v < 0 ? "-Inf" : "Inf");
    else if (f.decimals < 0 || fabs(v) >= 1e12)
        snprintf(out, CV_CELL_TEXT, "%.*e", f.digits - 1, v);
    else
        snprintf(out, CV_CELL_TEXT, "%.*f", f.decimals, v);
}

enum { P_DIGITS = 3 };

cv_number_format cv_p_format_of(const double *p, size_t n)
{
    cv_number_format f = {1, P_DIGITS};
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 1e-3 && p[i] <= 1.0) {
            int need = decimals_of(p[i], P_DIGITS);
            f.decimals = need > f.decimals ? need : f.decimals;
        }
    return f;
}

void cv_p_text(char out[CV_CELL_TEXT], double p, cv_number_format f)
{
    if (isnan(p))
        snprintf(out, CV_CELL_TEXT, "NA");
    else if (p < 2.2e-16)
        snprintf(out, CV_CELL_TEXT, "<2e-16");
    else if (p < 1e-4)
        snprintf(out, CV_CELL_TEXT, "%.*e", P_DIGITS - 1, p);
    else if (p < 1e-3)
        snprintf(out, CV_CELL_TEXT, "%.*f", decimals_of(p, P_DIGITS), p);
    else
        snprintf(out, CV_CELL_TEXT, "%.*f", f.decimals, p);
}

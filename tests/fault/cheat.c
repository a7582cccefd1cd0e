/* A root that cheats: changes a checkpoint and writes it with the program's own
 * writer, so that the file is whole and its content_digest right.
 *
 *   cheat IN OUT [EDIT ...]         edits are made in their order
 *   cheat --list IN                 path, attribute, kind, bytes
 *
 *   set-attr PATH NAME VALUE        (a new one is text)
 *   drop-attr PATH NAME
 *   poke PATH OFFSET HEX            bytes of an array
 *   poke-attr PATH NAME OFFSET HEX
 *   put PATH COLUMN ROW VALUE       a cell of a table; COLUMN -: of an array
 *   put-text PATH FILE              a text
 *   add PATH TEXT                   a text that was not there
 *   drop PATH                       with all that is below
 *   drop-rows PATH FIRST COUNT
 *   copy PATH FROM TO COUNT         bytes of an array
 *   take PATH FILE                  the array, or all below, of another file
 *   rename PATH COLUMN NAME
 *   high-s PATH OFFSET              the twin of a signature
 *   mend-model, mend-job, mend-records, mend-unlinked, mend-heads
 *   sign SILO SECRET, sign-count SILO SECRET, identity SILO SECRET
 *   attester SILO IDENTITY SECRET   secrets in hex
 */
#include "tests/fault/cheat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"

void give_up(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "cheat: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    exit(2);
}

/* ---- the document --------------------------------------------------------------- */

static void copy_layout(cv_h5_layout *to, const cv_h5_layout *from)
{
    *to = *from;
    to->fields = CV_NEW(from->n_fields, cv_h5_field);
    for (int i = 0; i < from->n_fields; i++) {
        to->fields[i] = from->fields[i];
        to->fields[i].name = cv_strdup(from->fields[i].name);
    }
}

static void *copy_bytes(const void *p, size_t n)
{
    uint8_t *out = CV_NEW(n + 1, uint8_t);
    memcpy(out, p, n);
    return out;
}

static void load_all(document *d, const char *path)
{
    cv_h5_reader *r;
    cv_err err = {0};
    if (cv_h5_open(path, INT64_MAX, &r, &err))
        give_up("%s: %s", path, err.text);
    d->n = r->n;
    d->item = CV_NEW(r->n, item);
    for (size_t i = 0; i < r->n; i++) {
        const cv_h5_node *node = &r->nodes[i];
        item *it = &d->item[i];
        it->path = cv_strdup(node->path);
        it->is_group = node->is_group;
        it->attr = CV_NEW(node->n_attrs + 1, attribute);
        for (int k = 0; k < node->n_attrs; k++) {
            const cv_h5_attribute *a = &node->attrs[k];
            if (strcmp(a->name, CV_H5_DIGEST_ATTR) == 0)
                continue;
            it->attr[it->n_attrs++] =
                (attribute){cv_strdup(a->name), a->kind, a->size,
                            copy_bytes(a->value, a->size)};
        }
        if (node->is_group)
            continue;
        copy_layout(&it->layout, &node->layout);
        it->bytes = node->bytes;
        it->data = CV_NEW(node->bytes + 1, uint8_t);
        if (node->bytes &&
            cv_h5_read_at(r, node->addr, it->data, node->bytes, &err))
            give_up("%s: %s", path, err.text);
    }
    cv_h5_close(&r);
}

static void free_item(item *it)
{
    for (int k = 0; k < it->n_attrs; k++) {
        free(it->attr[k].name);
        free(it->attr[k].value);
    }
    free(it->attr);
    free(it->path);
    free(it->data);
    cv_h5_layout_free(&it->layout);
}

item *find(document *d, const char *path)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->item[i].path, path) == 0)
            return &d->item[i];
    give_up("no %s", path);
}

attribute *find_attr(item *it, const char *name)
{
    for (int k = 0; k < it->n_attrs; k++)
        if (strcmp(it->attr[k].name, name) == 0)
            return &it->attr[k];
    return NULL;
}

uint8_t *bytes_at(document *d, const char *path, size_t offset, size_t n)
{
    item *it = find(d, path);
    if (it->is_group || offset > it->bytes || n > it->bytes - offset)
        give_up("%s has %zu bytes", path, it->bytes);
    return it->data + offset;
}

/* ---- writing -------------------------------------------------------------------- */

static char **texts_of(const uint8_t *at, size_t size, size_t step, size_t n)
{
    char **text = CV_NEW(n, char *);
    for (size_t i = 0; i < n; i++, at += step) {
        text[i] = CV_NEW(size + 1, char);
        memcpy(text[i], at, size);
    }
    return text;
}

static int write_table(cv_h5_writer *w, const item *it, size_t n, cv_err *err)
{
    const cv_h5_layout *l = &it->layout;
    cv_h5_column *col = CV_NEW(l->n_fields, cv_h5_column);
    for (int i = 0; i < l->n_fields; i++) {
        const cv_h5_field *f = &l->fields[i];
        col[i].name = f->name;
        if (f->kind == CV_H5_STRING) {
            col[i].is_string = 1;
            col[i].data = texts_of(it->data + f->offset, f->size, l->size, n);
            continue;
        }
        uint8_t *flat = CV_NEW(n * f->size + 1, uint8_t);
        for (size_t k = 0; k < n; k++)
            memcpy(flat + k * f->size, it->data + k * l->size + f->offset,
                   f->size);
        col[i].type = (cv_h5_type)f->kind;
        col[i].data = flat;
    }
    int rc =
        cv_h5_put_table(w, it->path, NULL, col, l->n_fields, (int64_t)n, err);
    for (int i = 0; i < l->n_fields; i++) {
        char **text = (char **)(uintptr_t)col[i].data;
        if (col[i].is_string)
            cv_strings_free(&text, n);
        else
            free(text);
    }
    free(col);
    return rc;
}

static int write_item(cv_h5_writer *w, const item *it, cv_err *err)
{
    const cv_h5_layout *l = &it->layout;
    int64_t count = 0;
    size_t bytes;
    int rc = 0;
    if (!it->is_group && cv_h5_layout_count(l, &count, &bytes))
        give_up("%s is too large", it->path);
    if (it->is_group)
        ;
    else if (l->kind == CV_H5_TABLE) {
        rc = write_table(w, it, (size_t)count, err);
    } else if (l->kind == CV_H5_STRING) {
        char **text = texts_of(it->data, l->size, l->size, (size_t)count);
        rc = l->rank == 0
                 ? cv_h5_put_string(w, it->path, text[0], NULL, err)
                 : cv_h5_put_strings(w, it->path, (const char *const *)text,
                                     (size_t)count, NULL, err);
        cv_strings_free(&text, (size_t)count);
    } else {
        rc = cv_h5_put(w, it->path, (cv_h5_type)l->kind, l->rank, l->dims,
                       it->data, NULL, NULL, err);
    }
    for (int k = 0; k < it->n_attrs && !rc; k++) {
        const attribute *a = &it->attr[k];
        double real;
        int64_t whole;
        if (a->kind == CV_H5_F64) {
            memcpy(&real, a->value, sizeof real);
            rc = cv_h5_attr_f64(w, it->path, a->name, real, err);
        } else if (a->kind == CV_H5_I64) {
            memcpy(&whole, a->value, sizeof whole);
            rc = cv_h5_attr_i64(w, it->path, a->name, whole, err);
        } else {
            rc = cv_h5_attr_string(w, it->path, a->name, (const char *)a->value,
                                   err);
        }
    }
    return rc;
}

void write_all(document *d)
{
    cv_h5_writer *w = NULL;
    cv_err err = {0};
    int rc = cv_h5_create(d->out, 0644, &w, &err);
    for (size_t i = 0; i < d->n && !rc; i++)
        rc = write_item(w, &d->item[i], &err);
    if (!rc)
        rc = cv_h5_commit(&w, &err);
    cv_h5_abort(&w);
    if (rc)
        give_up("%s: %s", d->out, err.text);
}

/* ---- edits ---------------------------------------------------------------------- */

static size_t number(const char *text)
{
    char *end;
    long long v = strtoll(text, &end, 0);
    if (!*text || *end || v < 0)
        give_up("'%s' is not a number", text);
    return (size_t)v;
}

static void put_value(uint8_t *at, int kind, size_t size, const char *text)
{
    double real = strtod(text, NULL);
    float single = (float)real;
    int64_t whole = strtoll(text, NULL, 0);
    int32_t half = (int32_t)whole;
    switch (kind) {
    case CV_H5_F32:
        memcpy(at, &single, sizeof single);
        break;
    case CV_H5_F64:
        memcpy(at, &real, sizeof real);
        break;
    case CV_H5_I32:
        memcpy(at, &half, sizeof half);
        break;
    case CV_H5_I64:
        memcpy(at, &whole, sizeof whole);
        break;
    case CV_H5_U8:
        *at = (uint8_t)whole;
        break;
    default:
        if (strlen(text) > size)
            give_up("no room for '%s'", text);
        memset(at, 0, size);
        memcpy(at, text, strlen(text));
    }
}

void set_attr(item *it, const char *name, const char *text)
{
    attribute *a = find_attr(it, name);
    if (!a) {
        it->attr =
            cv_realloc(it->attr, (size_t)it->n_attrs + 1, sizeof *it->attr);
        a = &it->attr[it->n_attrs++];
        *a = (attribute){cv_strdup(name), CV_H5_STRING, 0, NULL};
    }
    if (a->kind == CV_H5_STRING) {
        free(a->value);
        a->size = strlen(text);
        a->value = copy_bytes(text, a->size);
    } else {
        put_value(a->value, a->kind, a->size, text);
    }
}

static void drop_attr(item *it, const char *name)
{
    attribute *a = find_attr(it, name);
    if (!a)
        give_up("%s has no %s", it->path, name);
    free(a->name);
    free(a->value);
    memmove(a, a + 1, (size_t)(it->attr + it->n_attrs - (a + 1)) * sizeof *a);
    it->n_attrs--;
}

static void unhex(uint8_t *at, size_t room, const char *hex)
{
    size_t n = strlen(hex) / 2;
    if (n > room || cv_unhex(at, hex, n))
        give_up("bad hex, or too long: %s", hex);
}

/* A text, or a text that is not there yet. */
static void put_text(document *d, const char *path, const char *text, int add)
{
    if (add) {
        d->item = cv_realloc(d->item, d->n + 1, sizeof *d->item);
        d->item[d->n++] = (item){.path = cv_strdup(path),
                                 .layout = {.kind = CV_H5_STRING},
                                 .attr = CV_NEW(1, attribute)};
    }
    item *it = find(d, path);
    if (it->layout.kind != CV_H5_STRING || it->layout.rank)
        give_up("%s is not one text", path);
    free(it->data);
    it->bytes = it->layout.size = strlen(text);
    it->data = copy_bytes(text, it->bytes);
}

static cv_h5_field *column_of(item *it, const char *name)
{
    for (int i = 0; i < it->layout.n_fields; i++)
        if (strcmp(it->layout.fields[i].name, name) == 0)
            return &it->layout.fields[i];
    give_up("%s has no column %s", it->path, name);
}

static void put_cell(document *d, const char *path, const char *column,
                     size_t row, const char *text)
{
    item *it = find(d, path);
    const cv_h5_layout *l = &it->layout;
    const cv_h5_field *f = strcmp(column, "-") ? column_of(it, column) : NULL;
    uint8_t *at = bytes_at(d, path, row * l->size, l->size);
    if (f)
        put_value(at + f->offset, f->kind, f->size, text);
    else
        put_value(at, l->kind, l->size, text);
}

static void drop_rows(item *it, size_t first, size_t count)
{
    int64_t *rows = &it->layout.dims[0];
    if (it->is_group || it->layout.rank < 1 || first + count > (size_t)*rows)
        give_up("%s has no such rows", it->path);
    size_t row = it->bytes / (size_t)*rows;
    memmove(it->data + first * row, it->data + (first + count) * row,
            it->bytes - (first + count) * row);
    it->bytes -= count * row;
    *rows -= (int64_t)count;
}

static int is_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static void drop(document *d, const char *path)
{
    size_t left = 0;
    (void)find(d, path);
    for (size_t i = 0; i < d->n; i++)
        if (is_below(d->item[i].path, path))
            free_item(&d->item[i]);
        else
            d->item[left++] = d->item[i];
    d->n = left;
}

static void take(document *d, const char *path, const char *file)
{
    document other = {0};
    load_all(&other, file);
    drop(d, path);
    for (size_t i = 0; i < other.n; i++) {
        if (!is_below(other.item[i].path, path)) {
            free_item(&other.item[i]);
            continue;
        }
        d->item = cv_realloc(d->item, d->n + 1, sizeof *d->item);
        d->item[d->n++] = other.item[i];
    }
    free(other.item);
}

/* (r, s, parity) and (r, n - s, other parity) are signatures of the same. */
static void high_s(uint8_t *sig)
{
    static const char order[] = "ffffffffffffffffffffffffffffffff"
                                "baaedce6af48a03bbfd25e8cd0364141";
    uint8_t n[32];
    int borrow = 0;
    unhex(n, sizeof n, order);
    for (int i = 31; i >= 0; i--) {
        int v = n[i] - sig[32 + i] - borrow;
        borrow = v < 0;
        sig[32 + i] = (uint8_t)(v + 256 * borrow);
    }
    sig[64] ^= 1;
}

/* ---- the command ---------------------------------------------------------------- */

static void edit_file(document *d, const char *path, const char *file)
{
    char *text;
    size_t n;
    cv_err err = {0};
    if (cv_fs_read(file, 1 << 24, &text, &n, &err))
        give_up("%s", err.text);
    put_text(d, path, text, 0);
    free(text);
}

static void edit_attr(document *d, char **a)
{
    attribute *at = find_attr(find(d, a[1]), a[2]);
    size_t offset = number(a[3]);
    if (!at || offset >= at->size)
        give_up("%s %s is not that long", a[1], a[2]);
    unhex(at->value + offset, at->size - offset, a[4]);
}

static void edit_rename(document *d, char **a)
{
    cv_h5_field *f = column_of(find(d, a[1]), a[2]);
    free(f->name);
    f->name = cv_strdup(a[3]);
}

static const struct {
    const char *name;
    int n; /* arguments */
} edits[] = {{"set-attr", 3},     {"drop-attr", 2},  {"poke", 3},
             {"poke-attr", 4},    {"put", 4},        {"put-text", 2},
             {"add", 2},          {"drop", 1},       {"drop-rows", 3},
             {"copy", 4},         {"take", 2},       {"rename", 3},
             {"high-s", 2},       {"mend-model", 0}, {"mend-job", 0},
             {"mend-records", 0}, {"mend-heads", 0}, {"mend-unlinked", 0},
             {"sign", 2},         {"sign-count", 2}, {"identity", 2},
             {"attester", 3}};

static void run_edit(document *d, char **a)
{
    const char *what = a[0];
    if (!strcmp(what, "set-attr"))
        set_attr(find(d, a[1]), a[2], a[3]);
    else if (!strcmp(what, "drop-attr"))
        drop_attr(find(d, a[1]), a[2]);
    else if (!strcmp(what, "poke"))
        unhex(bytes_at(d, a[1], number(a[2]), strlen(a[3]) / 2),
              strlen(a[3]) / 2, a[3]);
    else if (!strcmp(what, "poke-attr"))
        edit_attr(d, a);
    else if (!strcmp(what, "put"))
        put_cell(d, a[1], a[2], number(a[3]), a[4]);
    else if (!strcmp(what, "put-text"))
        edit_file(d, a[1], a[2]);
    else if (!strcmp(what, "add"))
        put_text(d, a[1], a[2], 1);
    else if (!strcmp(what, "drop"))
        drop(d, a[1]);
    else if (!strcmp(what, "drop-rows"))
        drop_rows(find(d, a[1]), number(a[2]), number(a[3]));
    else if (!strcmp(what, "copy"))
        memmove(bytes_at(d, a[1], number(a[3]), number(a[4])),
                bytes_at(d, a[1], number(a[2]), number(a[4])), number(a[4]));
    else if (!strcmp(what, "take"))
        take(d, a[1], a[2]);
    else if (!strcmp(what, "rename"))
        edit_rename(d, a);
    else if (!strcmp(what, "high-s"))
        high_s(bytes_at(d, a[1], number(a[2]), 65));
    else if (!strcmp(what, "mend-model"))
        mend_model(d);
    else if (!strcmp(what, "mend-job"))
        mend_job(d);
    else if (!strcmp(what, "mend-records"))
        mend_records(d, 1);
    else if (!strcmp(what, "mend-unlinked"))
        mend_records(d, 0);
    else if (!strcmp(what, "mend-heads"))
        mend_heads(d);
    else if (!strcmp(what, "sign"))
        sign_records(d, (int)number(a[1]), a[2]);
    else if (!strcmp(what, "sign-count"))
        sign_count(d, (int)number(a[1]), a[2]);
    else if (!strcmp(what, "identity"))
        put_identity(d, (int)number(a[1]), a[2]);
    else
        put_attester(d, (int)number(a[1]), a[2], a[3]);
}

static int arguments_of(const char *what)
{
    for (size_t k = 0; k < sizeof edits / sizeof *edits; k++)
        if (strcmp(edits[k].name, what) == 0)
            return edits[k].n;
    give_up("no edit '%s'", what);
}

static void list_all(const document *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const item *it = &d->item[i];
        if (!it->is_group)
            printf("%s\t\t%d\t%zu\n", it->path, it->layout.kind, it->bytes);
        for (int k = 0; k < it->n_attrs; k++)
            printf("%s\t%s\t%d\t%zu\n", it->path, it->attr[k].name,
                   it->attr[k].kind, it->attr[k].size);
    }
}

int main(int argc, char **argv)
{
    document d = {0};
    if (argc < 3)
        give_up("usage: cheat IN OUT [EDIT ...]");
    if (strcmp(argv[1], "--list") == 0) {
        load_all(&d, argv[2]);
        list_all(&d);
    } else {
        load_all(&d, argv[1]);
        d.out = argv[2];
        for (int i = 3; i < argc;) {
            int n = arguments_of(argv[i]);
            if (i + n >= argc)
                give_up("'%s' needs %d arguments", argv[i], n);
            run_edit(&d, argv + i);
            i += 1 + n;
        }
        write_all(&d);
    }
    for (size_t i = 0; i < d.n; i++)
        free_item(&d.item[i]);
    free(d.item);
    return 0;
}

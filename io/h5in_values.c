/* HDF5 input: the values of data sets: filters, conversions. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/h5in.h"

/* Deflate cannot do better than 1 : 1032. */
enum { DEFLATE_RATIO = 1032 };
enum { FILTER_DEFLATE = 1, FILTER_SHUFFLE = 2, FILTER_FLETCHER = 3 };

static uint64_t row_bytes(const cv_h5in_object *o)
{
    return o->space.dims[1] * o->type.size;
}

int cv_h5in_prepare(cv_h5in *f, cv_h5in_object *o)
{
    uint64_t most = (uint64_t)f->size, need, chunk;
    static const char less[] = "holds less data than its shape says";
    if (!o->has_type || !o->has_space || o->space.rank < 1 ||
        o->space.rank > 2 || o->layout == CV_H5IN_NOWHERE)
        return cv_h5in_damaged(f, "is damaged: no data where some should be");
    for (int i = 0; i < o->n_filters; i++)
        if (o->filters[i] == FILTER_DEFLATE &&
            __builtin_mul_overflow(most, (uint64_t)DEFLATE_RATIO, &most))
            most = UINT64_MAX;
    if (__builtin_mul_overflow(o->space.count, (uint64_t)o->type.size, &need) ||
        need > most)
        return cv_h5in_damaged(f, less);
    if (o->layout != CV_H5IN_CHUNKED) {
        uint64_t room = (uint64_t)(f->size - f->base);
        if (o->bytes < need || (o->layout == CV_H5IN_CONTIGUOUS && need > 0 &&
                                (o->addr > room || need > room - o->addr)))
            return cv_h5in_damaged(f, less);
        return 0;
    }
    if (__builtin_mul_overflow(o->chunk[0], o->chunk[1], &chunk) ||
        __builtin_mul_overflow(chunk, (uint64_t)o->type.size, &chunk) ||
        chunk > most || chunk > need + (64u << 20))
        return cv_h5in_damaged(f, "is damaged: size of its chunks");
    return need ? cv_h5in_index(f, o) : 0;
}

/* Fletcher's checksum over big-endian 16-bit words, as HDF5 has it. */
static uint32_t fletcher32(const uint8_t *p, size_t n)
{
    uint32_t a = 0, b = 0;
    for (size_t words = n / 2; words;) {
        size_t k = words < 360 ? words : 360; /* no overflow in 32 bits */
        words -= k;
        for (; k; k--, p += 2) {
            a += (uint32_t)(p[0] << 8 | p[1]);
            b += a;
        }
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    if (n % 2) {
        a += (uint32_t)(*p << 8);
        b += a;
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
    return b << 16 | a;
}

static int undo_fletcher(cv_h5in *f, const uint8_t *data, size_t *n)
{
    if (*n < 4)
        return cv_h5in_damaged(f, "is damaged: a chunk");
    *n -= 4;
    if (fletcher32(data, *n) != cv_get_le32(data + *n))
        return cv_h5in_damaged(f, "is damaged: checksum of a chunk");
    return 0;
}

static int undo_deflate(cv_h5in *f, uint8_t **data, size_t *n, size_t most)
{
    uint8_t *out = cv_realloc(NULL, most, 1);
    z_stream z = {0};
    z.next_in = *data;
    z.avail_in = (uInt)*n;
    z.next_out = out;
    z.avail_out = (uInt)most;
    int rc = inflateInit(&z);
    if (rc == Z_OK) {
        rc = inflate(&z, Z_FINISH);
        inflateEnd(&z);
    }
    if (rc != Z_STREAM_END) {
        free(out);
        return cv_h5in_damaged(f, "is damaged: a packed chunk");
    }
    *n = most - z.avail_out;
    free(*data);
    *data = out;
    return 0;
}

static void undo_shuffle(uint8_t **data, size_t n, size_t size)
{
    uint8_t *out = cv_realloc(NULL, n, 1);
    size_t values = n / size;
    for (size_t k = 0; k < size; k++)
        for (size_t i = 0; i < values; i++)
            out[i * size + k] = (*data)[k * values + i];
    memcpy(out + values * size, *data + values * size, n - values * size);
    free(*data);
    *data = out;
}

/* Filters are undone from the last to the first. */
int cv_h5in_unpack(cv_h5in *f, const cv_h5in_object *o, const cv_h5in_chunk *c,
                   uint8_t *out, size_t n)
{
    uint8_t *data = NULL;
    size_t len = c->bytes;
    if (n > UINT32_MAX - 64)
        return cv_h5in_damaged(f, "is damaged: size of its chunks");
    int rc = cv_h5in_bytes(f, c->addr, c->bytes, &data);
    for (int i = o->n_filters - 1; i >= 0 && !rc; i--) {
        if (c->mask >> i & 1)
            continue;
        if (o->filters[i] == FILTER_FLETCHER)
            rc = undo_fletcher(f, data, &len);
        else if (o->filters[i] == FILTER_DEFLATE)
            rc = undo_deflate(f, &data, &len, n + 4); /* + a checksum */
        else if (o->type.size > 1)
            undo_shuffle(&data, len, o->type.size);
    }
    if (!rc && len != n)
        rc = cv_h5in_damaged(f, "is damaged: size of a chunk");
    if (!rc)
        memcpy(out, data, n);
    free(data);
    return rc;
}

/* Rows [first, first + n) out of one chunk that covers rows from `top` and
 * columns from `left`. */
static void copy_rows(const cv_h5in_object *o, const uint8_t *chunk,
                      uint64_t top, uint64_t left, uint64_t first, uint64_t n,
                      uint8_t *raw)
{
    uint64_t size = o->type.size;
    uint64_t width = o->space.dims[1] - left;
    width = width < o->chunk[1] ? width : o->chunk[1];
    uint64_t from = first > top ? first : top, to = top + o->chunk[0];
    to = to < first + n ? to : first + n;
    for (uint64_t i = from; i < to; i++)
        memcpy(raw + (i - first) * row_bytes(o) + left * size,
               chunk + (i - top) * o->chunk[1] * size, width * size);
}

static int chunked_rows(cv_h5in *f, const cv_h5in_object *o, uint64_t first,
                        uint64_t n, uint8_t *raw)
{
    uint64_t across =
        o->space.dims[1] / o->chunk[1] + (o->space.dims[1] % o->chunk[1] != 0);
    size_t bytes = o->chunk[0] * o->chunk[1] * o->type.size;
    uint8_t *chunk = cv_realloc(NULL, bytes, 1);
    int rc = 0;
    for (uint64_t i = first / o->chunk[0]; !rc && i * o->chunk[0] < first + n;
         i++)
        for (uint64_t j = 0; j < across && !rc; j++) {
            rc = cv_h5in_unpack(f, o, &o->chunks[i * across + j], chunk, bytes);
            if (!rc)
                copy_rows(o, chunk, i * o->chunk[0], j * o->chunk[1], first, n,
                          raw);
        }
    free(chunk);
    return rc;
}

int cv_h5in_rows(cv_h5in *f, const cv_h5in_object *o, uint64_t first,
                 uint64_t n, uint8_t *raw)
{
    uint64_t at = first * row_bytes(o), bytes = n * row_bytes(o);
    if (bytes == 0)
        return 0;
    if (o->layout == CV_H5IN_CHUNKED)
        return chunked_rows(f, o, first, n, raw);
    if (o->layout == CV_H5IN_CONTIGUOUS)
        return cv_h5in_pread(f, o->addr + at, bytes, raw);
    memcpy(raw, o->compact + at, bytes);
    return 0;
}

static uint64_t load(const uint8_t *p, const cv_h5in_type *t)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < t->size; i++)
        v = v << 8 | p[t->big_endian ? i : t->size - 1 - i];
    return v;
}

static double load_number(const uint8_t *p, const cv_h5in_type *t)
{
    uint64_t v = load(p, t);
    if (t->kind == CV_H5IN_INTEGER) {
        unsigned unused = 64 - 8 * t->size;
        if (t->is_signed) /* the sign bit moves to the top and back */
            return (double)((int64_t)(v << unused) >> unused);
        return (double)v;
    }
    if (t->size == 8) {
        double d;
        memcpy(&d, &v, sizeof d);
        return d;
    }
    uint32_t w = (uint32_t)v;
    float x;
    memcpy(&x, &w, sizeof x);
    return (double)x;
}

double cv_h5in_number(const uint8_t *raw, const cv_h5in_type *type)
{
    return load_number(raw, type);
}

void cv_h5in_to_float(float *out, const uint8_t *raw, size_t n,
                      const cv_h5in_type *type)
{
    const cv_h5in_type t = *type;
    if (t.kind == CV_H5IN_FLOAT && !t.big_endian) { /* what people have */
        for (size_t i = 0; i < n; i++) {
            double d;
            float x;
            if (t.size == 8) {
                memcpy(&d, raw + 8 * i, sizeof d);
                x = (float)d;
            } else {
                memcpy(&x, raw + 4 * i, sizeof x);
            }
            out[i] = x;
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)load_number(raw + i * t.size, &t);
}

/* 8-byte integers; beyond 2^53 not every one is a double. */
static int is_exact(const uint8_t *p, const cv_h5in_type *t)
{
    const uint64_t most = (uint64_t)1 << 53;
    uint64_t v = load(p, t);
    if (t->is_signed && v >> 63)
        v = 0 - v;
    return v <= most;
}

size_t cv_h5in_to_double(double *out, const uint8_t *raw, size_t n,
                         const cv_h5in_type *type)
{
    const cv_h5in_type t = *type;
    if (t.kind == CV_H5IN_FLOAT && !t.big_endian && t.size == sizeof *out) {
        memcpy(out, raw, n * sizeof *out);
        return n;
    }
    int wide = t.kind == CV_H5IN_INTEGER && t.size == 8;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = raw + i * t.size;
        if (wide && !is_exact(p, &t))
            return i;
        out[i] = load_number(p, &t);
    }
    return n;
}

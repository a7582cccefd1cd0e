#include "chain/rlp.h"

#include <string.h>

/* First bytes: below 0x80 a byte itself; a short string or list has its length
 * (at most 55) added to its base, a long one 55 and the length's length. */
enum { STRING = 0x80, LIST = 0xc0, SHORT = 55 };

static void put_header(cv_buf *out, uint8_t base, size_t n)
{
    uint8_t h[9];
    size_t bytes = 0;
    if (n > SHORT) {
        for (size_t rest = n; rest; rest >>= 8)
            bytes++;
        for (size_t i = 0; i < bytes; i++)
            h[1 + i] = (uint8_t)(n >> (8 * (bytes - 1 - i)));
        h[0] = (uint8_t)(base + SHORT + bytes);
    } else {
        h[0] = (uint8_t)(base + n);
    }
    cv_buf_add(out, h, 1 + bytes);
}

void cv_rlp_put_bytes(cv_buf *out, const void *data, size_t n)
{
    if (n != 1 || *(const uint8_t *)data >= STRING)
        put_header(out, STRING, n);
    cv_buf_add(out, data, n);
}

void cv_rlp_put_u64(cv_buf *out, uint64_t v)
{
    cv_u256 wide = cv_u256_of(v);
    cv_rlp_put_u256(out, &wide);
}

void cv_rlp_put_u256(cv_buf *out, const cv_u256 *v)
{
    size_t zeros = 0;
    while (zeros < sizeof v->b && !v->b[zeros])
        zeros++;
    cv_rlp_put_bytes(out, v->b + zeros, sizeof v->b - zeros);
}

void cv_rlp_put_list(cv_buf *out, const cv_buf *items)
{
    put_header(out, LIST, items->len);
    cv_buf_add(out, items->data, items->len);
}

static int refuse(cv_err *err, const char *found)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "expected canonical RLP, found %s", found);
}

/* The length that follows a first byte of the long form, in `bytes` bytes. */
static int long_length(size_t *out, const uint8_t **at, const uint8_t *end,
                       size_t bytes, cv_err *err)
{
    if ((size_t)(end - *at) < bytes)
        return refuse(err, "an end within a length");
    if (**at == 0)
        return refuse(err, "a length with a leading zero");
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | *(*at)++;
    if (n <= SHORT)
        return refuse(err, "a short length in the long form");
    if (n > (size_t)(end - *at))
        return refuse(err, "a length beyond the end");
    *out = (size_t)n;
    return 0;
}

int cv_rlp_next(cv_rlp_item *out, const uint8_t **at, const uint8_t *end,
                cv_err *err)
{
    const uint8_t *p = *at;
    if (p == end)
        return refuse(err, "an end where an item should be");
    uint8_t first = *p++;
    int is_list = first >= LIST;
    size_t n = (size_t)(first - (is_list ? LIST : STRING));
    if (first < STRING) {
        n = 1;
        p--;
    } else if (n > SHORT) {
        int rc = long_length(&n, &p, end, n - SHORT, err);
        if (rc)
            return rc;
    } else if (n > (size_t)(end - p)) {
        return refuse(err, "a length beyond the end");
    } else if (!is_list && n == 1 && *p < STRING) {
        return refuse(err, "a length before a byte that needs none");
    }
    *out = (cv_rlp_item){.is_list = is_list, .data = p, .n = n};
    *at = p + n;
    return 0;
}

static int check_integer(const cv_rlp_item *item, size_t limit, cv_err *err)
{
    if (item->is_list)
        return refuse(err, "a list where an integer should be");
    if (item->n > limit)
        return refuse(err, "an integer with more bytes than it may have");
    if (item->n && item->data[0] == 0)
        return refuse(err, "an integer with a leading zero");
    return 0;
}

int cv_rlp_to_u256(cv_u256 *out, const cv_rlp_item *item, cv_err *err)
{
    int rc = check_integer(item, sizeof out->b, err);
    if (rc)
        return rc;
    *out = (cv_u256){{0}};
    memcpy(out->b + sizeof out->b - item->n, item->data, item->n);
    return 0;
}

int cv_rlp_to_u64(uint64_t *out, const cv_rlp_item *item, cv_err *err)
{
    int rc = check_integer(item, sizeof *out, err);
    if (rc)
        return rc;
    *out = 0;
    for (size_t i = 0; i < item->n; i++)
        *out = *out << 8 | item->data[i];
    return 0;
}

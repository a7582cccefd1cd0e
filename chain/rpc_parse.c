/* Replies, taken apart strictly. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/rpc_parts.h"
#include "core/mem.h"

/* A hostile text of a few megabytes could ask for a hundred times that once it
 * is parsed; a receipt with a thousand logs has 2,002 objects and arrays, seven
 * deep. */
enum { MAX_PARTS = 100000, MAX_DEPTH = 32 };

void cv_rpc_printable(char *out, size_t size, const char *in, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n && len + 1 < size; i++) {
        char c = in[i] > ' ' && in[i] < 127 ? in[i] : ' ';
        if (c != ' ' || (len > 0 && out[len - 1] != ' '))
            out[len++] = c;
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
}

/* Objects and arrays are counted before anything is allocated for them. */
static int is_bounded(const char *text, size_t n)
{
    long parts = 0, depth = 0;
    int in_string = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[')) {
            if (++parts > MAX_PARTS || ++depth > MAX_DEPTH)
                return 0;
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return 1;
}

/* The error bytes of a contract: "0x..", in some nodes after a word or within
 * an object.  What is none of that is no data. */
static void take_data(cv_buf *out, const json_t *v)
{
    if (json_is_object(v))
        v = json_object_get(v, "data");
    if (!json_is_string(v))
        return;
    const char *s = json_string_value(v);
    size_t n = json_string_length(v);
    static const char word[] = "Reverted ";
    if (strncmp(s, word, sizeof word - 1) == 0) {
        s += sizeof word - 1;
        n -= sizeof word - 1;
    }
    if (n < 2 || n % 2 || s[0] != '0' || s[1] != 'x' || strlen(s) != n)
        return;
    uint8_t *bytes = CV_NEW(n / 2, uint8_t);
    if (cv_unhex(bytes, s, n / 2 - 1) == 0)
        cv_buf_add(out, bytes, n / 2 - 1);
    free(bytes);
}

/* error must be an object of code and message. Returns NULL, or what is wrong.
 */
static const char *read_error(const json_t *error, cv_fault *fault,
                              cv_buf *data, char *message, size_t size)
{
    const json_t *code = json_object_get(error, "code");
    const json_t *text = json_object_get(error, "message");
    if (!json_is_integer(code) || !json_is_string(text))
        return "an error without a code and a message";
    char plain[400], all[440];
    cv_rpc_printable(plain, sizeof plain, json_string_value(text),
                     json_string_length(text));
    *fault = cv_fault_of(json_integer_value(code), plain);
    snprintf(all, sizeof all, "%s (code %lld)", plain[0] ? plain : "no message",
             (long long)json_integer_value(code));
    snprintf(message, size, "%s", all);
    if (*fault == CV_FAULT_REVERT && data)
        take_data(data, json_object_get(error, "data"));
    return NULL;
}

/* Returns NULL, or what is wrong with the reply. */
static const char *read_root(const json_t *root, int64_t id, json_t **result,
                             cv_fault *fault, cv_buf *data, char *message,
                             size_t size)
{
    if (!json_is_object(root))
        return "JSON that is not one object";
    const json_t *version = json_object_get(root, "jsonrpc");
    const json_t *its_id = json_object_get(root, "id");
    const json_t *error = json_object_get(root, "error");
    json_t *value = json_object_get(root, "result");
    if (!json_is_string(version) || json_string_length(version) != 3 ||
        strcmp(json_string_value(version), "2.0") != 0)
        return "no \"jsonrpc\": \"2.0\"";
    if (!error == !value)
        return error ? "a result and an error" : "no result and no error";
    if (json_is_null(its_id) && error) {
        const char *wrong = read_error(error, fault, NULL, message, size);
        return wrong || *fault == CV_FAULT_BUSY ? wrong
                                                : "an error without an id";
    }
    if (!json_is_integer(its_id) || json_integer_value(its_id) != id)
        return "the id of another call";
    if (error)
        return read_error(error, fault, data, message, size);
    *result = json_incref(value);
    *fault = CV_FAULT_NONE;
    return NULL;
}

int cv_rpc_parse(const char *text, size_t n, int64_t id, json_t **result,
                 cv_fault *fault, cv_buf *data, char *message,
                 size_t message_size)
{
    const char *wrong = NULL;
    json_t *root = NULL;
    json_error_t where;
    char start[60];
    *result = NULL;
    *fault = CV_FAULT_MALFORMED;
    message[0] = '\0';
    if (!is_bounded(text, n))
        wrong = "JSON with too many parts";
    /* Nodes put raw bytes of contracts, NULs too, into messages. */
    else if (!(root = json_loadb(
                   text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where)))
        wrong = "no JSON";
    else
        wrong = read_root(root, id, result, fault, data, message, message_size);
    json_decref(root);
    if (wrong) {
        *fault = CV_FAULT_MALFORMED;
        cv_rpc_printable(start, sizeof start, text, n < 200 ? n : 200);
        snprintf(message, message_size,
                 "expected a JSON-RPC reply, found %s: %s", wrong, start);
    }
    return *fault == CV_FAULT_NONE ? 0 : -1;
}
